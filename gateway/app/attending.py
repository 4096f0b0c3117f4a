"""What looks after the upstreams of the configuration that runs: checks, look-ups, and what they know of endpoints."""

from collections.abc import Mapping

from gateway.app.assembly import Assembly
from gateway.app.health_checks import HealthChecks
from gateway.app.known import Known
from gateway.app.lookups import Lookups, Resolver
from gateway.clock import Clock
from gateway.ops.logs import Log


class Attending:
    """One for all generations: of two that live at a time, the endpoints of the newer one are looked after, and what
    both have is the same to both."""

    def __init__(self, clock: Clock, log: Log, resolve: Resolver) -> None:
        self.known = Known(clock.monotonic)
        self._assemblies: Mapping[str, Assembly] = {}
        self._checks = HealthChecks(clock, log)
        self._lookups = Lookups(resolve, clock, log, self._moved)

    async def prepare(self, assemblies: Mapping[str, Assembly]) -> None:
        """Before these are adopted, or given up."""
        await self._lookups.first(assemblies)

    def adopt(self, assemblies: Mapping[str, Assembly]) -> None:
        self._assemblies = assemblies
        self._forget()
        self._lookups.adopt(assemblies)
        self._moved()

    def give_up(self) -> None:
        """What was prepared does not come: what was found for it grows old, and nobody looks again."""
        self._forget()

    def _forget(self) -> None:
        """What is none of the configuration that runs."""
        self.known.keep(self._assemblies)
        for assembly in self._assemblies.values():
            assembly.record.keep_names(assembly.names)

    async def aclose(self) -> None:
        await self._lookups.aclose()
        await self._checks.aclose()

    def _moved(self) -> None:
        """The endpoints are others than before."""
        for assembly in self._assemblies.values():
            endpoints = assembly.upstream.endpoints
            assembly.record.keep({endpoint.name: endpoint.health for endpoint in endpoints})
            for endpoint in endpoints:
                if assembly.said.health is None:
                    endpoint.health.unchecked()
                if assembly.said.outlier is None:
                    endpoint.health.unjudged()
                else:
                    endpoint.health.judged = True
        self._checks.adopt(self._assemblies)
