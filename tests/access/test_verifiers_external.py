"""What tokens of external issuers make a principal of, and which are refused."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from identity.forge import AUDIENCE, ISSUER, NOW, jwk, rsa_key, token

from gateway.access.verifiers import ExternalIssuer
from gateway.identity.model import Account, Principal, Standing
from gateway.wire.credentials import Presented

from .presenting import DEAD, RS256, accepted, external, refused
from .world import ACCOUNT, ALICE, EXTERNAL, LICENCES, OWNERSHIPS, PUBLIC_URL, World


async def test_an_external_caller_without_account_is_a_principal_without_one() -> None:
    """Named by its own subject; authorization decides where that is enough."""
    found = await accepted(World(), external())
    assert found == Principal("alice", "", "acme", NOW + 600)


async def test_an_external_caller_is_the_account_linked_to_issuer_and_subject() -> None:
    """S-41: the pair, never the address."""
    world = World()
    world.store.standings[(ISSUER, "alice")] = Standing(ALICE, None, LICENCES, OWNERSHIPS)
    found = await accepted(world, external())
    assert (found.subject, found.account, found.licences, found.issuer) == (ACCOUNT, ALICE, LICENCES, "acme")


@pytest.mark.parametrize("account", DEAD, ids=lambda account: f"{account.status} {account.deleted}")
async def test_an_external_caller_with_a_dead_account_is_refused(account: Account) -> None:
    """A good token of a good issuer does not revive it."""
    world = World()
    world.store.standings[(ISSUER, "alice")] = Standing(account, None)
    assert await refused(world, external()) == "revoked_credential"


@pytest.mark.parametrize(("provision", "accounts"), [(False, 0), (True, 1)])
async def test_an_account_is_made_on_first_sight_only_if_configured(provision: bool, accounts: int) -> None:
    """provision: true."""
    world = World(replace(EXTERNAL, provision=provision))
    found = await accepted(world, external())
    assert len(world.store.provisioned) == accounts
    assert (found.account is not None) is provision


@pytest.mark.parametrize(
    ("claims", "trusted", "email"),
    [
        ({"email": "a@b.example", "email_verified": True}, True, "a@b.example"),
        ({"email": "a@b.example", "email_verified": True}, False, ""),
        ({"email": "a@b.example", "email_verified": "true"}, True, ""),
        ({"email": "a@b.example", "email_verified": 1}, True, ""),
        ({"email": "a@b.example", "email_verified": False}, True, ""),
        ({"email": "a@b.example"}, True, ""),
        ({"email": ["a@b.example"], "email_verified": True}, True, ""),
        ({"email": "a@b@c.example", "email_verified": True}, True, ""),
        ({"email": "a\r\nx: y@b.example", "email_verified": True}, True, ""),
        ({"email": "a＠b.example", "email_verified": True}, True, ""),
        ({"email": "a@b.example\x00", "email_verified": True}, True, ""),
        ({"email": "a" * 65 + "@b.example", "email_verified": True}, True, ""),
        ({"email": "a" * 64 + "@b.example", "email_verified": True}, True, "a" * 64 + "@b.example"),
        ({"email": "", "email_verified": True}, True, ""),
    ],
)
async def test_an_address_counts_only_if_verified_by_an_issuer_that_may(
    claims: Mapping[str, object], trusted: bool, email: str
) -> None:
    """S-41: email_verified is the boolean true, and the configuration believes this issuer."""
    world = World(replace(EXTERNAL, provision=True, email_verified=trusted))
    await accepted(world, external(claims, name="Ada"))
    assert world.store.provisioned == [(ISSUER, "alice", email, "Ada")]


@pytest.mark.parametrize(
    ("name", "stored"), [("Ada", "Ada"), ("Zoë", "Zoë"), ("a\nb", ""), ("\ud800", ""), (7, ""), ("n" * 257, "")]
)
async def test_a_name_is_taken_only_if_it_is_a_short_text(name: object, stored: str) -> None:
    """It ends up in a database and in pages."""
    world = World(replace(EXTERNAL, provision=True))
    await accepted(world, external(name=name))
    assert world.store.provisioned[0][3] == stored


@pytest.mark.parametrize("subject", [None, "", 7, True, ["alice"], "a" * 256, "a\nb", "\ud800"], ids=repr)
async def test_an_external_token_without_a_usable_subject_is_invalid(subject: object) -> None:
    """Nobody could be linked to it."""
    assert await refused(World(), external(sub=subject)) == "invalid_credential"


@pytest.mark.parametrize(("subject", "read"), [("a" * 255, "a" * 255), ("auth0|x y", "auth0|x y")])
async def test_a_subject_is_kept_as_it_is(subject: str, read: str) -> None:
    """Case-sensitive, up to 255 characters."""
    assert (await accepted(World(), external(sub=subject))).subject == read


@pytest.mark.parametrize(("subject", "code"), [(7, None), (True, "invalid_credential"), (7.5, "invalid_credential")])
async def test_a_number_is_a_subject_only_where_configured(subject: object, code: str | None) -> None:
    """verify_sub: false."""
    world = World(replace(EXTERNAL, verify_sub=False))
    if code is None:
        assert (await accepted(world, external(sub=subject))).subject == "7"
    else:
        assert await refused(world, external(sub=subject)) == code


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "a b"}, {"a", "b"}),
        ({"scope": ""}, set()),
        ({"scp": ["a", "b", 1]}, {"a", "b"}),
        ({"scp": "a"}, {"a"}),
        ({"scope": "a", "scp": "b"}, {"a"}),
        ({"scope": {"a": 1}}, set()),
        ({}, set()),
    ],
)
async def test_scopes_are_read_as_issuers_write_them(claims: Mapping[str, object], scopes: set[str]) -> None:
    """Text with spaces, or a list."""
    assert (await accepted(World(), external(claims))).scopes == scopes


async def test_an_external_issuers_word_on_second_factors_does_not_count() -> None:
    """No setting says whom to believe."""
    assert (await accepted(World(), external(acr="aal2", amr=["mfa", "otp"]))).aal == 1


@pytest.mark.parametrize("issuer", [ISSUER + "/", ISSUER.upper(), "https://evil.example", "", "internal", "acme"])
async def test_an_issuer_is_known_by_its_exact_name(issuer: str) -> None:
    """S-30: no trailing slash, no other case; and nothing is fetched for a stranger."""
    world = World()
    assert await refused(world, external(iss=issuer)) == "unknown_issuer"
    assert world.site.fetches == 0


SECOND = ExternalIssuer("other", "https://other.example", (AUDIENCE,), frozenset({"RS256"}), leeway=0)


async def test_a_token_of_one_issuer_does_not_pass_for_another() -> None:
    """S-30: issuer A's key under issuer B's name is a wrong signature, though the kid is the same."""
    world = World(EXTERNAL, SECOND)
    await accepted(world, external())
    world.site.publish(jwk(rsa_key(name="other")))
    assert await refused(world, external(iss=SECOND.issuer)) == "invalid_credential"


async def test_an_external_token_signed_with_our_own_name_is_invalid() -> None:
    """Our own issuer has our own keys only."""
    assert await refused(World(), external(iss=PUBLIC_URL)) == "invalid_credential"


@pytest.mark.parametrize("header", [{"kid": None}, {"alg": "PS256"}, {"alg": "HS256"}, {"alg": "none"}], ids=str)
async def test_a_token_that_no_key_could_verify_causes_no_fetch(header: dict[str, object]) -> None:
    """Without a kid, or with an algorithm that the issuer does not use."""
    world = World()
    assert await refused(world, Presented("jwt", token(RS256, **header))) == "invalid_credential"
    assert world.site.fetches == 0


async def test_an_unknown_kid_is_invalid_when_the_issuer_says_so() -> None:
    """It was asked, and does not have it."""
    assert await refused(World(), Presented("jwt", token(RS256, kid="gone"))) == "invalid_credential"


@pytest.mark.parametrize(
    "issuers",
    [
        (EXTERNAL, replace(SECOND, name="acme")),
        (EXTERNAL, replace(SECOND, issuer=ISSUER)),
        (replace(EXTERNAL, name="internal"),),
        (replace(EXTERNAL, issuer=PUBLIC_URL),),
    ],
    ids=["same name", "same iss", "our name", "our iss"],
)
def test_issuers_that_could_be_mistaken_for_each_other_are_refused(issuers: tuple[ExternalIssuer, ...]) -> None:
    """At start, not on the first token."""
    with pytest.raises(ValueError, match="two issuers"):
        World(*issuers)
