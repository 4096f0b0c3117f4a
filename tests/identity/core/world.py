"""The identity core over a real store: what its tests log in to, and how they read what was mailed."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import pyotp
from argon2 import PasswordHasher
from sqlalchemy import text
from store.world import MASTER_KEY, Hand

from gateway.access.verifiers import OwnTokens, Verifiers
from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.counting import Count, Held, Over
from gateway.identity.factors import Factors, FactorStore
from gateway.identity.keys import Keys
from gateway.identity.letters import Letter, LetterKind
from gateway.identity.logins import Logins, Policy
from gateway.identity.model import Account, Principal
from gateway.identity.notices import Unheard
from gateway.identity.origin import Origin
from gateway.identity.passwords import Passwords
from gateway.identity.people import People
from gateway.identity.ports import Keyring
from gateway.identity.sessions import Session, Sessions, Terms
from gateway.identity.throttle import Throttle
from gateway.identity.tokens import VerifyingKey
from gateway.store.schema import migrate
from gateway.store.sql import Store, open_store
from gateway.wire.credentials import Presented

T = TypeVar("T")

ADA, BOB = "ada@example.org", "bob@example.org"
PASSWORD = "correct horse battery"
HERE = Origin("192.0.2.1", "curl/8.5.0")
SITE = "http://gateway.test"
LINK = f"{SITE}/display/{{token}}"
STEP = 30


class Unlimited:
    """Counters that count nothing: what a single challenge or code bears is to be seen without the limits."""

    async def reserve(self, counts: Sequence[Count], known: bool = False) -> Held | Over:
        return Held(1)

    async def give_back(self, counts: Sequence[Count], stamp: int) -> None:
        return

    async def clear(self, counts: Sequence[Count]) -> None:
        return

    async def remember(self, account: str, network: str) -> None:
        return

    async def knows(self, account: str, network: str) -> bool:
        return False


class Cheap(Passwords):
    """Hashes in half a millisecond. hashed: how many were asked for."""

    def __init__(self) -> None:
        super().__init__(threads=16)  # and 256 more may wait: a race is not to be cut short by a full queue
        self._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.hashed = 0

    async def hash(self, password: str, context: Iterable[str] = ()) -> str:
        self.hashed += 1
        return await super().hash(password, context)


class NoIssuers:
    """No external issuer is configured."""

    async def key(self, issuer: str, kid: str) -> VerifyingKey | None:
        return None


@dataclass
class Core:
    """factor_store, people, keyring: in place of the store's own."""

    store: Store
    hand: Hand
    throttle: Throttle
    passwords: Cheap
    provision: bool = False
    factor_store: FactorStore | None = None
    people: People | None = None
    keyring: Keyring | None = None
    logins: Logins = field(init=False)
    factors: Factors = field(init=False)
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        self.clock = clock_of(self.hand)
        store, pepper = self.store.changes(), self.store.pepper
        self.sessions = Sessions(
            store.grants, self.keyring or self.store.keys, Terms(SITE, SITE), Unheard(), self.clock
        )
        self.factors = Factors(
            self.factor_store or store.factors, self.throttle, pepper, Unheard(), self.clock, "Mycelium"
        )
        self.logins = Logins(
            store.challenges, self.people or store.accounts, self.factors, self.sessions, self.passwords,
            self.throttle, pepper, Unheard(), self.clock, Policy(LINK, provision=self.provision), store.invitations,
        )  # fmt: skip
        own = OwnTokens(SITE, SITE)
        self.verifiers = Verifiers(self.store.directory, self.store.keys, NoIssuers(), own, (), self.clock)

    async def account(self, address: str = ADA) -> Account:
        found = await self.store.changes().accounts.by_email(address)
        assert found is not None
        return found

    async def caller(self, token: str) -> Principal:
        """Whom the gateway takes this session for. Raises RequestRejected for a dead one."""
        return await self.verifiers.principal(Presented("jwt", token.encode()), self.clock.now())

    async def letters(self) -> list[Letter]:
        """Everything that waits to be sent, which is then gone."""
        outbox, found = self.store.changes().outbox, []
        for taken in await outbox.take(1000, 1):
            await outbox.sent(taken.id)
            assert taken.letter is not None
            found.append(taken.letter)
        return found

    async def link(self, address: str = ADA, origin: Origin = HERE) -> str:
        """The token of a link that was just mailed."""
        await self.logins.request_link(address, origin)
        return (await self._last("magic_link")).values["link"].rpartition("/")[2]

    async def code(self, address: str = ADA) -> str:
        """The code of a link that was just mailed."""
        shown = await self.logins.show_code(await self.link(address))
        assert shown is not None
        return shown[1]

    async def reset_code(self, address: str = ADA) -> str:
        await self.logins.request_reset(address, HERE)
        return (await self._last("password_reset")).values["code"]

    async def _last(self, kind: LetterKind) -> Letter:
        return [letter for letter in await self.letters() if letter.kind == kind][-1]

    async def enrolled(self, address: str = ADA) -> tuple["App", list[str], Session]:
        """An account with a second factor: its app, its recovery codes, and the session that enabled it."""
        session = await self.logins.password(address, PASSWORD, HERE)
        app = App(await self.factors.enable(session.account), self.hand)
        recovery = await self.factors.confirm(session.account, app.code(), session.grant.id, HERE)
        self.hand.at += STEP  # the code that confirmed counts for nothing else
        return app, recovery, session

    async def rows(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        async with self.store.changes().database.reading() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), values)]

    async def count(self, table: str) -> int:
        return int(str((await self.rows(f"SELECT count(*) FROM {table}"))[0][0]))


