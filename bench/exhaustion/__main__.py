"""The command line: each attack at its full size, one after the other, on gateways of their own."""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.__main__ import allow_many_files
from bench.exhaustion.arena import Arena, Found
from bench.issuer import Issuer
from bench.load import LoadFailedError
from bench.ours import how_it_runs
from bench.processes import Cores, NotStartedError, Stable, urgent
from bench.seed import seed

GIB, MIB = 1 << 30, 1 << 20

# count: connections. size: bytes of a body, or of a head.
FULL: dict[str, tuple[int, int]] = {
    "slow-heads": (2_000, 0),
    "slow-bodies": (2_000, 0),
    "idle": (10_000, 0),
    "hanging": (1_000, 0),
    "down": (1, 10 * GIB),
    "up": (1, 10 * GIB),
    "big-heads": (8, MIB),
    "random-kids": (8, 0),
    "random-tokens": (8, 0),
    "never-reading": (200, 10 * GIB),
    "slow-reading": (200, 10 * GIB),
}
HEADINGS = ("attack", "RSS before, peak, after (MiB)", "p50 quiet, during (ms)", "p99 quiet, during (ms)", "it came to")


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.exhaustion", description=__doc__)
    parser.add_argument("--attacks", default=",".join(FULL), help="which, comma-separated (default: all)")
    parser.add_argument("--seconds", type=float, default=10, help="of each attack, once it stands (default 10)")
    chosen = parser.parse_args(arguments)
    chosen.attacks = chosen.attacks.split(",")
    if unknown := sorted(set(chosen.attacks) - set(FULL)):
        parser.error(f"no such attack: {', '.join(unknown)} (there are {', '.join(FULL)})")
    return chosen


def line(found: Found) -> str:
    memory = f"{found.before:.0f}, {found.peak:.0f}, {found.after:.0f}"
    middle = f"{found.quiet.median:.2f}, {found.during.median:.2f}"
    slow = f"{found.quiet.p99:.2f}, {found.during.p99:.2f}"
    came = ", ".join(f"{count:,} {what}" for what, count in sorted(found.done.items()))
    return f"| {found.name} | {memory} | {middle} | {slow} | {came} |"


def main() -> int:
    """0 when every attack was measured, whatever it came to."""
    chosen = options(sys.argv[1:])
    most = allow_many_files(max(count for count, _ in FULL.values()))
    cores, failed = Cores.of_this_machine(), False
    os.sched_setaffinity(0, {cores.load})
    waits = "" if urgent() else "; without real-time priority: waits hold those of the load for its core"
    print(f"our data plane: {how_it_runs()}{waits}\n\n| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-exhaustion-")))
        issuer = stack.enter_context(Issuer())
        stable = stack.enter_context(Stable(folder, cores))
        arena = Arena.opened(stable, issuer, seed(folder, issuer, 1))
        for name in chosen.attacks:
            count, size = FULL[name]
            try:
                print(line(arena.measured(name, min(count, most), size, chosen.seconds)), flush=True)
            except (LoadFailedError, NotStartedError, OSError) as error:
                print(f"bench: {name}: {error}", file=sys.stderr)
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
