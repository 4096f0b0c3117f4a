"""Logged requests, decided by one configuration and by another. Nothing is forwarded, and nothing is stored."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.access.authenticate import Verified
from gateway.access.jwks import Jwks
from gateway.app import compile
from gateway.app.asked import Asked, asked_again
from gateway.app.core import Core
from gateway.app.explain import OnPaper
from gateway.clock import Clock
from gateway.control.fetch import HttpFetch
from gateway.edge.single import read_request
from gateway.errors import GatewayError, RequestRejected
from gateway.ops.logged import Logged
from gateway.ops.logs import Log
from gateway.ops.metrics import Metrics
from gateway.pipeline import Admitted, Memo, Refused
from gateway.routes.model import Access, AccessKind, Route
from gateway.settings.model import Settings
from gateway.store.sql import open_store

REMEMBERED = 100_000  # requests alike whose decision is kept: method, host, path and caller
DEPENDS = "it depends on the credential"  # which the log does not have


@dataclass(frozen=True, slots=True)
class Decision:
    """outcome: `forwarded`, DEPENDS or a reason code. route, upstream: None where no route took it."""

    outcome: str
    route: str | None = None
    upstream: str | None = None
    access: Access | None = None

    def otherwise(self, other: "Decision") -> bool:
        """Whether the two differ in more than the name of the route. What depends on the same rule is the same."""
        if self.outcome != other.outcome or self.upstream != other.upstream:
            return True
        return self.outcome == DEPENDS and self.access != other.access

    def as_json(self) -> Mapping[str, object]:
        return {"outcome": self.outcome, "route": self.route, "upstream": self.upstream}


class Replay:
    """One configuration. Callers are those that the store has now."""

    def __init__(self, core: Core, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._holders: dict[str, Verified | GatewayError] = {}
        self._known: dict[tuple[object, ...], Decision] = {}

    async def decide(self, logged: Logged) -> Decision:
        """Raises RequestRejected for a line without a path. DependencyFailed."""
        key = (logged.method, logged.host, logged.path, logged.grant, logged.anonymous)
        decision = self._known.get(key)
        if decision is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            asked = asked_again(logged, self._core.settings.public_url)
            decision = self._known[key] = await self._decided(asked)
        return decision

    async def _decided(self, asked: Asked) -> Decision:
        core, now = self._core, self._clock.now()
        try:
            request = read_request(asked.head, core.generation, asked.address, self._clock).request
        except RequestRejected as fault:
            return Decision(fault.code)
        pipeline, memo = core.generation.pipeline, Memo()
        route = pipeline.route(request, memo)
        if isinstance(route, Refused):
            return Decision(route.fault.code)
        if not (route.builtin or route.access.kind is AccessKind.PUBLIC):
            if not asked.known:
                return _at(route, DEPENDS)
            if asked.grant is not None:
                holder = await self._holder(asked.grant, now)
                if isinstance(holder, GatewayError):
                    return _at(route, holder.code)
                memo.keep(request, core.authenticator, holder)
        outcome = pipeline.judge(route, request, memo, now)
        if isinstance(outcome, Admitted):
            return _at(route, "forwarded")
        return _at(route, outcome.fault.code if isinstance(outcome, Refused) else DEPENDS)

    async def _holder(self, grant_id: str, now: float) -> Verified | GatewayError:
        found = self._holders.get(grant_id)
        if found is None or (isinstance(found, Verified) and found.until <= now):
            try:
                found = await self._core.authenticator.holder(grant_id, now)
            except RequestRejected as fault:
                found = fault
            self._holders[grant_id] = found
        return found


def _at(route: Route, outcome: str) -> Decision:
    return Decision(outcome, compile.label(route), route.upstream, route.access)


@asynccontextmanager
async def replays(
    configurations: Sequence[Settings], keys: tuple[bytes, bytes | None], clock: Clock, log: Log
) -> AsyncIterator[Sequence[Replay]]:
    """One for each, all over the store of the first. keys: the master key, and the one before it while it changes.

    Raises DependencyFailed.
    """
    first = configurations[0].store
    store = await open_store(first.url, keys[0], clock, first.secret, keys[1])
    try:
        async with HttpFetch() as fetch:
            jwks = Jwks([], fetch, clock)  # no token is verified
            directory = OnPaper(store.directory)
            cores = [
                Core(settings, number, store, jwks, clock, log, Metrics(), directory)
                for number, settings in enumerate(configurations)
            ]
            for core in cores:
                await core.authenticator.reload_keys()
            yield [Replay(core, clock) for core in cores]
    finally:
        await store.aclose()
