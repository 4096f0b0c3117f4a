"""The running gateway: reload, drain, stop, and what an operator can ask for."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from gateway.app import access_logs, compile
from gateway.app.checks import compile_faults
from gateway.app.core import Core, key_sources
from gateway.app.explaining import Explaining
from gateway.app.opening import Opening, StartFailed
from gateway.app.readings import register, store_conditions
from gateway.app.restart import needs_restart
from gateway.app.revocations import ended_by
from gateway.control import admin
from gateway.control.listener import Listener
from gateway.errors import DependencyFailed
from gateway.identity.audit import Event, Kind
from gateway.identity.model import Revocation
from gateway.identity.setup import setup_token
from gateway.ops.health import Readiness, readiness
from gateway.ops.logged import Logged
from gateway.ops.question import Question
from gateway.settings import model
from gateway.settings.faults import Fault, SettingsInvalid
from gateway.settings.secrets import SecretAbsent
from gateway.settings.values import Address


class Gateway(Opening):
    """One worker. `start`, then `drain` and `aclose`; `reload` in between. address, admin_address: as bound."""

    explaining: Explaining
    _admin: Listener

    async def _furnish(self, settings: model.Settings) -> None:
        register(self)
        self.explaining = Explaining(
            self._store, self._clock, self._log, lambda: (self.core, self._places), self._recent
        )
        self._closers.push_async_callback(self.explaining.aclose)
        if self._has_admin:
            await self._open_admin(settings.admin.address)
        if settings.login.pipelit is not None and not await self._store.has_people():
            self.setup_token = setup_token(self._store.pepper)

    async def _open_admin(self, address: Address) -> None:
        application = admin.build(self, self._admin_access, self._log, refusals=self.auditing.refusals)
        self._admin = Listener(application, address.host, address.port)
        try:
            await self._admin.start()
        except OSError as error:
            raise StartFailed(f"cannot listen on {address} (admin): {error.strerror}") from error
        self._closers.push_async_callback(self._admin.aclose)
        self.admin_address = self._admin.address

    async def drain(self, patience: float = 0.0) -> None:
        """Stops accepting and lets what is under way end, within `listen.timeouts.drain`. patience: as in Edge."""
        self._stopping = True
        async with self._reloading:  # the one under way goes to its end
            seconds = self._settings.listen.timeouts.drain
        await self.edge.drain(seconds, patience)

    async def aclose(self) -> None:
        """Ends everything else."""
        self._stopping = True
        async with self._reloading:
            pass
        await self._closers.aclose()

    @property
    def watched(self) -> bool:
        """Whether a change of the configuration's files is taken by itself."""
        return self._settings.reload.watch

    def _recent(self, request_id: str) -> Logged | None:
        access_log = self.observer.access_log
        return access_log.recent.find(request_id) if access_log is not None else None

    # what an operator can ask for (`control.admin.Operations`)

    async def readiness(self) -> Readiness:
        return await readiness(store_conditions(self, self._store))

    def labels(self) -> list[str]:
        """Names that exchanges are counted by, of the configuration that runs."""
        return sorted({lane.label for lane in self.edge.generation.lanes.values()})

    async def reload(self) -> Sequence[Mapping[str, object]]:
        """The new configuration whole, or the old one still: then the faults. Raises DependencyFailed("draining")."""
        async with self._reloading:
            if self._stopping:
                raise DependencyFailed("draining")
            outcome = "refused"
            try:
                faults = await self._reload()
                outcome = "refused" if faults else "done"
            finally:
                self.reloads[outcome] += 1
                self.last_reload_ok = outcome == "done"
            await self._recorded("configuration_reloaded", outcome == "done")
        if not faults:
            self.last_reload_at = self._clock.now()
        for fault in faults:
            self._log.error("reload refused", place=f"{fault.file}:{fault.line}:{fault.column}", fault=fault.message)
        if not faults:
            self._log.info("reloaded", routes=len(self._settings.routes), generation=self._number)
        return [fault.as_json() for fault in faults]

    async def purge(self) -> None:
        """Every verified credential and our own keys. Nothing ends: what is live is verified anew."""
        self._revoked((Revocation(0, "keys", ""),))
        await self._recorded("cache_purged", True)

    async def _recorded(self, kind: Kind, done: bool) -> None:
        await self.auditing.record(Event(kind, outcome="done" if done else "refused"))

    async def explain(self, question: Question) -> Mapping[str, object]:
        return await self.explaining.answer(question)

    def metrics(self) -> bytes:
        return self.metrics_registry.render()

    async def _reload(self) -> Sequence[Fault]:
        if self._reread is None:
            return []
        try:
            loaded = await asyncio.to_thread(self._reread)  # 10,000 routes take most of a second
        except SettingsInvalid as invalid:
            return invalid.faults
        faults = [*await asyncio.to_thread(compile_faults, loaded), *needs_restart(self._settings, loaded)]
        if faults:
            return faults
        try:
            await self._swap(loaded.settings)
            self._places = loaded.route_places()
        except DependencyFailed as error:
            return [loaded.place(()).fault("reload_failed", error.detail or error.code)]
        except (SecretAbsent, OSError, ValueError) as error:
            return [loaded.place(()).fault("reload_failed", str(error))]
        return []

    async def _swap(self, settings: model.Settings) -> None:
        """All that can fail comes before the first thing that changes, and leaves nothing behind when it does."""
        old = self.core
        async with AsyncExitStack() as undo:
            jwks, own = old.jwks, key_sources(settings) != key_sources(old.settings)
            if own:
                jwks = self._jwks(settings)
                undo.push_async_callback(jwks.aclose)
            number = self._number + 1
            undo.callback(self.counts.keep, [lane.quota for lane in old.generation.lanes.values()])
            core = await asyncio.to_thread(self._core, settings, number, jwks)
            undo.push_async_callback(core.aclose)
            self._cores.announce(core)
            undo.callback(self._cores.forget, core)
            await self._ensure_keys(settings)
            await core.start()
            undo.callback(self._attending.give_up)
            await self._attending.prepare(core.assemblies)
            logged, kept = self.observer.access_log, access_logs.stays(self._settings.log, settings.log)
            access_log = logged if kept else access_logs.opened(settings.log, self._log)
            if access_log is not None and not kept:
                undo.push_async_callback(access_log.aclose)
            spans = await asyncio.to_thread(self.recording.reopen, self._settings.tracing, settings.tracing)
            if spans is not None and spans is not self.recording.current:
                undo.push_async_callback(spans.aclose)
            self._renew_certificate(settings)
            undo.pop_all()
        self._adopt(settings, core, number)
        self._cores.retire(old, own)
        self._cores.begin(self.explaining.forget())
        if access_log is not None and access_log is not logged:
            self.lost_lines.adopt(access_log)
        self.observer.access_log, self.observer.spans = access_log, spans
        if (recorded := self.recording.adopt(spans)) is not None:
            self._cores.begin(self.recording.retire(recorded))  # a collector that is away would hold the reload up
        if logged is not None and not kept:
            await self.lost_lines.retire(logged)

    def _renew_certificate(self, settings: model.Settings) -> None:
        """The listener's context stays and takes the new chain: tried on another first, as it would keep half of it.

        It cannot be taken back, so that nothing that could fail may come after it.
        """
        tls = settings.listen.tls
        if self._tls is not None and tls is not None:
            compile.server_context(tls)
            self._tls.load_cert_chain(tls.cert, tls.key)

    def _adopt(self, settings: model.Settings, core: Core, number: int) -> None:
        core.carry(self.core)
        self._cores.adopt(core)
        self._attending.adopt(core.assemblies)
        self._settings, self._number = settings, number
        self.edge.adopt(core.generation)
        self.counts.keep(lane.quota for lane in core.generation.lanes.values())
        self._relog(settings.log.level, settings.log.format)

    def _revoked(self, rows: Sequence[Revocation]) -> None:
        self._cores.purge(rows)
        if any(row.kind == "keys" for row in rows):
            self._cores.begin(self._cores.reload_keys())
        dead = ended_by(rows)
        if dead is not None:
            self.edge.end(dead)

    async def _changed(self, grant_id: str | None) -> None:
        """What a login of this worker revoked ends now; what is remembered of the grant that it kept is out of date."""
        if self.shared is not None:
            self._cores.begin(self.shared.publish())  # nobody waits for it, and none is told what changed
        if grant_id is not None:
            self._cores.purge((Revocation(0, "grant", grant_id),))
        await self.poll.look()

    def _admin_access(self) -> admin.AdminAccess:
        said = self._settings.admin
        token = said.token.get_secret_value().encode() if said.token.is_set else None
        return admin.AdminAccess(token, frozenset(said.hosts))
