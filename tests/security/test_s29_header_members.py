"""S-29: a token's header names a key that we hold already. It brings none along, and nobody goes and gets one."""

import base64
import json
from collections.abc import Mapping

import pytest
from harness.site import Site
from identity.forge import b64, jwk, private_key, public_der, rsa_key, token

from .outside import Issuer, believing, claims, good, key_set, serving

RSA, THIEF = private_key("RS256"), rsa_key(name="thief")
INVALID = {"invalid_credential"}


async def test_s29_a_key_that_the_header_brings_along_is_not_used(site: Site) -> None:
    """`jwk` and `x5c`: alone, under the name of ours, and under the thief's own (CVE-2026-48526)."""
    at = await believing(site, Issuer(key_set("RS256")))
    chain = [base64.b64encode(public_der(THIEF)).decode()]
    brought: Mapping[str, Mapping[str, object]] = {"jwk": {"jwk": jwk(THIEF)}, "x5c": {"x5c": chain}}
    brought = {**brought, "both": {"jwk": jwk(THIEF), "x5c": chain, "x5t": "AAAA", "x5t#S256": b64(bytes(32))}}
    sent = {
        f"{name}, {kid}": token(THIEF, "RS256", claims(), kid=kid, **more)
        for name, more in brought.items()
        for kid in (None, "k1", "theirs")
    }
    found = await at.all_said(sent)
    assert (set(found.values()), at.service.requests) == (INVALID, [])


@pytest.mark.parametrize("member", ["jku", "x5u"])
async def test_s29_no_address_of_a_header_is_asked(site: Site, member: str) -> None:
    """Not a single connection is made there: with a name that we know, with one that we don't, and without."""
    theirs = await serving(site, Issuer(key_set("RS256", kid="theirs"), "theirs"))
    ours = Issuer(key_set("RS256"))
    at = await believing(site, ours)
    urls = (f"{theirs.server.url}/jwks", f"{ours.server.url}@127.0.0.1:{theirs.server.port}/", "file:///etc/passwd")
    sent = {
        f"{url}, {kid}": token(THIEF, "RS256", claims(), kid=kid, **{member: url})
        for url in urls
        for kid in (None, "k1", "theirs")
    }
    found = await at.all_said(sent)
    assert (set(found.values()), theirs.server.lines) == (INVALID, [])


async def test_s29_members_of_a_good_header_change_nothing(site: Site) -> None:
    """A token of the issuer's own key passes with whatever it says beside: by that key, not by what it brings."""
    theirs = await serving(site, Issuer(key_set("RS256"), "theirs"))
    at = await believing(site, Issuer(key_set("RS256")))
    url = f"{theirs.server.url}/jwks"
    more = (
        {"jwk": jwk(THIEF)},
        {"jku": url},
        {"x5u": url},
        {"x5c": ["AAAA"]},
        {"x5t": 5},
        {"jwk": "?"},
        {"zip": "DEF"},
    )
    found = [await at.said(token(RSA, "RS256", claims(), **one)) for one in more]
    assert (found, theirs.server.lines) == (["ok"] * len(more), [])


KIDS: tuple[object, ...] = (
    "../../../../dev/null", "/dev/null", "/proc/self/environ", "file:///dev/null", "..\\..\\nul",
    "' OR '1'='1", "k1' UNION SELECT 'AA'--", "k1; DROP TABLE grant", "k1\0", "k1 ", " k1", "K1", "ｋ1", "k1\n",
    "${jndi:ldap://127.0.0.1/}", "| cat /etc/passwd", "%6b1", "k1/../k1", "", "*", "0", "__proto__", "\ud800",
)  # fmt: skip


async def test_s29_a_kid_is_a_name_and_nothing_else(site: Site) -> None:
    """Path, SQL, a command, another spelling of ours, half a character: no such key. And the next good one passes."""
    at = await believing(site, Issuer(key_set("RS256")))
    empty = (b"", b"\0" * 20)  # what /dev/null would have as a secret
    found = await at.all_said({ascii(kid): token(RSA, "RS256", claims(), kid=kid) for kid in KIDS})
    forged = [await at.said(token(key, "HS256", claims(), kid=kid)) for key in empty for kid in KIDS[:4]]
    assert (set(found.values()), set(forged), await at.said(good())) == (INVALID, INVALID, "ok")


ODD_KIDS: tuple[object, ...] = (["k1"], [["k1"]], {"kid": "k1"}, 1, 0, 1.5, True, False, "k" * 257, "é" * 129)


async def test_s29_a_kid_is_a_short_text(site: Site) -> None:
    """No list, object, number or truth; not over 256 bytes; and nobody is asked for such a key."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    before = issuer.fetches
    found = await at.all_said({str(kid)[:20]: token(RSA, "RS256", claims(), kid=kid) for kid in ODD_KIDS})
    assert (set(found.values()), issuer.fetches - before) == (INVALID, 0)


async def test_s29_a_kid_of_ten_thousand_bytes_is_refused(site: Site) -> None:
    """By the head's limits; and by the token's where an operator lets such heads in."""
    issuer = Issuer(key_set("RS256"))
    raw = token(RSA, "RS256", claims(), kid="k" * 10_000)
    tight = await believing(site, issuer)
    wide = await believing(site, issuer, listen={"limits": {"field": "32KiB", "head": "64KiB"}})
    before = issuer.fetches
    found = [(await at.present(raw)).status for at in (tight, wide)]
    assert (found, issuer.fetches - before) == ([431, 401], 0)


@pytest.mark.parametrize("kid", [None, "null"], ids=["absent", "null"])
async def test_s29_a_token_without_a_kid_is_refused(site: Site, kid: str | None) -> None:
    """Though the issuer has one key only: a guess would be one of the attacker's choice when it has two."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    before = issuer.fetches
    head = b'{"alg":"RS256","typ":"JWT"' + (b"" if kid is None else b',"kid":null') + b"}"
    assert await at.said(token(RSA, "RS256", claims(), head)) == "invalid_credential"
    assert issuer.fetches == before


async def test_s29_a_key_of_ours_is_not_an_issuers(site: Site) -> None:
    """The name of one of our own keys, in a token of theirs, and the name of theirs in one of ours."""
    at = await believing(site, Issuer(key_set("RS256")))
    ours = at.running.people.ada.token.split(".")
    head = b64(b'{"alg":"EdDSA","typ":"JWT","kid":"k1"}')
    own_kid = _kid(ours[0])
    found = [await at.said(f"{head}.{ours[1]}.{ours[2]}"), await at.said(token(RSA, "RS256", claims(), kid=own_kid))]
    assert found == ["invalid_credential"] * 2


def _kid(part: str) -> str:
    return str(json.loads(base64.urlsafe_b64decode(part + "=="))["kid"])
