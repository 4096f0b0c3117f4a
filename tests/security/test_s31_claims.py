"""S-31: whom a token is for, from when and until when: each claim in every wrong form, and both sides of each edge."""

import base64
import json
import time
from collections.abc import Sequence

import pytest
from harness.client import request
from harness.site import Site
from identity.forge import AUDIENCE, b64, private_key, token

from gateway.identity.compact import MAX_TOKEN_BYTES

from .outside import Issuer, believing, claims, good, key_set

RSA = private_key("RS256")
INVALID = "invalid_credential"
GOOD_AUDIENCES: tuple[object, ...] = (AUDIENCE, [AUDIENCE], ["x", AUDIENCE], [AUDIENCE, AUDIENCE], ["", AUDIENCE])
BAD_AUDIENCES: tuple[object, ...] = (
    None, "", "other", "Gateway", f"{AUDIENCE} ", f" {AUDIENCE}", f"{AUDIENCE}/", f"{AUDIENCE}\0", f"x {AUDIENCE}",
    [], [""], ["other"], [[AUDIENCE]], [AUDIENCE, 1], [AUDIENCE, None], [1], 1, True, {}, {"gateway": True}, "*",
)  # fmt: skip


async def test_s31_an_audience_is_a_text_or_a_list_of_texts(site: Site) -> None:
    """One of them is ours, exactly; without one, or with anything else, the token is for somebody else."""
    at = await believing(site, Issuer(key_set("RS256")))
    taken = [await at.said(good(aud=one)) for one in GOOD_AUDIENCES]
    refused = {str(one): await at.said(good(aud=one)) for one in BAD_AUDIENCES}
    assert (set(taken), set(refused.values())) == ({"ok"}, {INVALID})


async def test_s31_a_null_audience_is_none(site: Site) -> None:
    """Written out, not left away; `exp` likewise."""
    at = await believing(site, Issuer(key_set("RS256")))
    bodies = [json.dumps({**claims(), name: None}).encode() for name in ("aud", "exp", "sub", "iss")]
    assert {await at.said(token(RSA, "RS256", body)) for body in bodies} == {INVALID}


TIMES: tuple[object, ...] = (
    "1e308", "", "soon", "2099-01-01T00:00:00Z", [], {}, True, False, 1e308, 1e11 + 1, 10**400, -(10**400), 1e300,
    2**63, 2**64, -1e308,
)  # fmt: skip


async def test_s31_an_expiry_is_a_number_of_seconds(site: Site) -> None:
    """Missing, text, truth, a list, beyond all reason: refused, and no error of ours."""
    at = await believing(site, Issuer(key_set("RS256")))
    said = {str(one)[:30]: await at.said(good(exp=one)) for one in TIMES}
    in_milliseconds = await at.said(good(exp=int(time.time() * 1000) + 600_000))
    assert (set(said.values()), await at.said(good(exp=None)), in_milliseconds) == ({INVALID}, INVALID, INVALID)


async def test_s31_numbers_that_json_has_not_are_refused(site: Site) -> None:
    """NaN compares as false with everything, and infinity is never over."""
    at = await believing(site, Issuer(key_set("RS256")))
    body = json.dumps(claims(exp="@"))
    sent = {
        text: token(RSA, "RS256", body.replace('"@"', text).encode()) for text in ("NaN", "Infinity", "1e999", "-0x1")
    }
    assert set((await at.all_said(sent)).values()) == {INVALID}


async def test_s31_a_time_may_be_a_fraction(site: Site) -> None:
    """RFC 7519 section 2, NumericDate."""
    at = await believing(site, Issuer(key_set("RS256")))
    now = time.time()
    found = [await at.said(good(exp=now + 60.5)), await at.said(good(exp=float(int(now) + 60), nbf=now - 0.5))]
    assert found == ["ok", "ok"]


