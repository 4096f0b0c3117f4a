"""One check per form of credential: what makes a principal, and with which code the rest is refused."""

from dataclasses import replace

import pytest
from identity.forge import NOW, signing_key

from gateway.access.verifiers import OwnTokens, Verifiers
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.model import Account, MacKey, Principal, SigningKey
from gateway.wire.credentials import Presented

from .presenting import DEAD, accepted, external, own, refused
from .world import ACCOUNT, ALICE, EXTERNAL, GRANT, HOUR, LICENCES, MAC, OWNERSHIPS, PUBLIC_URL, TENANT, World


async def test_a_session_token_gives_the_account_of_its_grant() -> None:
    """Everything comes from the store; the token only names the grant."""
    world = World()
    found = await accepted(world, world.session(aal=2, scopes=frozenset({"a"})))
    assert found == Principal(
        subject=ACCOUNT,
        email="ada@example.org",
        issuer="internal",
        expires_at=NOW + HOUR,
        account=ALICE,
        grant_id=GRANT,
        licences=LICENCES,
        ownerships=OWNERSHIPS,
        scopes=frozenset({"a"}),
        aal=2,
        grant_kind="session",
    )


async def test_a_connection_string_fixes_tenant_and_role() -> None:
    """As its grant says."""
    world = World()
    found = await accepted(world, world.connection())
    assert (found.tenant_id, found.role, found.issuer) == (TENANT, "manager", "internal")


async def test_a_connection_string_for_reading_leaves_no_write_permission() -> None:
    """A grant fixed to `read` narrows what the account may write."""
    world = World()
    found = await accepted(world, world.connection(permission="read"))
    assert {licence.permission for licence in found.licences} == {"read"}


async def test_an_opaque_token_gives_the_account_of_its_grant() -> None:
    """Found by its digest alone."""
    world = World()
    assert (await accepted(world, world.opaque())).grant_id == GRANT


@pytest.mark.parametrize("form", ["session", "opaque", "connection"])
async def test_a_restricted_grant_makes_a_restricted_principal(form: str) -> None:
    """S-46: authorization refuses it everywhere."""
    world = World()
    assert (await accepted(world, getattr(world, form)(restricted=True))).restricted


@pytest.mark.parametrize("form", ["session", "opaque", "connection"])
async def test_a_revoked_grant_is_refused(form: str) -> None:
    """Whatever the signature says."""
    world = World()
    assert await refused(world, getattr(world, form)(revoked_at=NOW - 1)) == "revoked_credential"


@pytest.mark.parametrize("account", DEAD, ids=lambda account: f"{account.status} {account.deleted}")
@pytest.mark.parametrize("form", ["session", "opaque"])
async def test_the_credential_of_a_dead_account_is_refused(form: str, account: Account) -> None:
    """Disabled, pending, deleted or archived: not live."""
    world = World()
    assert await refused(world, getattr(world, form)(account=account)) == "revoked_credential"


@pytest.mark.parametrize("form", ["session", "opaque", "connection"])
async def test_an_expired_grant_is_refused(form: str) -> None:
    """It may end before the credential does."""
    world = World()
    assert await refused(world, getattr(world, form)(expires_at=NOW)) == "expired_credential"


@pytest.mark.parametrize("form", ["session", "opaque", "connection"])
async def test_the_earlier_end_counts(form: str) -> None:
    """Of the grant and the credential."""
    world = World()
    assert (await accepted(world, getattr(world, form)(expires_at=NOW + 1))).expires_at == NOW + 1


@pytest.mark.parametrize(
    ("form", "presentation"), [("session", "opaque"), ("opaque", "connstr"), ("connection", "jwt")]
)
async def test_a_grant_is_good_in_its_own_form_only(form: str, presentation: str) -> None:
    """A session's id in an API key's place opens nothing."""
    world = World()
    assert await refused(world, getattr(world, form)(presentation=presentation)) == "invalid_credential"


async def test_an_unknown_opaque_token_is_invalid() -> None:
    """There is nothing to say about it."""
    assert await refused(World(), Presented("opaque", b"myc_unknown")) == "invalid_credential"


async def test_a_connection_string_as_bearer_is_invalid() -> None:
    """Its digest is another one, by its domain."""
    world = World()
    assert await refused(world, Presented("opaque", world.connection().raw)) == "invalid_credential"


