"""S-34: what is remembered of a credential is about that very credential, under that very configuration, ends with it
at the latest, and takes bounded room.
"""

import asyncio
import json
import time

import pytest
from harness.client import request
from harness.people import open_people, revoke
from harness.site import Running, Site
from identity.forge import private_key, token

from .outside import GOOD, Door, Issuer, believing, claims, good, key_set

STRING = b"x-mycelium-connection-string: "


async def status(site: Site, running: Running, field: bytes, path: str = "/auth/x") -> int:
    client = await site.client(running)
    await client.send(request(path, field))
    try:
        return (await client.answer()).status
    finally:
        client.close()


async def test_s34_a_token_that_differs_in_a_byte_is_another_one(site: Site) -> None:
    """Each character of the signature's and of the claims' ends changed, cut off or doubled: while the right one is
    remembered (CVE-2026-27840)."""
    at = await believing(site, Issuer(key_set("RS256")))
    for raw in (good(), at.running.people.ada.token.encode()):
        first = await at.said(raw)
        head, payload, signature = raw.split(b".")
        others = [raw[:-n] for n in (1, 2, 4, 40)] + [raw + raw[-n:] for n in (1, 2, 4)]
        others += [b".".join((head, payload, signature[:at_] + flip(signature, at_))) for at_ in (0, 9, -2)]
        others += [b".".join((head, payload[:n], signature)) for n in (-1, -2, -4)]
        others += [raw.swapcase(), raw[:-1].upper() + raw[-1:], head + b"." + payload + b".", b"." + raw]
        found = [await at.said(one) for one in others]
        assert (first, set(found), await at.said(raw)) == (GOOD, {"invalid_credential"}, GOOD)


def flip(signature: bytes, at: int) -> bytes:
    """The rest from there on, with its first character changed."""
    return (b"A" if signature[at : at + 1] != b"A" else b"B") + signature[at:][1:]


async def test_s34_a_long_common_beginning_is_not_the_whole(site: Site) -> None:
    """Two tokens that share their first four thousand bytes are two callers (bcrypt read 72; Okta, 2024)."""
    at = await believing(site, Issuer(key_set("RS256")))
    body = {**claims(), "a": "x" * 3000}
    one, other = (token(private_key("RS256"), "RS256", {**body, "z": who, "sub": who}) for who in ("alice", "carol"))
    shared = next(n for n in range(len(one)) if one[n] != other[n])
    forged = other[:-342] + one[-342:]  # carol's claims under alice's signature
    found = [await at.said(raw) for raw in (one, forged, other)]
    assert (shared > 60, found) == (True, [GOOD, "invalid_credential", GOOD])


async def test_s34_a_credential_is_remembered_for_what_it_was_sent_as(site: Site) -> None:
    """The bytes of a good token are no connection string, nor the reverse, whichever came first."""
    at = await believing(site, Issuer(key_set("RS256")))
    people = at.running.people
    token_field = b"Authorization: Bearer "
    sent = [token_field + people.ada.token.encode(), STRING + people.string]
    crossed = [STRING + people.ada.token.encode(), token_field + people.string]
    found = [[await status(site, at.running, field) for field in fields] for fields in (sent, crossed, sent, crossed)]
    assert found == [[200, 200], [401, 401]] * 2


