"""S-30: a key belongs to one issuer, an issuer has one spelling, and a route may believe only some of them."""

import base64
import json

from harness.client import request
from harness.site import Site
from identity.forge import private_key, rsa_key, token

from .outside import ISSUER, Issuer, believing, claims, document, good, jwk, key_set

OTHER = "https://other.example"
RSA, THEIRS = private_key("RS256"), rsa_key(name="theirs")


def two() -> tuple[Issuer, Issuer]:
    """Each has a key called k1."""
    return Issuer(key_set("RS256")), Issuer(document(jwk(THEIRS)), "other", OTHER)


async def test_s30_a_kid_that_two_issuers_share_is_two_keys(site: Site) -> None:
    """Each verifies its own issuer's tokens, in whatever order they come (CVE-2026-49998)."""
    at = await believing(site, *two())
    one, other = good(RSA), good(THEIRS, iss=OTHER)
    again = [good(RSA, n=1), good(THEIRS, iss=OTHER, n=1)]
    assert [await at.said(raw) for raw in (one, other, *again)] == ["ok"] * 4


async def test_s30_an_issuer_does_not_sign_for_another(site: Site) -> None:
    """A's key under B's `iss` and the reverse, before and after the right ones were seen."""
    at = await believing(site, *two())
    crossed = [good(RSA, iss=OTHER), good(THEIRS)]
    before = [await at.said(raw) for raw in crossed]
    seen = [await at.said(raw) for raw in (good(RSA), good(THEIRS, iss=OTHER))]
    after = [await at.said(good(RSA, iss=OTHER, n=1)), await at.said(good(THEIRS, n=1))]
    assert (before, seen, after) == (["invalid_credential"] * 2, ["ok"] * 2, ["invalid_credential"] * 2)


async def test_s30_an_issuer_is_not_asked_for_anothers_key(site: Site) -> None:
    """A `kid` that only B has, in a token of A: A is asked once, B never."""
    one, other = Issuer(key_set("RS256")), Issuer(key_set("RS256", kid="only-theirs"), "other", OTHER)
    at = await believing(site, one, other)
    before = (one.fetches, other.fetches)
    found = await at.said(token(RSA, "RS256", claims(), kid="only-theirs"))
    assert (found, one.fetches - before[0], other.fetches - before[1]) == ("invalid_credential", 1, 0)


SPELLINGS = (
    f"{ISSUER}/", "https://ID.example", "HTTPS://id.example", "https://id.example:443", "https://id.example.",
    f" {ISSUER}", f"{ISSUER} ", "http://id.example", "id.example", "https://id.example/../", f"{ISSUER}#", f"{ISSUER}?",
    "https://id.example@evil.example", "https://id.example.evil.example", "https://id.examp1e", "https://ⅰd.example",
    f"{ISSUER}\0", f"{ISSUER}\n", "https://%69d.example", "", "*",
)  # fmt: skip


async def test_s30_an_issuer_has_one_spelling(site: Site) -> None:
    """The signature is right; nothing is fetched for a stranger."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    before = issuer.fetches
    found = await at.all_said({ascii(iss): good(RSA, iss=iss) for iss in SPELLINGS})
    assert (set(found.values()), issuer.fetches - before) == ({"unknown_issuer"}, 0)


async def test_s30_an_issuer_is_a_text(site: Site) -> None:
    """No list with the right one in it, no object, number or nothing."""
    at = await believing(site, Issuer(key_set("RS256")))
    odd: tuple[object, ...] = ([ISSUER], [ISSUER, OTHER], {"iss": ISSUER}, 1, True, None)
    found = await at.all_said({str(iss): good(RSA, iss=iss) for iss in odd})
    assert set(found.values()) == {"invalid_credential"}


async def test_s30_the_host_of_a_request_is_no_issuer(site: Site) -> None:
    """Neither ours nor theirs: whatever `Host` and forwarding fields say, `iss` is what was configured."""
    issuer = Issuer(key_set("RS256"))
    at = await believing(site, issuer)
    raw, own = good(RSA, iss="http://evil.example"), at.running.people.ada.token
    found = []
    for bearer in (raw, own.encode()):
        client = await site.client(at.running)
        more = [b"X-Forwarded-Host: evil.example", b"Forwarded: host=evil.example", b"Authorization: Bearer " + bearer]
        await client.send(request("/auth/x", *more, host=b"evil.example"))
        found.append((await client.answer()).status)
    assert found == [401, 200]


async def test_s30_an_external_issuer_does_not_speak_for_us(site: Site) -> None:
    """Our `iss`, our `kid`, the account and grant of somebody: signed with the key of an issuer that we believe."""
    at = await believing(site, Issuer(key_set("RS256")))
    head, payload, _ = at.running.people.ada.token.split(".")
    said, body = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, payload))
    found = [await at.said(token(RSA, "RS256", body, kid=kid)) for kid in ("k1", said["kid"])]
    assert found == ["invalid_credential"] * 2


async def test_s30_a_claim_of_ours_in_a_token_of_theirs_is_not_believed(site: Site) -> None:
    """`sid`, `sub`, roles and ranks of ours: the caller stays a stranger without an account."""
    at = await believing(site, Issuer(key_set("RS256")))
    ada = at.running.people.ada
    more = {"sid": ada.grant_id, "roles": ["manager"], "is_staff": True, "aal": 2, "tid": at.running.people.tenant_id}
    raw = good(RSA, sub=ada.account_id, **more)
    assert [await at.said(raw, path) for path in ("/auth/x", "/secure/x", "/roles/x")] == ["ok", *["no_account"] * 2]


ROUTES = [
    {"path": "/acme/**", "access": {"kind": "authenticated", "issuers": ["acme"]}},
    {"path": "/other/**", "access": {"kind": "authenticated", "issuers": ["other"]}},
    {"path": "/ours/**", "access": {"kind": "authenticated", "issuers": ["internal"]}},
    {"path": "/both/**", "access": {"kind": "authenticated", "issuers": ["acme", "internal"]}},
    {"path": "/auth/**", "access": "authenticated"},
]


async def test_s30_a_route_believes_the_issuers_that_it_names(site: Site) -> None:
    """And no others, though they are good elsewhere; on a cold and on a warm cache."""
    at = await believing(site, *two(), routes=ROUTES)
    who = {"acme": good(RSA), "other": good(THEIRS, iss=OTHER), "ours": at.running.people.ada.token.encode()}
    paths = [f"/{path}/x" for path in ("acme", "other", "ours", "both", "auth")]
    found = {
        name: [[await at.said(raw, path) == "ok" for path in paths] for _ in range(2)] for name, raw in who.items()
    }
    assert found == {
        "acme": [[True, False, False, True, True]] * 2,
        "other": [[False, True, False, False, True]] * 2,
        "ours": [[False, False, True, True, True]] * 2,
    }