async def test_s31_what_is_over_is_over(site: Site) -> None:
    """Before this century, before 1970, an hour ago."""
    at = await believing(site, Issuer(key_set("RS256")))
    sent = {str(one): good(exp=one) for one in (0, -1, 1, 946684800, int(time.time()) - 3600)}
    assert set((await at.all_said(sent)).values()) == {"expired_credential"}


@pytest.mark.parametrize("name", ["nbf", "iat"])
async def test_s31_a_token_of_the_future_is_not_good_yet(site: Site, name: str) -> None:
    """By more than the leeway; a beginning that is no time is none; in milliseconds it is in the future, too."""
    at = await believing(site, Issuer(key_set("RS256")))
    now = int(time.time())
    later: Sequence[object] = (now + 300, now + 10**6, now * 1000, 1e308, str(now), [], True, 10**400)
    found = {str(one)[:30]: await at.said(good(**{name: one})) for one in later}
    past = [await at.said(good(**{name: one})) for one in (0, now - 10**6, now - 1)]
    assert (set(found.values()), set(past)) == ({INVALID}, {"ok"})


@pytest.mark.parametrize(("leeway", "seconds"), [("30s", 30), ("0s", 0), ("5m", 300)])
async def test_s31_the_leeway_ends_where_it_is_said_to(site: Site, leeway: str, seconds: int) -> None:
    """Both sides of the end, and of both beginnings. Ten seconds apart, for a test that is slow."""
    at = await believing(site, Issuer(key_set("RS256"), more={"leeway": leeway}))
    now = int(time.time())
    inside, outside = now - seconds + 10, now - seconds - 1
    sent = {
        "just not over": good(exp=inside),
        "over": good(exp=outside),
        "just begun": good(nbf=now + seconds - 1 if seconds else now),
        "not begun": good(nbf=now + seconds + 60),
        "just made": good(iat=now + seconds - 1 if seconds else now),
        "not made": good(iat=now + seconds + 60),
    }
    assert list((await at.all_said(sent)).values()) == ["ok", "expired_credential", *["ok", INVALID] * 2]


async def test_s31_a_token_ends_while_it_is_used(site: Site) -> None:
    """On a connection that it was let through on a second before."""
    at = await believing(site, Issuer(key_set("RS256"), more={"leeway": "0s"}))
    raw = good(exp=int(time.time()) + 20)
    before = await at.said(raw)
    at.running.hand.ahead += 21
    assert (before, await at.said(raw)) == ("ok", "expired_credential")


async def test_s31_our_own_token_ends_to_the_second(site: Site) -> None:
    """There is no leeway for an end that is of our own making."""
    at = await believing(site, Issuer(key_set("RS256")))
    raw = at.running.people.ada.token
    end = json.loads(base64.urlsafe_b64decode(raw.split(".")[1] + "=="))["exp"]
    at.running.hand.ahead = end - time.time() - 30
    before = await at.said(raw)
    at.running.hand.ahead = end - time.time()
    assert (before, await at.said(raw)) == ("ok", "expired_credential")


SUBJECTS: tuple[object, ...] = (
    None,
    "",
    1,
    0,
    True,
    [],
    ["alice"],
    {},
    "a" * 256,
    "a\nb",
    "a\0",
    "\u202ea",
    "a\u2028b",
)


async def test_s31_a_subject_is_a_short_text(site: Site) -> None:
    """Without one, the token is about nobody."""
    at = await believing(site, Issuer(key_set("RS256")))
    found = {ascii(one)[:30]: await at.said(good(sub=one)) for one in SUBJECTS}
    assert (set(found.values()), await at.said(good(sub="a" * 255))) == ({INVALID}, "ok")


REPEATED = ('"aud":"other",', '"exp":1,', '"iss":"x",', '"sub":"bob",', '"\\u0065xp":1,', '"a\\u0075d":"x",')