async def test_a_signed_connection_string_without_grant_is_revoked() -> None:
    """We made it once; now it is gone."""
    world = World()
    presented = world.connection()
    world.store.standings.clear()
    assert await refused(world, presented) == "revoked_credential"


async def test_a_connection_string_of_an_unknown_mac_key_is_invalid() -> None:
    """And the store is not asked about it."""
    world = World()
    assert await refused(world, world.connection(key=MacKey(1, b"x" * 64))) == "invalid_credential"
    assert "by_secret" not in world.store.log


async def test_a_connection_string_of_an_older_mac_key_is_accepted() -> None:
    """Every live key is tried."""
    world = World()
    world.store.macs = [MacKey(2, b"n" * 64), MAC]
    assert (await accepted(world, world.connection())).grant_id == GRANT


@pytest.mark.parametrize("raw", [b"", b"acc=1", b"acc=;tid=;r=;edt=;sig=", b"AAAA", b"\xff"])
async def test_what_is_no_connection_string_is_invalid(raw: bytes) -> None:
    """401, whatever the bytes."""
    with pytest.raises(RequestRejected, match="invalid_credential"):
        await World().verifiers.principal(Presented("connection_string", raw), NOW)


@pytest.mark.parametrize(("now", "code"), [(NOW + 10, "expired_credential"), (NOW + 9.999, None)])
async def test_a_connection_string_ends_on_its_expiry(now: float, code: str | None) -> None:
    """Both sides of it."""
    world = World()
    presented = world.connection(until=NOW + 10)
    if code is None:
        assert (await accepted(world, presented, now)).expires_at == NOW + 10
    else:
        assert await refused(world, presented, now) == code


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "gateway"},
        {"aud": None},
        {"exp": None},
        {"sid": None},
        {"sid": 1},
        {"sid": "not-a-uuid"},
        {"sub": None},
        {"sub": "ac000000-0000-4000-8000-000000000009"},
        {"typ": "assertion+jwt"},
        {"typ": "at+jwt"},
        {"typ": ""},
        {"key": signing_key("EdDSA", "unknown")},
        {"key": signing_key("ES256", "k1")},
        {"key": signing_key("EdDSA", "a1", purpose="assertion")},
    ],
    ids=str,
)
async def test_an_internal_token_that_does_not_fit_is_invalid(changes: dict[str, object]) -> None:
    """Another audience, no grant, another account, another type, a key that is not for tokens."""
    world = World()
    world.session()
    assert await refused(world, own(**changes)) == "invalid_credential"  # type: ignore[arg-type]


async def test_an_assertion_is_no_credential() -> None:
    """Its issuer is not ours, so nothing about it is even looked up."""
    world = World()
    presented = own(signing_key("EdDSA", "a1", purpose="assertion"), "assertion+jwt", iss=PUBLIC_URL + "/assertion")
    assert await refused(world, presented) == "unknown_issuer"


async def test_an_internal_token_whose_grant_is_gone_is_revoked() -> None:
    """It was signed by us."""
    assert await refused(World(), own()) == "revoked_credential"


async def test_an_expired_internal_token_is_expired() -> None:
    """Before the store is asked."""
    world = World()
    assert await refused(world, own(exp=int(NOW) - 1)) == "expired_credential"
    assert "by_grant" not in world.store.log


async def test_a_token_of_hs512_is_accepted_when_the_key_is_ours() -> None:
    """The option for clients that expect what Mycelium issues."""
    world = World()
    world.store.signing = [signing_key("HS512")]
    assert (await accepted(world, world.session())).grant_id == GRANT


@pytest.mark.parametrize(("behind", "code"), [(30, None), (31, "invalid_credential")])
async def test_a_token_of_a_node_whose_clock_is_ahead_is_good(behind: int, code: str | None) -> None:
    """A login on one node is followed at once by a request to another, whose clock is behind."""
    world = World()
    presented = world.session()
    if code is None:
        assert (await accepted(world, presented, NOW - behind)).account == ALICE
    else:
        assert await refused(world, presented, NOW - behind) == code


async def test_our_own_keys_are_read_once() -> None:
    """Not for each credential."""
    world = World()
    for _ in range(3):
        await accepted(world, world.session())
    assert world.store.log.count("signing_keys") == 1


