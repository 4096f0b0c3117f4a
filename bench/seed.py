"""The bench's database: one caller with ten licences, linked to the issuer, and connection strings never used."""

import asyncio
import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert

from bench.issuer import EMAIL, SUBJECT, Issuer
from gateway.clock import Clock
from gateway.identity.accounts import Accounts
from gateway.identity.connection_string import mint
from gateway.identity.grants import secret_digest
from gateway.identity.keys import Keys
from gateway.identity.model import Grant, Issue, MacKey
from gateway.store.engines import engine_of
from gateway.store.grants import from_issue
from gateway.store.schema import migrate
from gateway.store.sql import Store, open_store
from gateway.store.tables import grant_

LICENCES = 10  # one in each of ten tenants: a profile header of about 1.1 kB
ROLES = ("manager", "reader", "auditor", "billing", "support")
LIFETIME = 30 * 24 * 3600  # seconds, of the first connection string; each next one expires a second later
BATCH = 500  # rows of one INSERT


@dataclass(frozen=True, slots=True)
class Seeded:
    """What a configuration refers to. connection_strings: each valid, none used before; they run out."""

    folder: Path
    master_key: Path
    admin_token: Path
    store_url: str
    connection_strings: Iterator[str]

    @property
    def key(self) -> bytes:
        return base64.b64decode(self.master_key.read_bytes())


def seed(folder: Path, issuer: Issuer, strings: int) -> Seeded:
    """Make a home for gateways below `folder`, as `gateway init` does, and fill its database."""
    home = folder / "home"
    home.mkdir()
    key = secrets.token_bytes(32)
    master_key, admin_token = home / "master.key", home / "admin.token"
    master_key.write_bytes(base64.b64encode(key))
    admin_token.write_text(secrets.token_urlsafe(32))
    url = f"sqlite:///{home}/gateway.db"
    made = asyncio.run(fill(url, key, issuer, strings))
    return Seeded(home, master_key, admin_token, url, iter(made))


async def fill(url: str, key: bytes, issuer: Issuer, strings: int) -> list[str]:
    """Make the tables, the caller, and so many connection strings of theirs."""
    clock = Clock()
    await migrate(url)
    store = await open_store(url, key, clock)
    try:
        await Keys(store.keys, clock).ensure("EdDSA")
        account_id = (await store.directory.provision(issuer.url, SUBJECT, EMAIL, "Bench Caller")).account.id
        tenant_id = await _licences(store, clock, account_id)
        mac = (await store.keys.mac_keys())[0]
        await store.seal_audit()  # or each gateway would begin with that, and load for it what it needs to write
    finally:
        await store.aclose()
    issues = [connection(account_id, tenant_id, mac, clock, number) for number in range(strings)]
    await insert_grants(url, [issue for issue, _ in issues])
    return [text for _, text in issues]


async def _licences(store: Store, clock: Clock, account_id: str) -> str:
    """Ten tenants with a role in each; the first tenant, where the role is ROLES[0]."""
    accounts = Accounts(store.accounts, store.tenants, store.roles, clock)
    tenants = [(await accounts.create_tenant(f"Tenant {number}")).id for number in range(LICENCES)]
    for number, tenant_id in enumerate(tenants):
        await accounts.assign_role(account_id, tenant_id, ROLES[number % len(ROLES)], "write")
    return tenants[0]


def connection(account_id: str, tenant_id: str, key: MacKey, clock: Clock, number: int) -> tuple[Issue, str]:
    """A grant and its string, of an account that is ROLES[0] there. A second, which is the resolution of `edt`, is all
    that two of them differ by.
    """
    now = clock.now()
    until = float(int(now) + LIFETIME + number)
    raw = mint(account_id, tenant_id, ROLES[0], until, key)
    grant = Grant(
        clock.uuid4(),
        account_id,
        "connection",
        "connstr",
        created_at=now,
        expires_at=until,
        tenant_id=tenant_id,
        role=ROLES[0],
        permission="write",
    )
    return Issue(grant, secret_digest("connstr", raw), raw[:8].decode(), key.version), raw.decode()


async def insert_grants(url: str, issues: list[Issue]) -> None:
    """Thousands at once: through the service each would be a transaction of its own."""
    database = engine_of(url).database()
    try:
        async with database.writing() as connection:
            for start in range(0, len(issues), BATCH):
                rows = [from_issue(issue) for issue in issues[start : start + BATCH]]
                await connection.execute(insert(grant_), rows)
    finally:
        await database.aclose()
