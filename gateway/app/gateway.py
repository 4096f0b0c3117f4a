"""The running gateway: start, reload, drain, stop."""

import asyncio
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gateway.app import compile
from gateway.app.core import Core, key_sources, make_jwks
from gateway.app.observer import Observer
from gateway.app.readings import register, store_conditions
from gateway.app.revocations import RevocationPoll
from gateway.clock import Clock
from gateway.control import admin
from gateway.control.builtin import PureParserError, require_c_parser
from gateway.control.fetch import HttpFetch
from gateway.control.listener import Listener
from gateway.edge.listener import Edge, bind
from gateway.errors import DependencyFailed
from gateway.identity.keys import Keys
from gateway.identity.model import Revocation
from gateway.ops.access_log import AccessLog, open_access_log
from gateway.ops.health import Readiness, readiness
from gateway.ops.logs import Log
from gateway.ops.metrics import Metrics
from gateway.pipeline import Permit
from gateway.settings import model
from gateway.settings.faults import Fault, SettingsInvalid
from gateway.settings.load import Loaded, load
from gateway.settings.secrets import SecretAbsent
from gateway.store.seal import master_key
from gateway.store.sql import Store, open_store

FIXED = (("listen", "address"), ("admin", "address"), ("store", "url"), ("secrets", "master_key"))


class StartFailed(Exception):  # noqa: N818 - errors are named by fault
    """The gateway cannot start; the text says what to change."""


