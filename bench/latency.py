"""P5: the latency that a system adds to the upstream's own, at a constant rate that is half of what we can take."""

from collections.abc import Callable, Mapping
from statistics import median

from bench.load import Target, Waits, warm
from bench.openloop import OpenLoop
from bench.peers import start_peers
from bench.report import Row
from bench.stand import HALF, Bench

P50_LIMIT, P99_LIMIT = 0.4, 2.0  # milliseconds that we add; that we add more than nginx does
SHARE = 0.5  # of the rate at which we are saturated


def p5_latency(bench: Bench) -> tuple[list[Row], list[str]]:
    """All at the same rate, over 64 connections; `direct` is the upstream without anything before it."""
    peers, missing = start_peers(bench.stable, bench.issuer, bench.upstream.port)
    ours = bench.gateway()
    target = ours.bearer()
    targets = {"direct": bench.upstream.port, "ours": target.port, **{peer.name: peer.port for peer in peers}}
    warm(target, HALF)
    rate = SHARE * warm(target, whole := max(1, round(bench.seconds))) / whole

    def measure(port: int) -> Callable[[], Waits]:
        load = OpenLoop(Target(port, target.path, target.header))
        load.run(rate, HALF)
        return lambda: load.waits(rate, bench.seconds)

    when = f"at {rate:,.0f} a second"
    found = bench.in_turn({name: measure(port) for name, port in targets.items()})
    for system in (ours.system, *peers):
        bench.stable.stop(system.process)
    direct = [
        Row(
            "P5",
            f"latency of the upstream itself {when}, {which}",
            "ms",
            median(of(waits) for waits in found["direct"]),
        )
        for which, of in (("p50", _p50), ("p99", _p99))
    ]
    p50 = {name: _added(found, name, _p50) for name in targets}
    p99 = {name: _added(found, name, _p99) for name in targets}
    return direct + _rows(when, [peer.name for peer in peers], p50, p99), missing


def _p50(waits: Waits) -> float:
    return waits.median


def _p99(waits: Waits) -> float:
    return waits.p99


def _added(found: Mapping[str, list[Waits]], name: str, of: Callable[[Waits], float]) -> list[float]:
    """Milliseconds more than the direct way took in the same round."""
    return [of(through) - of(direct) for through, direct in zip(found[name], found["direct"], strict=True)]


def _rows(when: str, peers: list[str], p50: Mapping[str, list[float]], p99: Mapping[str, list[float]]) -> list[Row]:
    rows = [
        Row(
            "P5",
            f"latency added {when}, p50",
            "ms",
            median(p50["ours"]),
            limit=P50_LIMIT,
            samples=(tuple(p50["ours"]), ()),
        )
    ]
    for name in peers:
        rows.append(
            Row(
                "P5",
                f"latency added {when}, p50",
                "ms",
                median(p50["ours"]),
                against=name,
                theirs=median(p50[name]),
                samples=(tuple(p50["ours"]), tuple(p50[name])),
            )
        )
    for name in peers:
        more = [mine - other for mine, other in zip(p99["ours"], p99[name], strict=True)]
        limit = P99_LIMIT if name == "nginx" else None
        samples = (tuple(p99["ours"]), tuple(p99[name]))
        rows.append(Row("P5", f"p99 added, more than {name} adds", "ms", median(more), limit=limit, samples=samples))
    return rows
