"""The store as the composition root sees it: one object whose parts are the ports of the identity core."""

from functools import partial

from gateway.clock import Clock
from gateway.store.accounts import Accounts
from gateway.store.engine import Database, database_path
from gateway.store.grants import Grants
from gateway.store.keys import Keys
from gateway.store.revocations import prune
from gateway.store.schema import require_current
from gateway.store.seal import Sealer
from gateway.store.sqlite import Reader, SqliteDirectory, SqliteRevocations
from gateway.store.tenants import Roles, Tenants


class Store:
    """accounts, tenants, roles, grants, keys: changes. directory, revocations: the reads of the request path."""

    def __init__(self, database: Database, reader: Reader, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._reader = reader
        self.accounts = Accounts(database, clock)
        self.tenants = Tenants(database, clock)
        self.roles = Roles(database, clock)
        self.grants = Grants(database, clock)
        self.keys = Keys(database, sealer, clock)
        self.directory = SqliteDirectory(reader, self.accounts.provision)
        self.revocations = SqliteRevocations(reader, partial(prune, database))

    async def aclose(self) -> None:
        self._reader.shutdown()
        await self._database.aclose()


async def open_store(url: str, master_key: bytes, clock: Clock) -> Store:
    """Open the database at `url` (sqlite:///path) that `schema.migrate` made; it is never made here.

    master_key: 32 bytes, see `seal.master_key`. Raises DependencyFailed("store_unavailable") when the file is missing
    or locked, its tables are of another version, or its keys were sealed with another master key.
    """
    path = database_path(url)
    sealer = Sealer(master_key, clock.token_bytes)
    database = Database(path)
    store = Store(database, Reader(path), sealer, clock)
    try:
        await require_current(database)
        await store.keys.require_master_key()
    except BaseException:
        await store.aclose()
        raise
    return store
