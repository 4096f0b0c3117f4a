"""Logged requests, decided by one configuration and by another. Nothing is forwarded, and nothing is stored."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import assert_never

from gateway.access.authenticate import Verified
from gateway.access.jwks import Jwks
from gateway.app import compile
from gateway.app.asked import Asked, asked_again
from gateway.app.core import Core
from gateway.app.explain import OnPaper
from gateway.app.outcome import Unknown, outcome_of
from gateway.clock import Clock
from gateway.control.fetch import HttpFetch
from gateway.edge.single import read_request
from gateway.errors import DependencyFailed, RequestRejected
from gateway.ops.logged import Logged
from gateway.ops.logs import Log
from gateway.ops.metrics import Metrics
from gateway.pipeline import Admitted, Crossing, Refused, Unverified
from gateway.routes.model import Access, Route
from gateway.settings.model import Settings
from gateway.store.sql import open_store

REMEMBERED = 100_000  # requests alike whose decision is kept: method, host, path and caller
DEPENDS = "it depends on the credential"  # which the log does not have


@dataclass(frozen=True, slots=True)
class Decision:
    """outcome: `forwarded`, `answered`, DEPENDS or a reason code. route, upstream: None where no route took it."""

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
        self._holders: dict[str, Verified | RequestRejected] = {}
        self._known: dict[tuple[object, ...], Decision] = {}

    async def decide(self, logged: Logged) -> Decision:
        """Raises RequestRejected for a line that does not have what decides. DependencyFailed."""
        if logged.preflight:
            raise RequestRejected("invalid_value", "It was a browser's preflight, whose headers the log does not have.")
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
        outcome = await outcome_of(core, request, asked, self._holder, now)
        match outcome:
            case Crossing():
                return _at(outcome.route, "answered")
            case Unknown() | Unverified():
                return _at(outcome.route, DEPENDS)
            case Admitted():
                return _at(outcome.permit.route, "forwarded")
            case Refused():
                if isinstance(outcome.fault, DependencyFailed) and outcome.caller is None:
                    raise outcome.fault
                return _at(outcome.route, outcome.fault.code)
        assert_never(outcome)

    async def _holder(self, grant_id: str, now: float) -> Verified:
        found = self._holders.get(grant_id)
        if found is None or (isinstance(found, Verified) and found.until <= now):
            try:
                found = await self._core.authenticator.holder(grant_id, now)
            except RequestRejected as fault:
                found = fault
            self._holders[grant_id] = found
        if isinstance(found, RequestRejected):
            raise found
        return found


def _at(route: Route | None, outcome: str) -> Decision:
    if route is None:
        return Decision(outcome)
    return Decision(outcome, compile.label(route), route.upstream, route.access)


@asynccontextmanager
async def replays(
    configurations: Sequence[Settings], keys: tuple[bytes, bytes | None], clock: Clock, log: Log
) -> AsyncIterator[Sequence[Replay]]:
    """One for each, all over the store of the first. keys: the master key, and the one before it while it changes.

    Raises DependencyFailed.
    """
    first = configurations[0].store
    async with AsyncExitStack() as closing:
        store = await open_store(first.url, keys[0], clock, first.secret, keys[1])
        closing.push_async_callback(store.aclose)
        fetch = await closing.enter_async_context(HttpFetch())
        jwks = Jwks([], fetch, clock)  # no token is verified
        closing.push_async_callback(jwks.aclose)
        directory, made = OnPaper(store.directory), []
        for number, settings in enumerate(configurations):
            core = Core(settings, number, store, jwks, clock, log, Metrics(), directory)
            closing.push_async_callback(core.authenticator.aclose)
            await core.authenticator.reload_keys()
            made.append(Replay(core, clock))
        yield made
