"""P9: two workers beside one: what a request costs, how connections are spread, and the rate where cores allow."""

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from statistics import median

from bench.fleet.servers import start_redis
from bench.load import Client, LoadFailedError, warm
from bench.ours import Ours
from bench.processes import Process
from bench.report import Row
from bench.stand import HALF, Bench

CPU_LIMIT, SPREAD_LIMIT, RATE_LEAST = 1.1, 60.0, 1.8  # of one worker's, per cent on the busier one, of one's rate
SPREAD = 1_000  # connections that are counted
CORES = 4  # with fewer, the rate of two workers is that of the machine


def p9_two_workers(bench: Bench) -> tuple[list[Row], list[str]]:
    """Both with the same Redis, which two workers need. The supervisor's CPU time counts."""
    redis = start_redis(bench.stable)
    state = {"state": {"url": f"redis://127.0.0.1:{redis.port}"}}
    cores = bench.stable.cores
    apart = 2 + len(cores.spare) >= CORES
    one = bench.gateway(sections=state)
    both = f"{cores.system},{cores.spare[0]}" if apart else None
    two = bench.gateway(sections=state | {"listen": {"workers": 2}}, core=both)
    found = bench.in_turn(
        {
            "two": bench.warm_cost(two.system, two.bearer()),
            "one": bench.warm_cost(one.system, one.bearer()),
        }
    )
    rows = [Row.compared("P9", "two workers, bearer JWT, warm", found["two"], "one", found["one"], limit=CPU_LIMIT)]
    shares = [_busier_share(two) for _ in range(bench.rounds)]
    what = f"connections on the busier of two workers, of {SPREAD:,}"
    rows.append(Row("P9", what, "%", median(shares), limit=SPREAD_LIMIT, samples=(tuple(shares),)))
    missing = []
    if apart:
        rows.append(_rates(bench, two, one))
    else:
        missing.append(f"P9, the rate of two workers: there are {2 + len(cores.spare)} cores, and it takes {CORES}")
    for process in (two.system.process, one.system.process, redis.process):
        bench.stable.stop(process)
    return rows, missing


def _rates(bench: Bench, two: Ours, one: Ours) -> Row:
    def rate(ours: Ours) -> float:
        warm(ours.bearer(), HALF)
        return warm(ours.bearer(), bench.seconds) / max(1, round(bench.seconds))

    found = bench.in_turn({"two": lambda: rate(two), "one": lambda: rate(one)})
    return Row.compared(
        "P9", "two workers, rate", found["two"], "one", found["one"], unit="1/s", limit=RATE_LEAST, at_least=True
    )


def _busier_share(two: Ours) -> float:
    """Per cent of idle connections that the worker with more of them has."""
    two.system.process.rest()  # so that connections of the load and of the last round are closed
    before = _sockets(two.system.process)
    with ExitStack() as opened:
        for _ in range(SPREAD):
            client = Client(two.bearer())
            opened.callback(client.close)
            client.ask()
        after = _sockets(two.system.process)
    more = sorted((after[pid] - before.get(pid, 0) for pid in after), reverse=True)
    if sum(more[:2]) < SPREAD:
        raise LoadFailedError(f"of {SPREAD} connections, workers have {more}")
    return 100 * more[0] / sum(more)


def _sockets(process: Process) -> Mapping[int, int]:
    """How many sockets each process of the family has open."""
    found = {}
    for pid in process.family():
        found[pid] = 0
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):  # it was closed while we looked
                found[pid] += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    return found