class Dial(Protocol):
    """A clock's hand. at: seconds since the epoch."""

    @property
    def at(self) -> float: ...


class App:
    """An authenticator on a telephone whose clock is the test's."""

    def __init__(self, url: str, hand: Dial) -> None:
        self.secret = pyotp.parse_uri(url).secret
        self._hand = hand

    def code(self, ahead: int = 0) -> str:
        """ahead: steps."""
        return pyotp.TOTP(self.secret).generate_otp(int(self._hand.at) // STEP + ahead)

    def wrong(self) -> str:
        """Six digits that are no code of these or the neighbouring steps."""
        near = {self.code(ahead) for ahead in range(-4, 5)}
        return next(code for code in (f"{number:06d}" for number in range(20)) if code not in near)


def clock_of(hand: Hand) -> Clock:
    return Clock(now=hand.now, monotonic=hand.now)


def wrong_code(right: str) -> str:
    return "000000" if right != "000000" else "000001"


async def tried(work: Awaitable[T]) -> tuple[T | None, str]:
    """What it gave, and `ok`; or None, and the code of the refusal."""
    try:
        return await work, "ok"
    except RequestRejected as fault:
        return None, fault.code


async def outcome(work: Awaitable[object]) -> str:
    """`ok`, or the code of the refusal."""
    return (await tried(work))[1]


def tally(found: Iterable[object]) -> dict[str, int]:
    """How often each outcome came."""
    names = [str(one) for one in found]
    return {name: names.count(name) for name in sorted(set(names))}


def in_folder(folder: Path) -> str:
    return f"sqlite:///{folder}/gateway.db"


def copied(settled: Path, folder: Path) -> str:
    """The URL of a copy of a settled file."""
    shutil.copytree(settled, folder, dirs_exist_ok=True)
    return in_folder(folder)


async def settle(url: str) -> None:
    """An empty database gets Ada and Bob, who have the same password."""
    await migrate(url)
    hand, passwords = Hand(), Cheap()
    store = await open_store(url, MASTER_KEY, clock_of(hand))
    try:
        await Keys(store.keys, clock_of(hand)).ensure("EdDSA")
        accounts = Accounts(store.accounts, store.tenants, store.roles, clock_of(hand))
        for address in (ADA, BOB):
            await accounts.create_account(NewAccount(address, phc=await passwords.hash(PASSWORD)))
    finally:
        passwords.close()
        await store.aclose()


@asynccontextmanager
async def opened(url: str, *, limited: bool = False, provision: bool = False) -> AsyncIterator[Core]:
    """A core over a settled database. limited: with the limits of the gateway."""
    hand, passwords = Hand(), Cheap()
    store = await open_store(url, MASTER_KEY, clock_of(hand))
    throttle = Throttle(clock_of(hand), None if limited else Unlimited())
    try:
        yield Core(store, hand, throttle, passwords, provision)
    finally:
        passwords.close()
        await store.aclose()