async def test_s31_a_claim_that_is_there_twice_is_refused(site: Site) -> None:
    """Before or after the right one, also under an escape: two readers would take different ones."""
    at = await believing(site, Issuer(key_set("RS256")))
    body = json.dumps(claims())
    bodies = {f"{one}{where}": body for one in REPEATED for where in ("before", "after")}
    for name in bodies:
        one = name.removesuffix("before").removesuffix("after")
        bodies[name] = f"{{{one}{body[1:]}" if name.endswith("before") else f"{body[:-1]},{one[:-1]}}}"
    found = await at.all_said({name: token(RSA, "RS256", text.encode()) for name, text in bodies.items()})
    assert set(found.values()) == {INVALID}


def sized(size: int) -> bytes:
    """A good token of that many bytes. Base64 skips every fourth length, so the header has to give way."""
    for x in ("", "x", "xx"):
        missing = size - len(token(RSA, "RS256", {**claims(), "pad": ""}, x=x))
        for pad in range(missing * 3 // 4 - 3, missing * 3 // 4 + 4):
            if len(raw := token(RSA, "RS256", {**claims(), "pad": "a" * pad}, x=x)) == size:
                return raw
    raise AssertionError(size)


@pytest.mark.parametrize(("size", "found"), [(MAX_TOKEN_BYTES, "ok"), (MAX_TOKEN_BYTES + 1, INVALID)])
async def test_s31_a_token_has_8_kib_at_most(site: Site, size: int, found: str) -> None:
    """Both sides, where the limits of heads let it in. It is refused unread: the issuer is not asked for its key."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer, listen={"limits": {"field": "32KiB", "head": "64KiB"}})
    assert await at.said(sized(size)) == found


async def test_s31_what_is_too_long_is_refused_unread(site: Site) -> None:
    """It names a key that the issuer would have to be asked for; it isn't. And the head's own limit comes before."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer, listen={"limits": {"field": "32KiB", "head": "64KiB"}})
    before, more = issuer.fetches, {**claims(), "pad": "a" * 12_000}
    long = token(RSA, "RS256", more, kid="unknown")
    found = [await at.said(long), (await (await believing(site, issuer)).present(long)).status]
    assert (found, issuer.fetches - before) == ([INVALID, 431], 1)  # the one of the second gateway's start


async def test_s31_segments_beyond_three_are_refused_unread(site: Site) -> None:
    """Thousands of them cost no more than one (CVE-2025-30204), and no fetch; dots alone, and good parts between."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    before = issuer.fetches
    raw = token(RSA, "RS256", claims(), kid="unknown")
    many = [raw + b"." * 10, raw + b".a" * 3000, b"." * 8000, b"a." * 4000, raw + b"." + raw]
    found = [await at.said(one) for one in many]
    assert (set(found), issuer.fetches - before) == ({INVALID}, 0)


async def test_s31_claims_nested_deep_are_refused(site: Site) -> None:
    """Without an error of ours; and the connection goes on."""
    at = await believing(site, Issuer(key_set("RS256")))
    texts = [b'{"iss":"https://id.example","x":' + b"[" * n + b"]" * n + b"}" for n in (16, 500, 2500)]
    found = [await at.said(token(RSA, "RS256", text)) for text in texts]
    client = await at.client()
    await client.send(request("/auth/x", b"Authorization: Bearer " + good()))
    assert (found, (await client.answer()).status) == ([INVALID] * 3, 200)


async def test_s31_a_token_that_is_nothing_is_refused(site: Site) -> None:
    """No object, an empty one, one of our claims alone."""
    at = await believing(site, Issuer(key_set("RS256")))
    bodies = (b"", b"{}", b"null", b"[]", b'"x"', b"1", b"true", b'{"iss":"https://id.example"}', b"{", b"\xff", b" ")
    found = {body: await at.said(token(RSA, "RS256", body)) for body in bodies}
    assert (set(found.values()), await at.said(b64(b"{}") + "." + b64(b"{}") + ".AA")) == ({INVALID}, INVALID)
