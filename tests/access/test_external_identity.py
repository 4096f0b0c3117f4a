"""Whom a token of an external issuer is about, for linking: the checks of every request, and no account."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from identity.forge import CLAIMS, ISSUER, NOW, private_key, token

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.model import ExternalIdentity

from .world import EXTERNAL, World

RS256 = private_key("RS256")
EMAIL = {"email": "Ada@Example.org", "email_verified": True}


def external(claims: Mapping[str, object] | None = None, **header: object) -> bytes:
    return token(RS256, claims={**CLAIMS, **(claims or {})}, **header)


async def refused(world: World, raw: bytes, now: float = NOW) -> str:
    with pytest.raises(RequestRejected) as caught:
        await world.verifiers.external_identity(raw, now)
    return caught.value.code


async def test_a_good_token_gives_issuer_and_subject() -> None:
    """The `iss` itself, not its name in the configuration."""
    found = await World().verifiers.external_identity(external(), NOW)
    assert found == ExternalIdentity(ISSUER, "alice")


async def test_no_account_is_read_or_made() -> None:
    """Not even where the issuer brings accounts along."""
    world = World(replace(EXTERNAL, provision=True, email_verified=True))
    await world.verifiers.external_identity(external(EMAIL), NOW)
    assert world.store.log == []


@pytest.mark.parametrize(
    ("may_assert", "claims", "email"),
    [
        (True, EMAIL, "Ada@example.org"),
        (False, EMAIL, ""),
        (True, {**EMAIL, "email_verified": False}, ""),
        (True, {**EMAIL, "email_verified": "true"}, ""),
        (True, {**EMAIL, "email_verified": 1}, ""),
        (True, {"email": "ada@example.org"}, ""),
        (True, {**EMAIL, "email": "ada"}, ""),
        (True, {}, ""),
    ],
)
async def test_an_address_counts_where_both_sides_say_so(
    may_assert: bool, claims: dict[str, object], email: str
) -> None:
    """S-41: the issuer may assert it, and says that it verified this one: a true, not a "true"."""
    world = World(replace(EXTERNAL, email_verified=may_assert))
    assert (await world.verifiers.external_identity(external(claims), NOW)).email == email


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "another"}, "invalid_credential"),
        ({"exp": int(NOW) - 1}, "expired_credential"),
        ({"nbf": int(NOW) + 60}, "invalid_credential"),
        ({"sub": ""}, "invalid_credential"),
        ({"iss": "https://elsewhere.example"}, "unknown_issuer"),
    ],
)
async def test_a_token_that_would_not_log_in_links_nothing(claims: dict[str, object], code: str) -> None:
    """The check is the one of every request."""
    assert await refused(World(), external(claims)) == code


async def test_a_forged_token_is_refused() -> None:
    """Signed with somebody else's key."""
    forged = token(private_key("RS256", "another"), claims=CLAIMS)
    assert await refused(World(), forged) == "invalid_credential"


@pytest.mark.parametrize("kid", [None, "k2"])
async def test_a_token_without_a_known_key_is_refused(kid: str | None) -> None:
    """None named, or one that the issuer does not have."""
    assert await refused(World(), external(kid=kid)) == "invalid_credential"


async def test_our_own_token_is_no_external_identity() -> None:
    """Else a session would be its own second proof."""
    world = World()
    assert await refused(world, world.session().raw) == "unknown_issuer"


@pytest.mark.parametrize("raw", [b"", b"myc_secret", b"a.b.c", b"?" * 9000])
async def test_what_is_no_token_is_refused(raw: bytes) -> None:
    """An API key, rubbish, too much of it."""
    assert await refused(World(), raw) == "invalid_credential"


async def test_an_issuer_that_does_not_answer_is_not_a_wrong_token() -> None:
    """Ours, not theirs."""
    world = World()
    world.site.fails = True
    with pytest.raises(DependencyFailed, match="keys_unavailable"):
        await world.verifiers.external_identity(external(), NOW)
