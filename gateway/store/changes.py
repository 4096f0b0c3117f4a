"""All that writes, over one SQLAlchemy engine."""

from gateway.clock import Clock
from gateway.store.accounts import Accounts
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
from gateway.store.seal import Sealer
from gateway.store.telegram import TelegramBots
from gateway.store.tenants import Roles, Tenants


class Changes:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self.database = database
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
