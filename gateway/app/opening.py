"""What a worker of the gateway consists of, and how it is opened. What it does from then on is in `gateway`."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from gateway.access.jwks import Jwks
from gateway.app import access_logs, compile
from gateway.app.attending import Attending
from gateway.app.audit import Auditing
from gateway.app.core import Core, make_jwks
from gateway.app.cores import Cores
from gateway.app.logins import Lasting, Notified
from gateway.app.lookups import Resolver, system_resolver
from gateway.app.mails import Mails
from gateway.app.masters import master_keys
from gateway.app.observer import Observer
from gateway.app.quotas import Counts
from gateway.app.revocations import RevocationPoll
from gateway.app.sharing import open_sharing
from gateway.app.tracing import Recording
from gateway.app.upkeep import Upkeep
from gateway.clock import Clock
from gateway.control.builtin import PureParserError, require_c_parser
from gateway.control.fetch import HttpFetch
from gateway.edge.listener import Edge, bind
from gateway.errors import DependencyFailed
from gateway.identity.keys import Keys
from gateway.identity.model import Revocation
from gateway.identity.passwords import Passwords
from gateway.identity.throttle import Throttle
from gateway.ops.lag import LoopLag
from gateway.ops.logs import Log
from gateway.ops.metrics import Metrics
from gateway.settings import model
from gateway.settings.load import Loaded
from gateway.settings.secrets import SecretAbsent
from gateway.settings.values import Address
from gateway.store.sql import Store, open_store

if TYPE_CHECKING:
    from gateway.state.shared import SharedState


class StartFailed(Exception):  # noqa: N818 - errors are named by fault
    """The gateway cannot start; the text says what to change."""


class Opening:
    """The parts of a gateway, opened one after the other. `Gateway` is the whole."""

    _store: Store
    _lasting: Lasting
    _fetch: HttpFetch
    edge: Edge
    poll: RevocationPoll
    upkeep: Upkeep
    mails: Mails
    observer: Observer

    def __init__(
        self,
        loaded: Loaded,
        clock: Clock,
        log: Log,
        reread: Callable[[], Loaded] | None = None,
        relog: Callable[[str, str], object] = lambda _level, _form: None,
        listening: socket.socket | None = None,
        admin: bool = True,
        resolve: Resolver = system_resolver,
    ) -> None:
        """reread: reads the configuration again, for `reload`; None where there is no file behind it.

        relog: sets the level and the form of the log, when a reload changes them. listening: a bound socket in the
        place of `listen.address`, which is closed at the end. admin: whether it has the admin listener; one of several
        workers has none, as their supervisor has it. resolve: finds the addresses of upstreams' names.
        """
        self._settings = loaded.settings
        self._places = loaded.route_places()
        self._clock = clock
        self._log = log
        self._reread = reread
        self._relog = relog
        self._listening = listening
        self._has_admin = admin
        self._number = 0
        self._reloading = asyncio.Lock()
        self._stopping = False
        self._cores = Cores(log, self._in_use, lambda used: self.upkeep.take(used))
        self.auditing = Auditing(clock, log)
        self._attending = Attending(clock, log, resolve)
        self._closers = AsyncExitStack()
        self._tls: ssl.SSLContext | None = None
        self.metrics_registry = Metrics()
        self.counts = Counts(clock)
        self.setup_token: str | None = None  # while nobody has an account, and an API makes the first one
        self.reloads = {"done": 0, "refused": 0}
        self.last_reload_ok = True
        self.last_reload_at = 0.0  # when a configuration was accepted last, in seconds since the epoch
        self.fetches: Counter[tuple[str, str]] = Counter()  # of keys, by issuer and outcome
        self.address: tuple[str, int] = ("", 0)
        self.admin_address: tuple[str, int] = ("", 0)
        self.shared: SharedState | None = None  # with other nodes
        self.recording = Recording(log)
        self.lost_lines = access_logs.Lost()

    @property
    def core(self) -> Core:
        """Of the configuration that runs."""
        return self._cores.current

    @property
    def store(self) -> Store:
        return self._store

    @property
    def passwords(self) -> Passwords:
        return self._lasting.passwords

    async def start(self) -> None:
        """Raises StartFailed, with nothing left open."""
        try:
            await self._start(self._settings)
        except BaseException as error:
            await self._closers.aclose()
            if isinstance(error, DependencyFailed):
                raise StartFailed(error.detail or error.code) from error
            if isinstance(error, PureParserError | SecretAbsent | OSError):
                raise StartFailed(str(error)) from error
            raise

    async def _start(self, settings: model.Settings) -> None:
        require_c_parser()
        listening = self._listening or self._bind(settings.listen.address)
        self._closers.callback(listening.close)
        await self._open_store(settings)
        self._fetch = HttpFetch()
        self._closers.push_async_callback(self._fetch.aclose)
        between = self._clock.between
        self.poll = RevocationPoll(self._store.revocations, self._revoked, self._log, self._clock.now, between=between)
        await self.poll.begin()  # before the keys are read: no change of theirs is missed
        await self._open_core(settings)
        self.poll.start()
        self._lasting.notices.on_change = self._changed
        self._closers.push_async_callback(self.poll.aclose)
        if self.shared is not None:
            self.shared.listen(self.poll.look)
            self.shared.rates.start(self.counts)
        self._cores.begin(self.counts.run())
        self.upkeep = Upkeep(self._store, self._cores.take_used, self._log, self._clock)
        self.upkeep.start()
        self._closers.push_async_callback(self.upkeep.aclose)
        self.auditing.attach(self._store, lambda: self._settings.audit.keep)
        self.auditing.start()
        self._closers.push_async_callback(self.auditing.aclose)
        self.mails = Mails(self._store, lambda: self._settings, self._clock, self._log)
        self.mails.postman.start()
        self._closers.push_async_callback(self.mails.postman.aclose)
        self._lasting.notices.on_letter = self.mails.postman.wake
        self.edge = Edge(self.core.generation, self.observer, self._clock)
        await self._furnish(settings)
        self._tls = compile.server_context(settings.listen.tls) if settings.listen.tls else None
        self.last_reload_at = self._clock.now()
        lag = LoopLag(self.metrics_registry.distribution("gateway_event_loop_lag_seconds").observe)
        lag.start()
        self._closers.callback(lag.close)
        self._closers.push_async_callback(self.edge.aclose)
        await self.edge.listen(listening, self._tls)
        self.address = listening.getsockname()[:2]

    def _bind(self, address: Address) -> socket.socket:
        try:
            return bind(address.host, address.port)
        except OSError as error:
            raise StartFailed(f"cannot listen on {address}: {error.strerror}") from error

    async def _open_store(self, settings: model.Settings) -> None:
        """The access log before it: it is closed last, so that it has the lines of whatever is cut off."""
        try:
            key, previous = master_keys(settings.secrets)
        except ValueError as error:
            raise StartFailed(str(error)) from error
        access_log = access_logs.opened(settings.log, self._log)
        if access_log is not None:
            self.lost_lines.adopt(access_log)
        seconds = self.metrics_registry.distribution("gateway_authentication_seconds")
        self.observer = Observer(self._clock, self._log, access_log, seconds)
        self._closers.push_async_callback(self._close_access_log)
        self._closers.push_async_callback(self.recording.aclose)
        self.recording.adopt(await asyncio.to_thread(self.recording.open, settings.tracing))
        self.observer.spans = self.recording.current
        self._store = await open_store(
            settings.store.url,
            key,
            self._clock,
            settings.store.secret,
            previous,
            self.metrics_registry.distribution("gateway_store_seconds").observe,
        )
        self._closers.push_async_callback(self._store.aclose)
        await self._ensure_keys(settings)
        await self._open_sharing(settings)

    async def _open_sharing(self, settings: model.Settings) -> None:
        shared = self.shared = await open_sharing(settings.state, self._store.root, self._clock, self._log)
        if shared is not None:
            self._closers.push_async_callback(shared.aclose)
        counters, meter = (shared.counters, shared.meter) if shared is not None else (None, None)
        throttle = Throttle(self._clock, counters, meter, self.auditing.refusals)
        hashed = self.metrics_registry.distribution("gateway_password_seconds")
        passwords = Passwords(monotonic=self._clock.monotonic, took=hashed.observe)
        self._lasting = Lasting(throttle, passwords, Notified(), self._clock)
        self._closers.callback(self._lasting.passwords.close)

    async def _ensure_keys(self, settings: model.Settings) -> None:
        mployr = settings.login.mployr is not None
        await Keys(self._store.keys, self._clock).ensure(settings.tokens.algorithm, mployr=mployr)

    async def _open_core(self, settings: model.Settings) -> None:
        jwks = self._jwks(settings)
        try:
            self._cores.adopt(self._core(settings, self._number, jwks))
        except BaseException:
            await jwks.aclose()
            raise
        self._closers.push_async_callback(self._cores.aclose)
        self._closers.push_async_callback(self._attending.aclose)
        await self._attending.prepare(self.core.assemblies)
        self._attending.adopt(self.core.assemblies)
        await self.core.start()

    def _core(self, settings: model.Settings, number: int, jwks: Jwks) -> Core:
        registry = self.metrics_registry
        return Core(
            settings,
            number,
            self._store,
            jwks,
            self._clock,
            self._log,
            registry,
            lasting=self._lasting,
            counts=self.counts,
            known=self._attending.known,
        )

    async def _close_access_log(self) -> None:
        if self.observer.access_log is not None:
            await self.observer.access_log.aclose()

    def _jwks(self, settings: model.Settings) -> Jwks:
        documents = self.shared.documents if self.shared is not None else None
        return make_jwks(settings, self._fetch, self._clock, self._log, documents, self._fetched)

    def _fetched(self, issuer: str, outcome: str) -> None:
        self.fetches[issuer, outcome] += 1

    def _in_use(self, core: Core) -> bool:
        return any(client.uses(core.generation) for client in self.edge.clients)

    # of the whole

    async def _furnish(self, settings: model.Settings) -> None:
        """What is there for operators, once the edge is."""

    def _revoked(self, rows: Sequence[Revocation]) -> None:
        """These are void."""

    async def _changed(self, grant_id: str | None) -> None:
        """A login of this worker has revoked something. grant_id: of the one that it kept."""
