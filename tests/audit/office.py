"""The whole identity core over a real store, with refusals counted as a worker counts them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from identity.core.world import ADA, HERE, PASSWORD, App, Cheap, Core, clock_of
from store.world import MASTER_KEY, Hand

from gateway.app.refusals import CountedRefusals
from gateway.errors import RequestRejected
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.approvals import Approvals
from gateway.identity.grants import Grants
from gateway.identity.keys import Keys
from gateway.identity.links import Links
from gateway.identity.model import Account, ExternalIdentity, Principal, Tenant
from gateway.identity.new_emails import NewEmails
from gateway.identity.notices import Unheard
from gateway.identity.registrations import Registrations
from gateway.identity.services import Services
from gateway.identity.sessions import Session
from gateway.identity.steps import Form, Steps
from gateway.identity.telegram_logins import TelegramLogins
from gateway.identity.throttle import Throttle
from gateway.store.audit_read import Wanted
from gateway.store.chain import Entry
from gateway.store.sql import Store, open_store

PAGE = "http://gateway.test/auth/confirm/"
NEW = "another correct horse"
SECRET = "s3cret-of-a-session"


class Proof:
    """Believes every token but one."""

    async def external_identity(self, raw: bytes, now: float) -> ExternalIdentity:
        if raw == b"wrong":
            raise RequestRejected("invalid_credential")
        return ExternalIdentity("https://id.example", raw.decode())


@dataclass
class Office:
    store: Store
    hand: Hand
    core: Core
    refusals: CountedRefusals
    accounts: Accounts = field(init=False)
    keys: Keys = field(init=False)
    grants: Grants = field(init=False)
    links: Links = field(init=False)
    telegram: TelegramLogins = field(init=False)
    steps: Steps = field(init=False)
    emails: NewEmails = field(init=False)
    approvals: Approvals = field(init=False)
    registrations: Registrations = field(init=False)
    services: Services = field(init=False)
    form: Form = field(init=False)

    def __post_init__(self) -> None:
        core, changes, clock = self.core, self.store.changes(), self.core.clock
        people, challenges, throttle = changes.accounts, changes.challenges, core.throttle
        form = Form("navak", 86400.0, lambda _: f"{SECRET}-{clock.uuid4()}")
        self.accounts = Accounts(self.store.accounts, self.store.tenants, self.store.roles, clock)
        self.keys = Keys(self.store.keys, clock)
        self.grants = Grants(changes.grants, self.store.keys, clock, throttle=throttle)
        self.links = Links(changes.links, Proof(), throttle, Unheard(), clock)
        self.telegram = TelegramLogins(changes.bots, self.links, self.grants, throttle, clock)
        self.steps = Steps(challenges, people, core.factors, core.passwords, throttle, Unheard(), clock)
        self.services = Services(
            "http://gateway.test", core.logins, self.steps, core.factors, core.sessions, self.grants, core.passwords,
            throttle, people, challenges, Unheard(), self.store.pepper, clock,
        )  # fmt: skip
        self.emails = NewEmails(self.services, "navak", PAGE)
        self.approvals = Approvals(self.services, self.emails, form, PAGE)
        self.registrations = Registrations(self.services, self.emails, form)
        self.form = form

    # what most operations begin with

    async def ada(self) -> Account:
        return await self.core.account()

    async def entered(self) -> tuple[Session, Principal]:
        session = await self.core.logins.password(ADA, PASSWORD, HERE)
        return session, await self.core.caller(session.token)

    async def waiting(self) -> tuple[App, list[str], Principal]:
        """A login that waits for its second factor."""
        app, recovery, _ = await self.core.enrolled()
        _, caller = await self.entered()
        return app, recovery, caller

    async def manager(self) -> tuple[Account, Tenant]:
        account, tenant = await self.ada(), await self.accounts.create_tenant("Acme")
        await self.accounts.assign_role(account.id, tenant.id, "manager", "write")
        return account, tenant

    async def asked(self) -> tuple[str, str]:
        """A login that waits for the reader of a mail: its auth_id, and the link's token."""
        await self.accounts.create_account(NewAccount("eve@example.org", "eve"))
        started = await self.approvals.begin("eve", "eve@example.org", "cURL", HERE)
        return started.auth_id, await self.mailed()

    async def mailed(self) -> str:
        """The token of the link in the newest mail."""
        return (await self.core.letters())[-1].values["link"].rpartition("/")[2]

    # what is told

    async def flush(self) -> None:
        """As a worker does it at its end."""
        batch = self.refusals.rest()
        if batch.rows:
            await self.store.changes().audit.record_all(batch.rows)
        self.refusals.written(batch)

    async def rows(self) -> list[Entry]:
        await self.flush()
        return [link.entry async for link in self.store.changes().trail.list(Wanted())]

    async def kinds(self) -> list[str]:
        return [row.kind for row in await self.rows()]


@asynccontextmanager
async def opened(url: str, *, provision: bool = False) -> AsyncIterator[Office]:
    hand, passwords = Hand(), Cheap()
    clock = clock_of(hand)
    store, refusals = await open_store(url, MASTER_KEY, clock), CountedRefusals(clock)
    try:
        throttle = Throttle(clock, refusals=refusals)
        yield Office(store, hand, Core(store, hand, throttle, passwords, provision), refusals)
    finally:
        passwords.close()
        await store.aclose()
