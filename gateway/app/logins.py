"""The identity core and the login APIs over it, wired. What outlives a reload is in `Lasting`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from gateway.access.verifiers import Verifiers
from gateway.clock import Clock
from gateway.control.api.dialect import Api
from gateway.control.api.parts import Parts
from gateway.identity.accounts import Accounts
from gateway.identity.administration import Administration
from gateway.identity.business_tokens import BusinessTokens
from gateway.identity.factors import Factors
from gateway.identity.grants import Grants
from gateway.identity.invitations import Invitations
from gateway.identity.keys import Keys
from gateway.identity.links import Links
from gateway.identity.logins import Logins, Policy
from gateway.identity.passwords import Passwords
from gateway.identity.services import Services
from gateway.identity.sessions import Sessions, Terms
from gateway.identity.steps import Mint, Steps
from gateway.identity.telegram_logins import TelegramLogins
from gateway.identity.throttle import Throttle
from gateway.login import mikrocloud, mployr, navak, pipelit
from gateway.login.dialect import Dialect
from gateway.login.mycelium.dialect import Mycelium
from gateway.login.mycelium.links import LinkEndpoints
from gateway.login.mycelium.telegram import TelegramEndpoints
from gateway.login.mycelium.tokens import Tokens
from gateway.login.mycelium.users import Users
from gateway.login.pages.render import Pages
from gateway.settings.model import Settings
from gateway.store.sql import Store

DISPLAY = "/beginners/users/magic-link/display/{token}"
INVITATION = "/invitations/{token}"


class Notified:
    """`identity.notices.Notices` of a worker. What happens then is set once the parts stand."""

    def __init__(self) -> None:
        self.on_change: Callable[[str | None], Awaitable[None]] | None = None
        self.on_letter: Callable[[], None] | None = None

    async def changed(self, grant_id: str | None) -> None:
        if self.on_change is not None:
            await self.on_change(grant_id)

    def posted(self) -> None:
        if self.on_letter is not None:
            self.on_letter()


@dataclass(frozen=True, slots=True)
class Lasting:
    """A reload must not reset a counter, nor leave threads behind."""

    throttle: Throttle
    passwords: Passwords
    notices: Notified
    clock: Clock


def services(settings: Settings, store: Store, clock: Clock, passwords: Passwords) -> Services:
    """For a command: its counts are its own, and nobody listens to what it tells."""
    return _services(settings, store, Lasting(Throttle(clock), passwords, Notified(), clock))


class _Late:
    """A part that is found when it is first used: what writes is opened with the first change (decision 0005)."""

    def __init__(self, find: Callable[[], object]) -> None:
        self._find = find

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)


def _writer(store: Store, name: str) -> Any:
    return _Late(lambda: getattr(store.changes(), name))


def dialects(settings: Settings, store: Store, verifiers: Verifiers, lasting: Lasting) -> Sequence[Dialect]:
    """The login APIs that the settings ask for, Mycelium's first."""
    said = settings.login
    found: list[Dialect] = []
    if said.mycelium.enabled:
        found.append(_mycelium(settings, store, verifiers, lasting))
    if said.mycelium.admin:
        found.append(_admin(settings, store, lasting))
    if said.mployr is not None:
        mint = BusinessTokens(store.keys, _writer(store, "roles"), _terms(settings), lasting.clock)
        found.append(mployr.build(_services(settings, store, lasting, mint), said.mployr))
    if said.mikrocloud is not None:
        found.append(mikrocloud.build(_services(settings, store, lasting), said.mikrocloud))
    if said.pipelit is not None:
        found.append(pipelit.build(_services(settings, store, lasting), said.pipelit))
    if said.navak is not None:
        found.append(navak.build(_services(settings, store, lasting), said.navak))
    return found