@pytest.mark.parametrize(("seconds", "loads"), [(0.999, 1), (1.0, 2)])
async def test_an_unknown_kid_of_ours_reads_the_keys_again_once_a_second(seconds: float, loads: int) -> None:
    """Another node may have rotated them; a flood of random ones costs one read a second."""
    world = World()
    await accepted(world, world.session())
    world.time.pass_(seconds)
    for number in range(10):
        await refused(world, own(signing_key("EdDSA", f"random-{number}")))
    assert world.store.log.count("signing_keys") == loads


async def test_a_new_key_of_ours_is_accepted_after_the_reload() -> None:
    """The other half of the rule."""
    world = World()
    await accepted(world, world.session())
    world.store.signing = [signing_key("ES256", "k2")]
    world.time.pass_(1)
    assert (await accepted(world, world.session())).grant_id == GRANT


async def test_keys_that_change_while_they_are_read_are_read_again() -> None:
    """Else the old ones would be kept for good."""
    world = World()

    def rotate() -> None:
        world.store.during = lambda: None
        world.store.signing = [signing_key("ES256", "k2")]
        world.verifiers.forget_keys()

    world.store.during = rotate
    await world.verifiers.reload_keys()
    assert await refused(world, own()) == "invalid_credential"


async def test_a_stored_key_that_cannot_be_used_is_our_failure() -> None:
    """S-26: 503, and nobody is let in or turned away for it."""
    world = World()
    world.store.signing = [SigningKey("k1", "EdDSA", b"broken", "active")]
    with pytest.raises(DependencyFailed, match="store_unavailable"):
        await accepted(world, own())


async def test_whoever_signs_is_told_of_the_keys() -> None:
    """All of them, at each load."""
    told: list[object] = []
    world = World()
    verifiers = Verifiers(
        world.store, world.store, world.jwks, OwnTokens("a", "a"), (), world.time.clock, on_keys=told.append
    )
    await verifiers.reload_keys()
    assert told == [tuple(world.store.signing)]


async def test_whoever_signs_is_told_that_the_keys_are_void() -> None:
    """Else assertions would be signed with a key that was withdrawn."""
    told: list[object] = []
    world = World()
    verifiers = Verifiers(
        world.store, world.store, world.jwks, OwnTokens("a", "a"), (), world.time.clock, on_keys=told.append
    )
    await verifiers.reload_keys()
    verifiers.forget_keys()
    assert told[1:] == [()]


async def test_keys_that_are_void_are_read_again_for_an_opaque_token() -> None:
    """It needs none of them to be verified; the assertion about its caller does."""
    world = World()
    presented = world.opaque()
    await accepted(world, presented)
    world.verifiers.forget_keys()
    world.store.log.clear()
    await accepted(world, presented)
    assert world.store.log[:2] == ["signing_keys", "mac_keys"]


@pytest.mark.parametrize("port", ["by_grant", "signing_keys", "mac_keys"])
async def test_a_store_that_is_down_is_our_failure_for_a_session(port: str) -> None:
    """S-26: fault injection at every await; never a 401, never a pass."""
    world = World()
    presented = world.session()
    world.store.down = {port}
    with pytest.raises(DependencyFailed, match="store_unavailable"):
        await accepted(world, presented)


@pytest.mark.parametrize("port", ["by_secret", "signing_keys", "mac_keys"])
async def test_a_store_that_is_down_is_our_failure_for_a_connection_string(port: str) -> None:
    """S-26: as above."""
    world = World()
    presented = world.connection()
    world.store.down = {port}
    with pytest.raises(DependencyFailed, match="store_unavailable"):
        await accepted(world, presented)


async def test_a_store_that_is_down_is_our_failure_for_an_opaque_token() -> None:
    """S-26: as above."""
    world = World()
    world.store.down = {"by_secret"}
    with pytest.raises(DependencyFailed, match="store_unavailable"):
        await accepted(world, world.opaque())


@pytest.mark.parametrize("port", ["by_subject", "provision"])
async def test_a_store_that_is_down_is_our_failure_for_an_external_token(port: str) -> None:
    """S-26: as above."""
    world = World(replace(EXTERNAL, provision=True))
    world.store.down = {port}
    with pytest.raises(DependencyFailed, match="store_unavailable"):
        await accepted(world, external())


async def test_an_issuer_that_is_down_is_our_failure() -> None:
    """S-26: 503 keys_unavailable."""
    world = World()
    world.site.fails = True
    with pytest.raises(DependencyFailed, match="keys_unavailable"):
        await accepted(world, external())
