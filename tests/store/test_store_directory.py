"""Conformance: what a cold authentication reads."""

import asyncio

from gateway.identity.accounts import NewAccount
from gateway.identity.grants import secret_digest
from gateway.identity.model import Licence, Ownership

from .world import HOUR, World


async def test_a_grant_is_found_by_its_id(world: World) -> None:
    """The grant of a session comes back as it was issued."""
    grant = await world.grants.issue_session((await world.ada()).id, HOUR)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert standing.grant == grant


async def test_a_standing_has_the_whole_account(world: World) -> None:
    """Names, address, flags and kind are those of the account."""
    new = NewAccount("ada@example.org", username="Ada", name="Ada L.", is_staff=True)
    account = await world.accounts.create_account(new)
    grant = await world.grants.issue_session(account.id, HOUR)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert standing.account == account


async def test_an_opaque_token_is_found_by_its_digest(world: World) -> None:
    """The stored digest is that of the token handed out."""
    handed = await world.grants.issue_opaque((await world.ada()).id, HOUR)
    standing = await world.store.directory.by_secret(secret_digest("opaque", handed.secret.encode()))
    assert standing is not None
    assert standing.grant == handed.grant


async def test_a_connection_string_is_found_by_its_digest(world: World) -> None:
    """The grant carries the tenant and the role that the string is for."""
    account, tenant = await world.manager()
    handed = await world.grants.create_connection_string(account.id, tenant.id, "manager", world.hand.at + 60)
    standing = await world.store.directory.by_secret(secret_digest("connstr", handed.secret.encode()))
    assert standing is not None
    assert standing.grant is not None
    assert (standing.grant.tenant_id, standing.grant.role) == (tenant.id, "manager")


async def test_a_digest_of_the_other_kind_finds_nothing(world: World) -> None:
    """The bytes of an opaque token presented as a connection string are nobody's."""
    handed = await world.grants.issue_opaque((await world.ada()).id, HOUR)
    assert await world.store.directory.by_secret(secret_digest("connstr", handed.secret.encode())) is None


async def test_an_unknown_grant_is_none(world: World) -> None:
    """Nothing found is an answer, not an error."""
    assert await world.store.directory.by_grant("no-such-grant") is None


async def test_a_revoked_grant_is_still_found(world: World) -> None:
    """The caller learns that it is dead, rather than that it never was."""
    grant = await world.grants.issue_session((await world.ada()).id, HOUR)
    await world.grants.revoke(grant.id)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert standing.grant is not None
    assert standing.grant.revoked_at == world.hand.at


async def test_licences_name_the_tenants_own_account(world: World) -> None:
    """A licence is one role assignment, counted against the account made with the tenant."""
    account, tenant = await world.manager()
    grant = await world.grants.issue_session(account.id, HOUR)
    standing = await world.store.directory.by_grant(grant.id)
    (held,) = await world.accounts.assignments(account.id)
    assert standing is not None
    assert standing.licences == (
        Licence(tenant.account_id, "Acme", tenant.id, "manager", held.role_id, "write", verified=True),
    )


async def test_ownerships_are_those_of_the_account(world: World) -> None:
    """The owner of a tenant has it among the ownerships, with the time since."""
    account = await world.ada()
    tenant = await world.accounts.create_tenant("Acme", account.id)
    await world.accounts.create_tenant("Other")
    grant = await world.grants.issue_session(account.id, HOUR)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert standing.ownerships == (Ownership(tenant.id, "Acme", world.hand.at),)


async def test_a_disabled_account_is_told(world: World) -> None:
    """The account's status and its owner's are those of this moment."""
    account = await world.ada()
    grant = await world.grants.issue_session(account.id, HOUR)
    await world.accounts.disable(account.id)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert (standing.account.is_live, standing.account.owner.is_active) == (False, False)


async def test_provisioning_makes_an_account(world: World) -> None:
    """A subject seen for the first time gets an account with the proved address, and no grant."""
    made = await world.store.directory.provision("https://id.example", "s1", "Eve@example.org", "Eve")
    assert (made.account.owner.email, made.account.name, made.grant) == ("Eve@example.org", "Eve", None)


async def test_a_provisioned_subject_is_found_again(world: World) -> None:
    """Issuer and subject together are the key."""
    made = await world.store.directory.provision("https://id.example", "s1", "", "Eve")
    assert await world.store.directory.by_subject("https://id.example", "s1") == made
    assert await world.store.directory.by_subject("https://other.example", "s1") is None


async def test_provisioning_at_once_makes_one_account(world: World) -> None:
    """Eight first requests of one subject end up with the same account."""
    calls = (world.store.directory.provision("https://id.example", "s1", "", "Eve") for _ in range(8))
    assert len({made.account.id for made in await asyncio.gather(*calls)}) == 1


async def test_provisioning_does_not_take_over_an_address(world: World) -> None:
    """An address that an account has proved is not given to an external identity that claims it."""
    ada = await world.ada("ada@example.org")
    made = await world.store.directory.provision("https://id.example", "s1", "ADA@example.org", "Not Ada")
    assert made.account.id != ada.id
    assert made.account.owner.email == ""


async def test_an_account_that_did_not_change_is_the_same_value(world: World) -> None:
    """It is read each time and made once; so what is made of it need be made once."""
    account, _ = await world.manager()
    first, second = [await world.grants.issue_session(account.id, HOUR) for _ in range(2)]
    found = [await world.store.directory.by_grant(grant.id) for grant in (first, second)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].account is found[1].account
    assert found[0].licences is found[1].licences
    assert (found[0].grant, found[1].grant) == (first, second)


async def test_an_account_that_changed_is_seen_at_once(world: World) -> None:
    """A role that was given after the last look, and a status."""
    account, tenant = await world.manager()
    grant = await world.grants.issue_session(account.id, HOUR)
    await world.store.directory.by_grant(grant.id)
    await world.accounts.assign_role(account.id, tenant.id, "auditor", "read")
    await world.accounts.disable(account.id)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert [licence.role for licence in standing.licences] == ["auditor", "manager"]
    assert standing.account.status == "disabled"
