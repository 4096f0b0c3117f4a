"""What the rows share: the processes, the seeded database, the upstream, and how systems take turns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bench.issuer import Issuer
from bench.load import Target, cost, warm
from bench.ours import NOTHING, Ours, start_gateway
from bench.peers import System
from bench.processes import Stable
from bench.seed import Seeded
from bench.tls import Certificate

T = TypeVar("T")
HALF = 0.5  # seconds of load before the first round, so that pools, caches and allocators have their size
FEW = 10  # routes, unless it is about their number


@dataclass(frozen=True, slots=True)
class Bench:
    """What the rows share. fresh: credentials of each kind in a round; idle: connections; body: MiB; accounts: many."""

    stable: Stable
    issuer: Issuer
    seeded: Seeded
    upstream: System
    rounds: int
    seconds: float
    fresh: int
    idle: int
    body: int
    accounts: int

    def gateway(
        self,
        routes: int = FEW,
        *,
        upstream: int | None = None,
        certificate: Certificate | None = None,
        sections: Mapping[str, Mapping[str, object]] = NOTHING,
        route: Mapping[str, object] = NOTHING,
        core: str | None = None,
        rest: bool = True,
    ) -> Ours:
        """As `start_gateway`. upstream: the port of another one. rest: wait until what a start puts off is done."""
        ours = start_gateway(
            self.stable,
            self.seeded,
            self.issuer,
            upstream or self.upstream.port,
            routes=routes,
            certificate=certificate,
            sections=sections,
            route=route,
            core=core,
        )
        if rest:
            ours.system.process.rest()
        return ours

    def in_turn(self, measures: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
        """Each measure once in every round, in the same order; the rounds' figures by name."""
        found: dict[str, list[T]] = {name: [] for name in measures}
        for _ in range(self.rounds):
            for name, measure in measures.items():
                found[name].append(measure())
        return found

    def warm_cost(self, system: System, target: Target) -> Callable[[], float]:
        warm(target, HALF)
        return lambda: cost(system.process, lambda: warm(target, self.seconds))
