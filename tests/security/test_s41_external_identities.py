"""S-41: somebody of another issuer is who that issuer's `iss` and `sub` say. An address is told, and makes nobody."""

import base64
import json

import pytest
import zstandard
from harness.people import open_people
from harness.site import Site
from identity.forge import rsa_key

from .outside import Door, Issuer, believing, document, good, jwk, key_set

OTHER = "https://other.example"
ADA = "ada@example.org"
THEIRS = rsa_key(name="theirs")
BRINGING = {"provision": True, "email": "verified"}


def profile(at: Door) -> dict[str, object]:
    """What the service was told last."""
    raw = base64.b64decode(at.service.requests[-1].one(b"x-mycelium-profile"))
    found: dict[str, object] = json.loads(zstandard.ZstdDecompressor().decompress(raw))
    return found


async def who(at: Door, raw: bytes) -> object:
    """The account that a token's caller has."""
    assert await at.said(raw, "/secure/x") == "ok"
    return profile(at)["accId"]


@pytest.mark.parametrize("address", [ADA, "ADA@Example.ORG", "ada@ＥＸＡＭＰＬＥ.org", " ada@example.org"])
async def test_s41_an_address_is_not_an_identity(site: Site, address: str) -> None:
    """An issuer that says Ada's address, verified, brings somebody new along: no account, role or tenant of hers."""
    at = await believing(site, Issuer(key_set("RS256"), more=BRINGING))
    people = at.running.people
    found = await who(at, good(email=address, email_verified=True))
    assert (
        found != people.ada.account_id,
        await at.said(good(email=address, email_verified=True, n=1), "/roles/x"),
    ) == (
        True,
        "role_missing",
    )


async def test_s41_an_issuer_that_brings_nobody_along_brings_nobody(site: Site) -> None:
    """Not by an address, either."""
    at = await believing(site, Issuer(key_set("RS256"), more={"email": "verified"}))
    raw = good(email=ADA, email_verified=True)
    assert [await at.said(raw, path) for path in ("/auth/x", "/secure/x", "/roles/x")] == ["ok", *["no_account"] * 2]


async def test_s41_the_same_subject_is_the_same_account(site: Site) -> None:
    """Whatever else changes: address, name, and whether it is verified."""
    at = await believing(site, Issuer(key_set("RS256"), more=BRINGING))
    said = (
        {"email": "a@example.org", "email_verified": True},
        {"email": "b@example.org", "email_verified": True},
        {"name": "B"},
    )
    assert len({await who(at, good(**more)) for more in said}) == 1


async def test_s41_another_subject_is_another_account(site: Site) -> None:
    """Though it is nearly the same, and its address is: by case, by a space, by an invisible character."""
    at = await believing(site, Issuer(key_set("RS256"), more=BRINGING))
    subjects = ("alice", "Alice", "alice ", "alice@id.example", "ａlice", "alicе")  # the last one in Cyrillic
    found = [await who(at, good(sub=one, email="a@example.org", email_verified=True)) for one in subjects]
    assert len(set(found)) == len(subjects)


async def test_s41_a_subject_of_another_issuer_is_another_account(site: Site) -> None:
    """The pair counts: not `sub`, and not the two run together."""
    other = Issuer(document(jwk(THEIRS)), "other", OTHER, BRINGING)
    at = await believing(site, Issuer(key_set("RS256"), more=BRINGING), other)
    found = [await who(at, good()), await who(at, good(THEIRS, iss=OTHER)), await who(at, good(sub=f"{OTHER}alice"))]
    assert len(set(found)) == 3


async def test_s41_an_account_id_is_no_subject(site: Site) -> None:
    """Ours, as an issuer's `sub`: its caller is somebody new."""
    at = await believing(site, Issuer(key_set("RS256"), more=BRINGING))
    ada = at.running.people.ada.account_id
    assert await who(at, good(sub=ada)) != ada


VERIFIED: tuple[object, ...] = ("true", "True", 1, "1", [True], {"true": True}, 1.0, None, False, "yes")


@pytest.mark.parametrize("said", ["verified", "never"])
async def test_s41_an_address_is_told_only_if_it_is_verified(site: Site, said: str) -> None:
    """By the boolean true, and by an issuer that may: else the service gets an empty one."""
    at = await believing(site, Issuer(key_set("RS256"), more={"email": said}))
    found = []
    for number, verified in enumerate((True, *VERIFIED)):
        assert await at.said(good(email="a@example.org", email_verified=verified, n=number)) == "ok"
        found.append(at.service.requests[-1].one(b"x-mycelium-email"))
    told = b"a@example.org" if said == "verified" else b""
    assert (found[0], set(found[1:])) == (told, {b""})


ADDRESSES: tuple[object, ...] = (
    "ada@example.org@evil.example", "ada＠example.org", "a@b\r\nx-mycelium-profile: x", "a@b\0", "", "@", "a" * 300,
    ["a@example.org"], {"a": 1}, 5, True, "a b@example.org", "<a@example.org>",
    '"ada"@example.org', "ada(x)@example.org", "ada@[127.0.0.1]", "ada,eve@example.org", "ada@example.org.",
)  # fmt: skip


async def test_s41_an_address_that_is_none_is_not_told(site: Site) -> None:
    """Though it is verified; and the caller is who it is all the same."""
    at = await believing(site, Issuer(key_set("RS256"), more={"email": "verified"}))
    found = set()
    for number, address in enumerate(ADDRESSES):
        assert await at.said(good(email=address, email_verified=True, n=number)) == "ok"
        found.add(at.service.requests[-1].one(b"x-mycelium-email"))
    assert found == {b""}


async def test_s41_an_address_logs_nobody_in_to_what_an_issuer_made(site: Site) -> None:
    """An issuer brings somebody along under an address that is nobody's yet: a link that is mailed there leads to its
    own holder's account, or to none, and never makes Ada's anybody else's."""
    at = await believing(site, Issuer(key_set("RS256"), more=BRINGING))
    await who(at, good(sub="eve", email=ADA, email_verified=True))
    store = await open_people(at.running.people)
    try:
        found = await store.changes().accounts.by_email(ADA)
        standing = await store.directory.by_subject("https://id.example", "eve")
    finally:
        await store.aclose()
    assert found is not None
    assert standing is not None
    assert (found.id, standing.account.id == found.id) == (at.running.people.ada.account_id, False)


async def test_s41_a_link_to_an_issuer_needs_both_proofs(site: Site) -> None:
    """A session and a token of the issuer's: neither alone, nor a token that is wrong in any way."""
    at = await believing(site, Issuer(key_set("RS256")))
    people = at.running.people
    client = await site.client(at.running)

    async def link(field: bytes, raw: bytes) -> int:
        body = json.dumps({"token": raw.decode()}).encode()
        kind = b"Content-Type: application/json"
        return (await client.ask("/_adm/beginners/users/links", field, kind, method="POST", body=body)).status

    thief = good(rsa_key(name="thief"))
    stranger = b"Authorization: Bearer " + good()
    refused = [await link(people.ada.field, thief), await link(people.ada.field, people.bob.token.encode())]
    refused += [await link(stranger, good(n=1)), await link(people.ada.field, good(exp=1))]
    linked = await link(people.ada.field, good(n=2))
    taken = await link(people.bob.field, good(n=3))
    assert (all(400 <= status < 500 for status in refused), linked, taken) == (True, 200, 409)
    assert await who(at, good(n=4)) == people.ada.account_id
