"""Conformance: migrations keep what is there, run once however many want to, and leave nothing of a failed one."""

import asyncio
import itertools
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from harness.postgres import Postgres
from sqlalchemy import Connection, text

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.store import schema
from gateway.store.engines import engine_of
from gateway.store.revision import NEWEST
from gateway.store.sql import open_store

from .conftest import ENGINES
from .world import MASTER_KEY, change, rows

ROWS = (
    "INSERT INTO account (id, num, kind, status, name, user_id, username, username_key, approved, archived, deleted,"
    " is_staff, is_manager, created_at, updated_at) VALUES ('a1', 7, 'human', 'active', 'Ada', 'u1', 'ada', 'ada',"
    " true, false, false, true, false, 1800000000.25, 1800000000.25)",
    "INSERT INTO email (account_id, address, key, is_primary, verified_at) VALUES ('a1', 'Ada@x', 'ada@x', true, 1.5)",
    "INSERT INTO password (account_id, phc, set_at, must_change) VALUES ('a1', 'phc', 1, false)",
    "INSERT INTO grant_ (id, account_id, kind, presentation, dialect, prefix, name, scopes, aal, amr, restricted,"
    " created_at, expires_at) VALUES ('g1', 'a1', 'session', 'jwt', 'mycelium', '', '', 'a b', 1, 'pwd', false, 1, 2)",
    "INSERT INTO revocation (at, kind, subject) VALUES (1, 'grant', 'x')",
    "INSERT INTO revocation (at, kind, subject) VALUES (2, 'grant', 'y')",
    "DELETE FROM revocation WHERE subject = 'x'",
)


@pytest.fixture(params=ENGINES)
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/gateway.db"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        async with server.database() as url:
            yield url


def to(revision: str) -> Callable[[Connection], None]:
    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    return upgrade


async def fill(url: str) -> None:
    """At the first revision, with rows."""
    database = engine_of(url).migrating()
    async with database.writing() as connection:
        await connection.run_sync(to("0001"))
        for statement in ROWS:
            await connection.execute(text(statement))
    await database.aclose()


async def test_what_was_there_before_is_there_afterwards(empty: str) -> None:
    """Rows of the first revision, read by this program."""
    await fill(empty)
    assert await schema.migrate(empty) == ("0001", NEWEST)
    store = await open_store(empty, MASTER_KEY, Clock())
    standing = await store.directory.by_grant("g1")
    assert standing is not None
    assert standing.grant is not None
    account = await store.accounts.account("a1")
    assert (account, account.num, account.epoch, account.owner.email) == (standing.account, 7, 0, "Ada@x")
    assert (standing.grant.scopes, standing.grant.idle) == (frozenset("ab"), None)
    await store.aclose()


async def test_revocations_are_numbered_on_from_where_they_were(empty: str) -> None:
    """A poller that goes on over an upgrade misses none."""
    await fill(empty)
    await schema.migrate(empty)
    store = await open_store(empty, MASTER_KEY, Clock())
    assert await store.revocations.latest() == 2
    await store.accounts.set_status("a1", "disabled")
    assert [row.id for row in await store.revocations.since(2)] == [3]
    await store.aclose()


@pytest.mark.parametrize("prepare", [None, fill])
async def test_of_several_that_migrate_at_once_each_revision_is_done_once(
    empty: str, prepare: Callable[[str], AsyncIterator[None]] | None
) -> None:
    """From nothing as from the first revision: done twice, a revision would fail at its own tables."""
    if prepare is not None:
        await fill(empty)
    found = await asyncio.gather(*(schema.migrate(empty) for _ in range(8)))
    first = None if prepare is None else "0001"
    assert {after for _, after in found} == {NEWEST}
    assert first in {before for before, _ in found}
    assert await rows(empty, "SELECT version_num FROM alembic_version") == [(NEWEST,)]


async def test_a_migration_that_fails_leaves_what_was_there(empty: str) -> None:
    """The tables of the first revision stay as they are, and their rows."""
    await fill(empty)
    await change(empty, "CREATE TABLE telegram_bot (x INTEGER)")  # in the way of the last step but one
    with pytest.raises(DependencyFailed, match="telegram_bot"):
        await schema.migrate(empty)
    assert await rows(empty, "SELECT version_num FROM alembic_version") == [("0001",)]
    with pytest.raises(DependencyFailed, match="challenge"):
        await rows(empty, "SELECT 1 FROM challenge")
    await change(empty, "DROP TABLE telegram_bot")
    assert await schema.migrate(empty) == ("0001", NEWEST)
    assert await rows(empty, "SELECT name FROM account") == [("Ada",)]


async def test_a_newer_database_is_not_touched(empty: str) -> None:
    """An older program neither opens nor migrates it."""
    await schema.migrate(empty)
    await change(empty, "UPDATE alembic_version SET version_num = '9999'")
    for call in (open_store(empty, MASTER_KEY, Clock()), schema.migrate(empty)):
        with pytest.raises(DependencyFailed, match="newer than this program"):
            await call


FILLED = 2000
INTERRUPTED = Path(__file__).with_name("interrupted_migration.py")
MORE = (
    "INSERT INTO grant_ (id, account_id, kind, presentation, dialect, prefix, name, scopes, aal, amr, restricted,"
    " created_at, expires_at) SELECT 'g' || n, 'a1', 'session', 'jwt', 'mycelium', '', '', '', 1, 'pwd', false, n, n"
    f" FROM (WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < {FILLED}) SELECT n FROM c) AS m"
)


@pytest.mark.timeout(180)  # a program is started for each of them
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
async def test_an_interrupted_migration_goes_on_where_it_was(empty: str, how: str) -> None:
    """Of a filled database, in a process of its own that ends at every twelfth of its statements."""
    await fill(empty)
    await change(empty, MORE)
    seen = set()
    for last in itertools.count(5, 12):
        words = (sys.executable, INTERRUPTED, empty, str(last), how)
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, check=False)
        seen |= set(await rows(empty, "SELECT version_num FROM alembic_version"))
        assert seen <= {(revision,) for revision in ("0001", *schema.after("0001"))}
        if done.returncode == 0:
            break
        assert done.returncode in (-signal.Signals[how], 128 + signal.Signals[how]), done.stderr.decode()
    assert last > 30
    assert await rows(empty, "SELECT version_num FROM alembic_version") == [(NEWEST,)]
    assert await schema.migrate(empty) == (NEWEST, NEWEST)
    assert await rows(empty, "SELECT count(*), min(created_at), max(expires_at) FROM grant_") == [(FILLED, 1, FILLED)]
    assert await rows(empty, "SELECT id FROM revocation_latest") == [(2,)]


async def test_a_migration_says_how_far_it_is(empty: str) -> None:
    """By revision."""
    told: list[tuple[str, int, int | None]] = []
    await fill(empty)
    await schema.migrate(empty, told=lambda what, done, total: told.append((what, done, total)))
    steps: Sequence[str] = schema.after("0001")
    assert told == [("migrating", done, len(steps)) for done in range(len(steps) + 1)]
