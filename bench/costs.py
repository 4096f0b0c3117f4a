"""P1 to P4: what a request costs, in CPU time of the system under test."""

from collections.abc import Callable, Iterator
from itertools import islice
from statistics import median

from bench.issuer import Issuer
from bench.load import CONNECTIONS, Client, Fresh, Target, Waits, cost
from bench.ours import Ours
from bench.peers import start_peers
from bench.report import Row
from bench.stand import FEW, Bench

# (limit, stretch) of the ratio ours to theirs
P1_TARGETS: dict[str, tuple[float | None, float | None]] = {
    "HAProxy": (0.90, 0.75),
    "Envoy": (0.45, 0.38),
    "nginx": (None, 2.0),
}
P2_LIMIT, P3_LIMIT, P4_LIMIT = 1.05, 8.0, 1.05
P3_WAIT_LIMIT, P4_LOAD_LIMIT = 5.0, 2.0  # milliseconds, seconds
MANY = 10_000  # routes of P4
BESIDE = 500  # credentials never seen before that one connection presents while the prober asks


def p1_warm_bearer(bench: Bench) -> tuple[list[Row], list[str]]:
    """Against every peer that is here, all with the same token on the same path."""
    peers, missing = start_peers(bench.stable, bench.issuer, bench.upstream.port)
    ours = bench.gateway()
    target = ours.bearer()
    what = f"bearer JWT, warm, profile of {ours.profile_bytes():,} bytes"
    measures = {"ours": bench.warm_cost(ours.system, target)}
    for peer in peers:
        measures[peer.name] = bench.warm_cost(peer, Target(peer.port, target.path, target.header))
    found = bench.in_turn(measures)
    for system in (ours.system, *peers):
        bench.stable.stop(system.process)
    rows = []
    for peer in peers:
        limit, stretch = P1_TARGETS.get(peer.name, (None, None))
        rows.append(Row.compared("P1", what, found["ours"], peer.name, found[peer.name], limit=limit, stretch=stretch))
    return rows, missing


def p2_warm_connection_string(bench: Bench) -> tuple[list[Row], list[str]]:
    ours = bench.gateway()
    string = ours.connection_string(next(bench.seeded.connection_strings))
    found = bench.in_turn(
        {"bearer": bench.warm_cost(ours.system, ours.bearer()), "string": bench.warm_cost(ours.system, string)}
    )
    bench.stable.stop(ours.system.process)
    what = "connection string, warm"
    return [Row.compared("P2", what, found["string"], "our P1", found["bearer"], limit=P2_LIMIT)], []


def p3_never_seen(bench: Bench) -> tuple[list[Row], list[str]]:
    """Each credential is used once; the prober beside asks with one that is known."""
    ours = bench.gateway()
    kinds: dict[str, tuple[Target, Iterator[str]]] = {
        "RS256 token": (ours.bearer(), _tokens(bench.issuer, "RS256")),
        "EdDSA token": (ours.bearer(), _tokens(bench.issuer, "EdDSA")),
        "connection string": (ours.connection_string(""), bench.seeded.connection_strings),
    }
    measures = {"warm": bench.warm_cost(ours.system, ours.bearer())}
    for kind, (target, values) in kinds.items():
        measures[kind] = _fresh_cost(bench, ours, target, values)
    found = bench.in_turn(measures)
    waits = {kind: [_beside(bench, ours, *kinds[kind]) for _ in range(bench.rounds)] for kind in kinds}
    quiet = [_quiet(ours) for _ in range(bench.rounds)]
    bench.stable.stop(ours.system.process)
    rows = [
        Row.compared("P3", f"{kind} never seen before", found[kind], "our P1", found["warm"], limit=P3_LIMIT)
        for kind in kinds
    ]
    rows += [_longest(f"beside {kind}s", waits[kind], P3_WAIT_LIMIT) for kind in kinds]
    return [*rows, _longest("beside nothing", quiet, None)], []


def _tokens(issuer: Issuer, algorithm: str) -> Iterator[str]:
    while True:
        yield f"Bearer {issuer.mint(algorithm)}"


def _fresh_cost(bench: Bench, ours: Ours, target: Target, values: Iterator[str]) -> Callable[[], float]:
    def measure() -> float:
        chosen = list(islice(values, bench.fresh))  # made before the clock starts

        def load() -> int:
            with Fresh(target, chosen, bench.seconds, CONNECTIONS, bench.stable.folder) as fresh:
                return fresh.served()

        return cost(ours.system.process, load)

    return measure


def _beside(bench: Bench, ours: Ours, target: Target, values: Iterator[str]) -> Waits:
    """Waits of a known caller while one connection presents one unseen credential after another: the time that a
    single verification holds the others up. (64 of them at once would show the queue, which any load makes.)
    """
    chosen = list(islice(values, BESIDE))
    prober = Client(ours.bearer())
    prober.ask()
    with Fresh(target, chosen, 1, 1, bench.stable.folder) as fresh:
        waits = []
        while fresh.running:
            waits.append(prober.ask())
        fresh.served()
    prober.close()
    return Waits.of(waits)


def _quiet(ours: Ours) -> Waits:
    prober = Client(ours.bearer())
    waits = Waits.of([prober.ask() for _ in range(BESIDE)])
    prober.close()
    return waits


def _longest(what: str, waits: list[Waits], limit: float | None) -> Row:
    """The median of the rounds' longest waits: a single one may be the machine's doing."""
    longest = median(figures.longest for figures in waits)
    samples = tuple((figures.median, figures.p99, figures.longest) for figures in waits)
    return Row("P3", f"longest wait of a known caller {what}", "ms", longest, limit=limit, samples=samples)


def p4_many_routes(bench: Bench) -> tuple[list[Row], list[str]]:
    """The same request through a table of 10 routes and through one of 10,000; and what the start takes longer."""
    starts = [_start_apart(bench) for _ in range(bench.rounds)]
    few, many = bench.gateway(FEW), bench.gateway(MANY)
    found = bench.in_turn(
        {
            "many": bench.warm_cost(many.system, many.bearer()),
            "few": bench.warm_cost(few.system, few.bearer()),
        }
    )
    bench.stable.stop(few.system.process)
    bench.stable.stop(many.system.process)
    what = f"{MANY:,} routes, bearer JWT, warm"
    cpu = Row.compared("P4", what, found["many"], f"{FEW} routes", found["few"], limit=P4_LIMIT)
    longer = median(many - few for few, many in starts)
    what = f"start with {MANY:,} routes, longer than with {FEW}"
    return [cpu, Row("P4", what, "s", longer, limit=P4_LOAD_LIMIT, samples=tuple(starts))], []


def _start_apart(bench: Bench) -> tuple[float, float]:
    """Seconds to the first answer with few routes and with many, one after the other."""
    took = []
    for routes in (FEW, MANY):
        ours = bench.gateway(routes, rest=False)
        took.append(ours.seconds)
        bench.stable.stop(ours.system.process)
    return took[0], took[1]