def _services(settings: Settings, store: Store, lasting: Lasting, mint: Mint | None = None) -> Services:
    clock, notices, throttle, passwords = lasting.clock, lasting.notices, lasting.throttle, lasting.passwords
    said = settings.login.mycelium
    people, challenges, written = (_writer(store, name) for name in ("accounts", "challenges", "grants"))
    terms = _terms(settings)
    sessions = Sessions(written, store.keys, terms, notices, clock)
    factors = Factors(_writer(store, "factors"), throttle, store.pepper, notices, clock, said.totp_issuer)
    policy = Policy(f"{settings.public_url}{said.mount}{DISPLAY}", said.link_lifetime, said.provision)
    logins = Logins(
        challenges, people, factors, sessions, passwords, throttle, store.pepper, notices, clock, policy,
        _writer(store, "invitations") if said.admin else None,
    )  # fmt: skip
    steps = Steps(challenges, people, factors, passwords, throttle, notices, clock, mint)
    grants = _grants(settings, store, clock, throttle)
    return Services(
        settings.public_url, logins, steps, factors, sessions, grants, passwords, throttle, people, challenges,
        notices, store.pepper, clock, settings.login.pipelit is not None,
    )  # fmt: skip


def _terms(settings: Settings) -> Terms:
    tokens = settings.tokens
    return Terms(tokens.issuer, tokens.audience, tokens.lifetime, tokens.restricted_lifetime)


def _mycelium(settings: Settings, store: Store, verifiers: Verifiers, lasting: Lasting) -> Dialect:
    core, said = _services(settings, store, lasting), settings.login.mycelium
    links = Links(_writer(store, "links"), verifiers, core.throttle, core.notices, core.clock)
    longest = settings.connection_strings.max_lifetime
    telegram = TelegramLogins(_writer(store, "bots"), links, core.grants, core.throttle, core.clock, longest)
    pages, base = Pages(said.totp_issuer), f"{said.mount}/beginners"
    return Mycelium(
        Users(core.logins, core.factors, core.sessions, pages, base),
        Tokens(core.grants, core.sessions, core.notices, core.clock.now, base),
        LinkEndpoints(links, said.mount),
        TelegramEndpoints(telegram, said.mount),
        pages,
    )


def _admin(settings: Settings, store: Store, lasting: Lasting) -> Dialect:
    core, said = _services(settings, store, lasting), settings.login.mycelium
    administration = Administration(
        Accounts(_writer(store, "accounts"), _writer(store, "tenants"), _writer(store, "roles"), core.clock),
        # an operator's calls have no limit
        _grants(settings, store, core.clock, None),
        Keys(store.keys, core.clock),
        store.keys,
        _writer(store, "factors"),
        _writer(store, "accounts"),
        _writer(store, "governance"),
        settings.tokens.algorithm,
        _terms(settings),
        core.clock,
    )
    parts = Parts(
        administration, _writer(store, "listings"), _invitations(settings, store, lasting), core.sessions, core.logins,
        core.passwords, core.notices, core.clock.now, _writer(store, "audit_pages"),
        lasting.throttle.refusals,
    )  # fmt: skip
    return Api(parts, said.mount, said.totp_issuer)


def _invitations(settings: Settings, store: Store, lasting: Lasting) -> Invitations:
    link = f"{settings.public_url}{settings.login.mycelium.mount}{INVITATION}"
    tenants = _writer(store, "tenants")
    return Invitations(_writer(store, "invitations"), tenants, lasting.throttle, lasting.notices, lasting.clock, link)


def _grants(settings: Settings, store: Store, clock: Clock, throttle: Throttle | None) -> Grants:
    said, written = settings.connection_strings, _writer(store, "grants")
    return Grants(written, store.keys, clock, form=said.format, max_lifetime=said.max_lifetime, throttle=throttle)


class _Absent:
    """Stands where only the table of endpoints is asked for, and nothing behind it is called."""

    def __getattr__(self, name: str) -> "_Absent":
        return self


def paths(settings: Settings) -> Sequence[Dialect]:
    """The dialects with nothing behind them: for what their endpoints reserve."""
    nobody = _Absent()
    lasting = cast(Lasting, nobody)
    return dialects(settings, cast(Store, nobody), cast(Verifiers, nobody), lasting)


def admin_api() -> Api:
    """The admin API at its default mount with nothing behind it: its operations and its document."""
    (api,) = (dialect for dialect in paths(Settings(upstreams={}, routes=())) if isinstance(dialect, Api))
    return api
