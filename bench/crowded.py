"""P12: what a caller who is not in the cache waits for, with 100,000 accounts in PostgreSQL and with 100."""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import asyncpg

from bench.fleet.servers import query, start_postgres
from bench.load import Client, Waits
from bench.ours import Ours
from bench.processes import LOOPBACK
from bench.report import Row
from bench.seed import ROLES, connection, fill, insert_grants
from bench.stand import Bench
from gateway.clock import Clock
from gateway.store.sql import open_store

LIMIT = 3.0  # of the p99 with few accounts
FEW, TENANTS, LICENCES, GRANTS = 100, 100, 3, 10  # accounts, of all, of an account, of an account
YEAR = 365 * 86400  # seconds
# An id that SQL and Python make alike. {of}: what it is the id of.
ID: Final = "md5('{of}' || {n})::uuid::text"
# What `store.tables` says, by bulk statements; $1: accounts, $2: seconds since the epoch.
FILL: Final = (
    f"""INSERT INTO account (id, num, kind, status, name, user_id, approved, archived, deleted, is_staff, is_manager,
        created_at, updated_at)
    SELECT {ID.format(of="account", n="n")}, n + 1000, 'human', 'active', 'Caller ' || n, {ID.format(of="user", n="n")},
        true, false, false, false, false, $2::float8, $2::float8 FROM generate_series(0, $1::bigint - 1) n""",
    f"""INSERT INTO email (account_id, address, key, is_primary, verified_at)
    SELECT {ID.format(of="account", n="n")}, 'caller' || n || '@crowd.example', 'caller' || n || '@crowd.example', true,
        $2::float8 FROM generate_series(0, $1::bigint - 1) n""",
    f"""INSERT INTO tenant (id, name, account_id, created_at)
    SELECT {ID.format(of="tenant", n="n")}, 'Crowd ' || n, {ID.format(of="account", n="n")}, $2::float8
        FROM generate_series(0, least($1::bigint, {TENANTS}) - 1) n""",
    f"""INSERT INTO role_assignment (account_id, tenant_id, role_id, permission, accepted, created_at)
    SELECT {ID.format(of="account", n="n")}, {ID.format(of="tenant", n=f"((n + k) % {TENANTS})")}, role.id, 'write',
        true, $2::float8 FROM generate_series(0, $1::bigint - 1) n, generate_series(0, {LICENCES - 1}) k
        JOIN role ON role.slug = '{ROLES[0]}'""",
    f"""INSERT INTO grant_ (id, account_id, kind, presentation, dialect, secret_hash, prefix, name, scopes, aal, amr,
        restricted, created_at, expires_at)
    SELECT {ID.format(of="grant", n="n")}, {ID.format(of="account", n="(n % $1::bigint)")}, 'api_key', 'opaque',
        'pipelit', sha256(('grant' || n)::bytea), 'myc_', 'key ' || n, '', 1, 'pwd', false, $2::float8,
        $2::float8 + {YEAR} FROM generate_series(0, $1::bigint * {GRANTS} - 1) n""",
)
FAST: Final = {"synchronous_commit": "off", "max_wal_size": "4GB", "shared_buffers": "256MB", "autovacuum": "off"}


def _id(of: str, number: int) -> str:
    return str(uuid.UUID(hashlib.md5(f"{of}{number}".encode(), usedforsecurity=False).hexdigest()))


async def _crowd(bench: Bench, port: int, name: str, accounts: int, strings: int) -> list[str]:
    """Fill the database; connection strings of as many of its accounts as there are, each the next one's."""
    url, key, clock = f"postgresql+asyncpg://gateway@{LOOPBACK}:{port}/{name}", bench.seeded.key, Clock()
    await fill(url, key, bench.issuer, 0)
    door: Any = await asyncpg.connect(user="gateway", host=LOOPBACK, port=port, database=name)
    try:
        await door.execute("SET session_replication_role = replica")  # no look at each row's references
        for statement in FILL:
            await door.execute(statement, accounts, clock.now())
        store = await open_store(url, key, clock)
        mac = (await store.keys.mac_keys())[0]
        await store.aclose()
        step = max(1, accounts // strings)
        made = [
            connection(_id("account", at := number * step % accounts), _id("tenant", at % TENANTS), mac, clock, number)
            for number in range(strings)
        ]
        await insert_grants(url, [issue for issue, _ in made])
        for statement in ("VACUUM ANALYZE", "CHECKPOINT"):
            await door.execute(statement)
    finally:
        await door.close()
    return [text for _, text in made]


def p12_many_accounts(bench: Bench) -> tuple[list[Row], list[str]]:
    """Credentials never seen before, one after the other, each of another account where there are so many."""
    postgres = start_postgres(bench.stable, **FAST)
    sides: dict[str, tuple[Ours, Iterator[str]]] = {}
    for name, accounts in (("many", bench.accounts), ("few", FEW)):
        query(postgres.port, f"CREATE DATABASE {name}", "postgres")
        strings = asyncio.run(_crowd(bench, postgres.port, name, accounts, (bench.rounds + 1) * bench.fresh))
        url = f"postgresql+asyncpg://gateway@{LOOPBACK}:{postgres.port}/{name}"
        sides[name] = bench.gateway(sections={"store": {"url": url}}), iter(strings)
        _cold(bench, *sides[name])()  # connections, plans, and as much of the tables as stays in memory
    found = bench.in_turn({name: _cold(bench, *side) for name, side in sides.items()})
    for ours, _ in sides.values():
        bench.stable.stop(ours.system.process)
    bench.stable.stop(postgres.process)
    many, few = ([waits.p99 for waits in found[name]] for name in ("many", "few"))
    what = f"cold authentication, p99, {bench.accounts:,} accounts, {bench.accounts * GRANTS:,} grants"
    return [Row.compared("P12", what, many, f"{FEW} accounts", few, unit="ms", limit=LIMIT)], []


def _cold(bench: Bench, ours: Ours, strings: Iterator[str]) -> Callable[[], Waits]:
    def measure() -> Waits:
        requests = [ours.connection_string(string).request for string in islice(strings, bench.fresh)]
        client = Client(ours.bearer())
        client.ask()
        waits = Waits.of([client.ask(request) for request in requests])
        client.close()
        return waits

    return measure
