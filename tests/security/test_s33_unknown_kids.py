"""S-33: what tokens say is no lever on an issuer: unknown `kid`s cause one fetch in a window, and no more. New keys
count at once all the same, and removed ones count no longer.
"""

import asyncio
import json
import random
from collections.abc import Iterator

import pytest
from harness.site import Site
from harness.upstream import Line
from identity.forge import b64, private_key, rsa_key, token

from gateway.access.jwks import UNKNOWN_KID_WINDOW

from .outside import ISSUER, Door, Issuer, believing, claims, document, good, jwk, key_set

OTHER = "https://other.example"
NEW = rsa_key(name="new")
CREDENTIALS = 30.0  # seconds that a good credential is remembered for


def strange(count: int, iss: str = ISSUER) -> Iterator[bytes]:
    """Tokens that all name another key; nobody need sign them."""
    numbers = random.Random(count)
    payload = b64(json.dumps(claims(iss=iss)).encode())
    for _ in range(count):
        head = b64(json.dumps({"alg": "RS256", "typ": "JWT", "kid": f"{numbers.getrandbits(64):x}"}).encode())
        yield f"{head}.{payload}.AAAA".encode()


async def test_s33_ten_thousand_unknown_kids_cause_one_fetch(site: Site) -> None:
    """And one more in the next window. All are 401; a good token passes before, between and after."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    before = issuer.fetches
    statuses = await at.many(list(strange(10_000)))
    first = issuer.fetches - before
    at.running.hand.rested += UNKNOWN_KID_WINDOW
    statuses += await at.many(list(strange(500)))
    assert (set(statuses), first, issuer.fetches - before, await at.said(good())) == ({401}, 1, 2, "ok")


async def test_s33_each_issuer_has_a_window_of_its_own(site: Site) -> None:
    """A flood at one costs the other nothing: neither fetches, nor that its new key is looked for."""
    one, other = Issuer(key_set("RS256")), Issuer(document(jwk(NEW, "old")), "other", OTHER)
    at = await believing(site, one, other)
    before = (one.fetches, other.fetches)
    await at.many(list(strange(1000)))
    meanwhile = other.fetches - before[1]
    other.answer = document(jwk(NEW, "new"))
    found = await at.said(token(NEW, "RS256", claims(iss=OTHER), kid="new"))
    assert (one.fetches - before[0], meanwhile, other.fetches - before[1], found) == (1, 0, 1, "ok")


async def test_s33_two_hundred_at_once_share_one_fetch(site: Site) -> None:
    """Each on a connection of its own, while the issuer takes its time."""
    issuer, go_on, asked = Issuer(key_set("RS256")), asyncio.Event(), asyncio.Event()
    at = await believing(site, issuer)

    async def script(line: Line) -> None:
        await line.request()
        asked.set()
        await go_on.wait()
        line.send(issuer.answer)
        await line.gone()

    issuer.server.script = script  # of connections from now on
    for line in issuer.server.lines:
        line.writer.transport.abort()
    doors = [Door(site, at.running, at.service) for _ in range(200)]
    waiting = [asyncio.create_task(door.said(raw)) for door, raw in zip(doors, strange(200), strict=True)]
    before = issuer.fetches
    await asyncio.wait_for(asked.wait(), 10)
    go_on.set()
    assert (set(await asyncio.gather(*waiting)), issuer.fetches - before) == ({"invalid_credential"}, 1)


async def test_s33_an_issuer_that_is_down_is_not_asked_by_each(site: Site) -> None:
    """Its callers cause no more fetches than others' do: after a failure there is a wait, which grows."""
    issuer = Issuer(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")
    at = await believing(site, issuer)
    before = issuer.fetches
    statuses = await at.many([good(n=number) for number in range(200)])
    assert set(statuses) == {503}
    assert issuer.fetches - before <= 5  # after 1, 2, 4, 8 and 16 seconds: on a quiet machine this takes one


async def test_s33_a_refusal_that_causes_no_fetch(site: Site) -> None:
    """What could not be good under any key is refused before somebody is asked for one."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    before = issuer.fetches
    forms = (
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "PS256"},
        {"kid": None},
        {"kid": 5},
        {"crit": ["x"]},
        {"b64": False},
    )
    sent = [token(NEW, "RS256", claims(), **{"kid": "strange", **form}) for form in forms]
    sent += list(strange(50, "https://stranger.example"))
    assert (set(await at.many(sent)), issuer.fetches - before) == ({401}, 0)


async def test_s33_a_new_key_counts_at_once(site: Site) -> None:
    """With the first token that it signed, which waits for the fetch and passes; the old one's go on."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    before = issuer.fetches
    issuer.answer = document(jwk(private_key("RS256")), jwk(NEW, "new"))
    found = [await at.said(token(NEW, "RS256", claims(), kid="new")), await at.said(good())]
    assert (found, issuer.fetches - before) == (["ok", "ok"], 1)


async def test_s33_a_flood_delays_a_new_key_by_a_window_at_most(site: Site) -> None:
    """It has used the window up; once it is over, the very next token is looked up."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    await at.many(list(strange(200)))
    issuer.answer = document(jwk(NEW, "new"))
    during = await at.said(token(NEW, "RS256", claims(n=1), kid="new"))
    at.running.hand.rested += UNKNOWN_KID_WINDOW
    assert (during, await at.said(token(NEW, "RS256", claims(n=2), kid="new"))) == ("invalid_credential", "ok")


@pytest.mark.parametrize("how", ["by a token of the new one", "by the refresh"])
async def test_s33_a_removed_key_stops_within_the_bound(site: Site, how: str) -> None:
    """Once the set without it was fetched, no new token of it passes; one that is remembered ends within 30 s."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    seen = good(n=1)
    before = await at.said(seen)
    issuer.answer = document(jwk(NEW, "new"))
    if how == "by the refresh":
        await at.running.gateway.core.jwks.refresh()
    else:
        await at.said(token(NEW, "RS256", claims(), kid="new"))
    fresh = await at.said(good(n=2))
    at.running.hand.ahead += CREDENTIALS
    assert (before, fresh, await at.said(seen)) == ("ok", "invalid_credential", "invalid_credential")


async def test_s33_a_replaced_key_of_the_same_name_stops(site: Site) -> None:
    """Its name lives on, and verifies what the new one signed only."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    before = await at.said(good(n=1))
    issuer.answer = document(jwk(NEW))
    await at.running.gateway.core.jwks.refresh()
    assert (before, await at.said(good(n=2)), await at.said(good(NEW))) == ("ok", "invalid_credential", "ok")
