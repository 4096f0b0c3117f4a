"""All that writes, over one SQLAlchemy engine."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.store.accounts import Accounts
from gateway.store.audit import Audit, Scribe
from gateway.store.audit_pages import AuditPages
from gateway.store.audit_read import Trail
from gateway.store.audit_seal import Seals
from gateway.store.challenges import Challenges
from gateway.store.database import Database
from gateway.store.factors import Factors
from gateway.store.governance import Governance
from gateway.store.grants import Grants
from gateway.store.invitations import Invitations
from gateway.store.keys import KeyChanges
from gateway.store.links import Links
from gateway.store.listings import Listings
from gateway.store.outbox import Outbox
from gateway.store.seal import Masters, Sealer
from gateway.store.telegram import TelegramBots
from gateway.store.tenants import Roles, Tenants

if TYPE_CHECKING:
    from gateway.store.arrivals import Arrivals
    from gateway.store.masterkey import MasterKey


class Changes:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self.database = database
        self._sealer = sealer
        self._clock = clock
        database.scribe = Scribe(sealer, clock)
        self.audit = Audit(database)
        self.seals = Seals(database, sealer, clock)
        self.trail = Trail(database, self.seals, sealer, clock)
        self.audit_pages = AuditPages(database, self.trail)
        self.accounts = Accounts(self.database, sealer, clock)
        self.challenges = Challenges(self.database, sealer, clock)
        self.factors = Factors(self.database, sealer, clock)
        self.tenants = Tenants(self.database, clock)
        self.roles = Roles(self.database, clock)
        self.grants = Grants(self.database, sealer, clock)
        self.links = Links(self.database, sealer, clock)
        self.bots = TelegramBots(self.database, sealer, clock)
        self.listings = Listings(self.database, clock)
        self.governance = Governance(self.database, clock)
        self.invitations = Invitations(self.database, sealer, clock)
        self.outbox = Outbox(self.database, sealer, clock)
        self.keys = KeyChanges(self.database, sealer, clock)

    def arrivals(self) -> "Arrivals":
        from gateway.store.arrivals import Arrivals  # which no running gateway needs

        return Arrivals(self.database, self._sealer, self._clock)

    def master_key(self, masters: Masters, sleep: Callable[[float], Awaitable[object]], settle: float) -> "MasterKey":
        """settle: as in MasterKey."""
        from gateway.store.masterkey import MasterKey  # which no running gateway needs

        return MasterKey(self.database, masters, self._clock, sleep, settle)
