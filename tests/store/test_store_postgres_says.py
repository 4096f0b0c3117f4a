"""What PostgreSQL says otherwise than SQLite, and what of it is passed on."""

from collections.abc import AsyncIterator

import pytest
from harness.postgres import Postgres

from gateway.errors import RequestRejected
from gateway.store.schema import migrate

from .world import HOUR, World, change


@pytest.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    """In the place of every store's."""
    async with postgres.database("migrated", migrate) as address:
        yield address


async def test_an_error_does_not_show_the_values(world: World) -> None:
    """PostgreSQL's DETAIL has the whole row in it, or the key that is taken."""
    await world.ada("s3cret@example.org")
    for statement in (
        "INSERT INTO email SELECT 99, account_id, address, key, true, 1 FROM email",
        "INSERT INTO role (id, slug, created_at) VALUES ('x', 's3cret', NULL)",
    ):
        with pytest.raises(Exception, match="violates") as caught:
            await change(world.url, statement)
        text, error = "", caught.value
        while error is not None:
            text, error = f"{text} {error}", error.__cause__ or error.__context__  # type: ignore[assignment]
        assert "s3cret@" not in text
        assert "null, s3cret" not in text


async def test_a_text_that_it_cannot_store_is_nobodys(world: World) -> None:
    """A NUL: SQLite keeps one, PostgreSQL does not. No outage is told for it."""
    assert await world.store.directory.by_subject("https://id.example", "a\0b") is None
    with pytest.raises(RequestRejected, match="invalid_value"):
        await world.store.directory.provision("https://id.example", "a\0b", "", "Eve")


async def test_licences_do_not_depend_on_the_order_of_the_server(world: World) -> None:
    """They are sorted here."""
    account, tenant = await world.manager()
    for slug in ("b", "a", "c"):
        await world.accounts.assign_role(account.id, tenant.id, slug, "read")
    grant = await world.grants.issue_session(account.id, HOUR)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert [licence.role for licence in standing.licences] == ["a", "b", "c", "manager"]


async def test_ownerships_have_the_time_as_a_number_with_a_point(world: World) -> None:
    """JSON of PostgreSQL writes 1800000000.0 without it."""
    account = await world.ada()
    await world.accounts.create_tenant("Acme", account.id)
    grant = await world.grants.issue_session(account.id, HOUR)
    standing = await world.store.directory.by_grant(grant.id)
    assert standing is not None
    assert [type(owned.since) for owned in standing.ownerships] == [float]
