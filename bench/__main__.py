"""The command line of the bench, and the order of its rows."""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench.bodies import p6_bodies
from bench.costs import p1_warm_bearer, p2_warm_connection_string, p3_never_seen, p4_many_routes
from bench.crowded import p12_many_accounts
from bench.everything import p1_everything
from bench.footprint import p7_memory, p11_cold_start
from bench.issuer import Issuer
from bench.latency import p5_latency
from bench.load import LoadFailedError
from bench.ours import how_it_runs
from bench.peers import start_upstream
from bench.processes import Cores, NotStartedError, Stable
from bench.report import Result, Row
from bench.seed import seed
from bench.stand import Bench
from bench.storm import p10_login_storm
from bench.websockets import p8_echo
from bench.workers import p9_two_workers

OUT = Path(__file__).parent / "out"
ROWS: dict[str, Callable[[Bench], tuple[list[Row], list[str]]]] = {
    "P1": p1_warm_bearer,
    "P1+": p1_everything,
    "P2": p2_warm_connection_string,
    "P3": p3_never_seen,
    "P4": p4_many_routes,
    "P5": p5_latency,
    "P6": p6_bodies,
    "P7": p7_memory,
    "P8": p8_echo,
    "P9": p9_two_workers,
    "P10": p10_login_storm,
    "P11": p11_cold_start,
    "P12": p12_many_accounts,
}
QUICK = {"seconds": 1, "rounds": 1, "fresh": 500, "idle": 500, "body": 256, "accounts": 10_000}
SPARE = 500  # file descriptors that are not idle connections
STRINGS_BESIDE = 1_000  # connection strings for warm rows and for the prober's company, a round


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS), help="which, comma-separated (default: all)")
    parser.add_argument("--seconds", type=float, default=3, help="of each load (whole ones; default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each system (default 3)")
    parser.add_argument("--fresh", type=int, default=2_000, help="unseen credentials of a kind in a round of P3")
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections of P7")
    parser.add_argument("--body", type=int, default=1_024, help="MiB of a body of P6 (default 1024)")
    parser.add_argument("--accounts", type=int, default=100_000, help="of P12, with ten grants each (default 100000)")
    parser.add_argument("--quick", action="store_true", help="one short round of everything: to see that it works")
    parser.add_argument("--name", default=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}", help="of the JSON file in bench/out")
    quick = QUICK if "--quick" in arguments else {}
    parser.set_defaults(**quick)
    chosen = parser.parse_args(arguments)
    chosen.rows = [row.strip().upper() for row in chosen.rows.split(",")]
    if unknown := sorted(set(chosen.rows) - set(ROWS)):
        parser.error(f"no such row: {', '.join(unknown)} (there are {', '.join(ROWS)})")
    if (
        chosen.seconds < 1
        or chosen.rounds < 1
        or min(chosen.idle, chosen.body, chosen.accounts) < 1
        or min(chosen.fresh, chosen.accounts) < 100
    ):
        parser.error("at least one second, round, idle connection and MiB, 100 unseen credentials and accounts")
    return chosen


def run(chosen: argparse.Namespace, say: Callable[[str], None]) -> Result:
    """Every chosen row; one that cannot be measured is left out with the reason, the others go on."""
    rows: list[Row] = []
    left_out: list[str] = []
    cores = Cores.of_this_machine()
    if not cores.apart:
        left_out.append("the second core: load and system share one, so ratios are blurred")
    os.sched_setaffinity(0, {cores.load})  # this process, wrk and the upstream; each system is started on the other
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-")))
        issuer = stack.enter_context(Issuer())
        stable = stack.enter_context(Stable(folder, cores))
        say("seeding")
        seeded = seed(folder, issuer, chosen.rounds * (chosen.fresh + STRINGS_BESIDE) + STRINGS_BESIDE)
        upstream = start_upstream(stable)
        bench = Bench(
            stable,
            issuer,
            seeded,
            upstream,
            rounds=chosen.rounds,
            seconds=chosen.seconds,
            fresh=chosen.fresh,
            idle=chosen.idle,
            body=chosen.body,
            accounts=chosen.accounts,
        )
        for name in chosen.rows:
            say(name)
            try:
                found, missing = ROWS[name](bench)
            except (LoadFailedError, NotStartedError) as error:
                left_out.append(f"{name}: {error}")
                stable.stop_all_but(upstream.process)
            else:
                rows += found
                left_out += missing
    options = {**vars(chosen), "cores": [cores.load, cores.system], "data plane": how_it_runs()}
    return Result(options, tuple(rows), tuple(left_out))


def allow_many_files(wanted: int) -> int:
    """Raise the limit of open files as far as it goes, for us and for what we start; how many connections fit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - SPARE)


def main() -> int:
    """0 when every chosen row was measured, whatever it says; 1 when one was not."""
    chosen = options(sys.argv[1:])
    chosen.idle = allow_many_files(chosen.idle)
    for program in ("wrk", "taskset"):
        if shutil.which(program) is None:
            print(f"bench: {program} is not installed, and nothing can be measured without it", file=sys.stderr)
            return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what we started is stopped
    try:
        result = run(chosen, lambda text: print(f"bench: {text} ...", file=sys.stderr, flush=True))
    except NotStartedError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    path = OUT / f"{chosen.name}.json"
    result.write(path)
    print(f"our data plane: {result.options['data plane']}")
    print(result.table())
    print(f"written to {path.relative_to(OUT.parent.parent)}", file=sys.stderr)
    return 0 if {row.row for row in result.rows} == set(chosen.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
