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
        self._checks = HealthChecks(clock)
        self._lookups = Lookups(resolve, clock, log, self._moved)

    async def prepare(self, assemblies: Mapping[str, Assembly]) -> None:
        """Before these are adopted."""
        await self._lookups.first(assemblies)

    def adopt(self, assemblies: Mapping[str, Assembly]) -> None:
        self._assemblies = assemblies
        self.known.keep(assemblies)
        self._lookups.adopt(assemblies)
        self._moved()

    async def aclose(self) -> None:
        await self._lookups.aclose()
        await self._checks.aclose()

    def _moved(self) -> None:
        """The endpoints are others than before."""
        for assembly in self._assemblies.values():
            endpoints = assembly.upstream.endpoints
            assembly.record.keep({endpoint.name: endpoint.health for endpoint in endpoints}, assembly.names)
            for endpoint in endpoints:
                if assembly.said.health is None:
                    endpoint.health.unchecked()
                if assembly.said.outlier is None:
                    endpoint.health.unjudged()
        self._checks.adopt(self._assemblies)