class Gateway:
    """One worker. `start`, then `drain` and `aclose`; `reload` in between. address, admin_address: as bound."""

    def __init__(self, loaded: Loaded, clock: Clock, log: Log, reread: Callable[[], Loaded] | None = None) -> None:
        """reread: reads the configuration again, for `reload`; None where there is no file behind it."""
        self._settings = loaded.settings
        self._clock = clock
        self._log = log
        self._reread = reread
        self._number = 0
        self._reloading = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self._tls: ssl.SSLContext | None = None
        self.metrics_registry = Metrics()
        self.reloads = {"done": 0, "refused": 0}
        self.address: tuple[str, int] = ("", 0)
        self.admin_address: tuple[str, int] = ("", 0)
        self._store: Store
        self._fetch: HttpFetch
        self.core: Core
        self.edge: Edge
        self._poll: RevocationPoll
        self._admin: Listener
        self.observer: Observer

    async def start(self) -> None:
        """Raises StartFailed, with nothing left open."""
        settings = self._settings
        try:
            require_c_parser()
            listening = bind(settings.listen.address.host, settings.listen.address.port)
        except PureParserError as error:
            raise StartFailed(str(error)) from error
        except OSError as error:
            raise StartFailed(f"cannot listen on {settings.listen.address}: {error.strerror}") from error
        closers: list[Callable[[], object]] = [listening.close]
        try:
            await self._open(settings, closers)
            self._tls = compile.server_context(settings.listen.tls) if settings.listen.tls else None
            await self.edge.listen(listening, self._tls)
        except (DependencyFailed, SecretAbsent, OSError) as error:
            for close in reversed(closers):
                result = close()
                if asyncio.iscoroutine(result):
                    await result
            detail = error.detail if isinstance(error, DependencyFailed) else str(error)
            raise StartFailed(detail) from error
        self.address = listening.getsockname()[:2]

    async def _open(self, settings: model.Settings, closers: list[Callable[[], object]]) -> None:
        key = master_key(settings.secrets.master_key.get_secret_value())
        self._store = store = await open_store(settings.store.url, key, self._clock)
        closers.append(store.aclose)
        await Keys(store.keys, self._clock).ensure(settings.tokens.algorithm)
        self._fetch = HttpFetch()
        closers.append(self._fetch.aclose)
        jwks = make_jwks(settings, self._fetch, self._clock)
        closers.append(jwks.aclose)
        self.core = Core(settings, self._number, store, jwks, self._clock, self._log, self.metrics_registry)
        closers.append(self.core.aclose)
        await self.core.start()
        self._poll = RevocationPoll(store.revocations, self._revoked, self._log, self._clock.now)
        await self._poll.start()
        closers.append(self._poll.aclose)
        self.observer = Observer(self._clock, self._log, self._access_log(settings))
        self.edge = Edge(self.core.generation, self.observer, self._clock)
        register(self)
        address = settings.admin.address
        self._admin = Listener(admin.build(self, self._admin_access, self._log), address.host, address.port)
        try:
            await self._admin.start()
        except OSError as error:
            raise OSError(f"cannot listen on {address} (admin): {error.strerror}") from error
        closers.append(self._admin.aclose)
        self.admin_address = self._admin.address

    async def drain(self) -> None:
        """Stops accepting and lets what is under way end, within `listen.timeouts.drain`."""
        await self.edge.drain(self._settings.listen.timeouts.drain)

    async def aclose(self) -> None:
        """Ends everything else."""
        await self._poll.aclose()
        await self._admin.aclose()
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self.core.aclose()
        await self.core.jwks.aclose()
        await self._fetch.aclose()
        await self._store.aclose()
        if self.observer.access_log is not None:
            await self.observer.access_log.aclose()

    # what an operator can ask for (`control.admin.Operations`)

    async def readiness(self) -> Readiness:
        return await readiness(store_conditions(self, self._store))

    async def reload(self) -> Sequence[Mapping[str, object]]:
        """The new configuration whole, or the old one still: then the faults."""
        async with self._reloading:
            faults = await self._reload()
        self.reloads["refused" if faults else "done"] += 1
        for fault in faults:
            self._log.error("reload refused", place=f"{fault.file}:{fault.line}:{fault.column}", fault=fault.message)
        return [fault.as_json() for fault in faults]

    async def purge(self) -> None:
        self.core.authenticator.purge_all()

    def metrics(self) -> bytes:
        return self.metrics_registry.render()

    async def _reload(self) -> Sequence[Fault]:
        if self._reread is None:
            return []
        try:
            loaded = await asyncio.to_thread(self._reread)  # 10,000 routes take most of a second
        except SettingsInvalid as invalid:
            return invalid.faults
        faults = [*await asyncio.to_thread(compile.compile_faults, loaded), *self._fixed(loaded)]
        if faults:
            return faults
        try:
            await self._swap(loaded.settings)
        except (DependencyFailed, OSError) as error:
            return [loaded.place(()).fault("reload_failed", str(error))]
        return []

    def _fixed(self, loaded: Loaded) -> list[Fault]:
        """What only a restart can change."""
        faults = []
        for section, key in FIXED:
            old, new = (getattr(getattr(settings, section), key) for settings in (self._settings, loaded.settings))
            if section == "secrets":
                old, new = old.get_secret_value(), new.get_secret_value()
            if old != new:
                place = loaded.place((section, key))
                faults.append(place.fault("needs_restart", f"{section}.{key} changes only with a restart"))
        if (self._settings.listen.tls is None) != (loaded.settings.listen.tls is None):
            faults.append(loaded.place(("listen",)).fault("needs_restart", "TLS is turned on or off with a restart"))
        return faults

    async def _swap(self, settings: model.Settings) -> None:
        self._number += 1
        old = self.core
        same = key_sources(settings) == key_sources(old.settings)
        jwks = old.jwks if same else make_jwks(settings, self._fetch, self._clock)
        core = await asyncio.to_thread(
            Core, settings, self._number, self._store, jwks, self._clock, self._log, self.metrics_registry
        )
        await Keys(self._store.keys, self._clock).ensure(settings.tokens.algorithm)
        await core.start()
        if self._tls is not None and settings.listen.tls is not None:
            self._tls.load_cert_chain(settings.listen.tls.cert, settings.listen.tls.key)
        logged, self.observer.access_log = self.observer.access_log, self._access_log(settings)
        self._settings, self.core = settings, core
        self.edge.adopt(core.generation)
        if logged is not None:
            await logged.aclose()
        task = asyncio.create_task(self._retire(old, not same))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _retire(self, core: Core, own_jwks: bool) -> None:
        """An exchange keeps the generation that it began with; when none is left, its objects end."""
        while self._in_use(core):  # noqa: ASYNC110 - it ends with exchanges, which tell nobody so
            await asyncio.sleep(1.0)
        await core.aclose()
        if own_jwks:
            await core.jwks.aclose()

    def _in_use(self, core: Core) -> bool:
        return any(client.uses(core.generation) for client in self.edge.clients)

    def _revoked(self, rows: Sequence[Revocation]) -> None:
        self.core.authenticator.purge(rows)
        grants = {row.subject for row in rows if row.kind == "grant"}
        accounts = {row.subject for row in rows if row.kind == "account"}

        def dead(permit: Permit) -> bool:
            principal = permit.principal
            return principal is not None and (
                principal.grant_id in grants or (principal.account is not None and principal.account.id in accounts)
            )

        if grants or accounts:
            self.edge.end(dead)

    def _access_log(self, settings: model.Settings) -> AccessLog | None:
        where = settings.log.access
        if isinstance(where, Path):
            return open_access_log(where, self._access_log_failed)
        return AccessLog(sys.stdout.fileno(), self._access_log_failed) if where == "stdout" else None

    def _access_log_failed(self, error: OSError) -> None:
        self._log.error("the access log cannot be written", exc_info=error)

    def _admin_access(self) -> admin.AdminAccess:
        said = self._settings.admin
        token = said.token.get_secret_value().encode() if said.token.is_set else None
        return admin.AdminAccess(token, frozenset(said.hosts))


def read(path: Path, environ: Mapping[str, str]) -> Loaded:
    """The configuration with what only compiling shows. Raises SettingsInvalid."""
    loaded = load(path, environ)
    faults = compile.compile_faults(loaded)
    if faults:
        raise SettingsInvalid(faults)
    return loaded