async def test_s34_another_configuration_remembers_nothing(site: Site) -> None:
    """An issuer that is gone, or believed for another audience: at once, though its token was good a moment ago."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    raw, said = good(), json.loads(at.running.config.read_text())
    found = [await at.said(raw)]
    for more in ({"audiences": ["another"]}, {"algorithms": ["ES256"]}, {"issuer": "https://moved.example"}, {}):
        at.running.write({**said, "issuers": [{**issuer.said(), **more}]})
        assert not await at.running.gateway.reload()
        found.append(await at.said(raw))
    at.running.write({**said, "issuers": []})
    assert not await at.running.gateway.reload()
    found.append(await at.said(raw))
    bad = ["invalid_credential", "invalid_credential", "unknown_issuer"]
    assert found == [GOOD, *bad, GOOD, "unknown_issuer"]


@pytest.mark.parametrize("leeway", [0, 5])
async def test_s34_nothing_is_remembered_beyond_its_end(site: Site, leeway: int) -> None:
    """Twenty seconds before it, it was remembered for thirty."""
    at = await believing(site, Issuer(key_set("RS256"), more={"leeway": f"{leeway}s"}))
    now = time.time()
    raw = good(exp=now + 60)
    found = [await at.said(raw)]
    at.running.hand.ahead += 40 + leeway
    found.append(await at.said(raw))  # remembered anew, twenty seconds before its end
    at.running.hand.ahead += 20
    assert [*found, await at.said(raw)] == [GOOD, GOOD, "expired_credential"]


async def test_s34_the_thirty_seconds_are_thirty(site: Site) -> None:
    """An issuer is trusted for the life of a token; what is remembered of its key is looked at again after that."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    raw = good()
    found = [await at.said(raw)]
    issuer.answer = key_set("ES256")
    await at.running.gateway.core.jwks.refresh()
    at.running.hand.ahead += 15
    found.append(await at.said(raw))
    at.running.hand.ahead += 15
    assert [*found, await at.said(raw)] == [GOOD, GOOD, "invalid_credential"]


async def test_s34_a_clock_that_is_set_back_lengthens_no_life(site: Site) -> None:
    """What was remembered in the future is looked at anew: there, the token is not made yet."""
    at = await believing(site, Issuer(key_set("RS256")))
    raw = at.running.people.bob.token
    before = await at.said(raw)
    at.running.hand.ahead -= 3600
    assert (before, await at.said(raw)) == (GOOD, "invalid_credential")


async def until_refused(at: Door, raw: str) -> str:
    """The code of the first refusal; the ten seconds of `until` are less than anything is remembered for."""
    async with asyncio.timeout(10):
        while (said := await at.said(raw)) == GOOD:  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.02)
    return said


@pytest.mark.parametrize("how", ["grant", "account", "deleted"])
async def test_s34_who_is_revoked_is_out_within_seconds(site: Site, how: str) -> None:
    """By another process, as the command line does it; whoever else is remembered stays."""
    at = await believing(site, Issuer(key_set("RS256")))
    people = at.running.people
    before = [await at.said(people.ada.token), await at.said(people.bob.token)]
    store = await open_people(people)
    try:
        if how == "grant":
            await revoke(people, people.bob.grant_id)
        else:
            await store.accounts.set_status(people.bob.account_id, "disabled" if how == "account" else "deleted")
    finally:
        await store.aclose()
    found = await until_refused(at, people.bob.token)
    assert (before, found, await at.said(people.ada.token)) == ([GOOD, GOOD], "revoked_credential", GOOD)


async def test_s34_an_external_caller_who_is_disabled_is_out_within_seconds(site: Site) -> None:
    """Though the token is the issuer's, and would be good for ten minutes."""
    at = await believing(site, Issuer(key_set("RS256"), more={"provision": True}))
    raw = good().decode()
    before = await at.said(raw, "/secure/x")
    store = await open_people(at.running.people)
    try:
        standing = await store.directory.by_subject("https://id.example", "alice")
        assert standing is not None
        await store.accounts.set_status(standing.account.id, "disabled")
    finally:
        await store.aclose()
    assert (before, await until_refused(at, raw)) == (GOOD, "revoked_credential")


async def metric(running: Running, name: str) -> float:
    """From the admin listener."""
    host, port = running.gateway.admin_address
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} "))


async def test_s34_what_is_remembered_has_bounded_room(site: Site) -> None:
    """Three times as many good ones and as many bad ones as there is room for; the newest are still good."""
    at = await believing(site, Issuer(key_set("EdDSA")), cache={"size": 100})
    key = private_key("EdDSA")
    kept = [good(key, "EdDSA", n=number) for number in range(300)]
    bad = [good(private_key("EdDSA", "thief"), "EdDSA", n=number) for number in range(300)]
    statuses = [set(await at.many(tokens)) for tokens in (kept, bad)]
    names = ("gateway_credential_cache_entries", "gateway_credential_cache_refusals")
    room = [await metric(at.running, name) for name in names]
    assert (statuses, room, await at.said(kept[-1])) == ([{200}, {401}], [100, 100], GOOD)
