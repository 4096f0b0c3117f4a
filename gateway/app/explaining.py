"""Explains requests beside a running gateway, with objects of its own: nothing is counted, cached or made."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.app.asked import Asked, asked_again, asked_for
from gateway.app.core import Core
from gateway.app.explain import OnPaper, explain
from gateway.app.explanation import as_fields
from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.ops.logged import Logged, find
from gateway.ops.logs import Log
from gateway.ops.metrics import Metrics
from gateway.ops.question import Question
from gateway.settings.model import Settings
from gateway.store.sql import Store

SEARCHED: Final = 256 * 1024 * 1024  # bytes at the end of the log; the command line searches all of it


class Explaining:
    """running: the core of the configuration that runs, and `file:line` of its routes. recent: a logged request."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        log: Log,
        running: Callable[[], tuple[Core, Sequence[str]]],
        recent: Callable[[str], Logged | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._running = running
        self._recent = recent
        self._made: tuple[Core, Core] | None = None  # of that which ran then, and our own
        self._turn = asyncio.Lock()  # one at a time: another would end what this one asks

    async def answer(self, question: Question) -> Mapping[str, object]:
        """As `gateway explain --json` prints it. Raises RequestRejected for what cannot be asked, DependencyFailed."""
        async with self._turn:
            running, places = self._running()
            asked, logged = await self._asked(question, running.settings)
            core = await self._core(running)
            return as_fields(await explain(core, asked, self._clock), places, logged)

    async def forget(self) -> None:
        """What was made for a configuration that does not run any more: its routes may be many."""
        async with self._turn:
            if self._made is not None and self._made[0] is not self._running()[0]:
                await self._drop()

    async def aclose(self) -> None:
        await self._drop()  # which ends a verification under way
        async with self._turn:
            await self._drop()

    async def _drop(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            await made[1].authenticator.aclose()

    async def _core(self, running: Core) -> Core:
        if self._made is None or self._made[0] is not running:
            await self._drop()
            core = await asyncio.to_thread(self._build, running)  # the tables of 10,000 routes take half a second
            self._made = running, core
        core = self._made[1]
        core.authenticator.purge_all()  # nobody tells it what is revoked
        await core.authenticator.reload_keys()
        return core

    async def _asked(self, question: Question, settings: Settings) -> tuple[Asked, Logged | None]:
        if question.id:
            logged = await self._logged(settings, question.id)
            return asked_again(logged, settings.public_url), logged
        try:
            return asked_for(question.method, question.url, question.fields, settings.public_url), None
        except ValueError as error:
            raise RequestRejected("bad_parameter", f"{error}.") from error

    def _build(self, running: Core) -> Core:
        directory = OnPaper(self._store.directory)
        return Core(running.settings, 0, self._store, running.jwks, self._clock, self._log, Metrics(), directory)

    async def _logged(self, settings: Settings, request_id: str) -> Logged:
        found, where = self._recent(request_id), settings.log.access
        if found is None and isinstance(where, Path):
            found = await asyncio.to_thread(find, where, request_id, SEARCHED)
        if found is None:
            raise RequestRejected("not_found", "No line with that id is remembered: give the log to gateway explain.")
        return found
