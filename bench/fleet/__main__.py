"""The command line of the fleet: starts it, runs the load test and the trials, prints what was seen."""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench.fleet import callers, servers
from bench.fleet.fleet import Fleet
from bench.fleet.gateways import PUBLIC_URL, Gateway, Home
from bench.fleet.loadtest import Figure, load_test
from bench.fleet.trials import TRIALS, Outcome
from bench.processes import Cores, NotStartedError, Stable
from gateway.clock import Clock
from gateway.identity.grants import Grants
from gateway.store.schema import migrate
from gateway.store.sql import Store, open_store

OUT = Path(__file__).parents[1] / "out"
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
ACCOUNTS, KEYS = 64, 8_000
LIBRARY = "LD_PRELOAD"


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--gateways", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="of each gateway (default 2)")
    parser.add_argument("--trials", default=",".join(TRIALS), help="which, comma-separated (default: all); none")
    parser.add_argument("--seconds", type=int, default=30, help="of the load test, 30 or none: a cache's whole life")
    chosen = parser.parse_args(arguments)
    chosen.trials = [] if chosen.trials == "none" else [name.strip() for name in chosen.trials.split(",")]
    if unknown := sorted(set(chosen.trials) - set(TRIALS)):
        parser.error(f"no such trial: {', '.join(unknown)} (there are {', '.join(TRIALS)})")
    return chosen


async def fill(home: Home) -> tuple[callers.Callers, Store]:
    """The database, made and filled; and a door to it, as a command has one."""
    await migrate(home.store)
    store = await open_store(home.store, home.key, Clock())
    return await callers.make(store, Clock(), PUBLIC_URL, ACCOUNTS, KEYS), store


def clock_file(stable: Stable) -> tuple[dict[str, str], Callable[[int], None]]:
    """The environment of a process whose clock can be set, and what sets it. Timers go on by the true one."""
    if not FAKETIME:
        raise NotStartedError("libfaketime is not installed")
    file = stable.folder / "clock"
    file.write_text("+0\n")
    environ = {
        LIBRARY: str(FAKETIME[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return environ, lambda seconds: _replace(file, f"{seconds:+d}\n")


def _replace(file: Path, text: str) -> None:
    """Whole or not at all: it is read at any time."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.rename(file)


async def run(chosen: argparse.Namespace, stable: Stable) -> tuple[list[Figure], list[Outcome], list[str]]:
    postgres, redis = servers.start_postgres(stable), servers.start_redis(stable)
    echo, hole = servers.start_echo(stable, "echo"), servers.start_echo(stable, "hole")
    home = Home(
        stable.folder,
        f"postgresql+asyncpg://gateway@127.0.0.1:{postgres.port}/gateway",
        f"redis://127.0.0.1:{redis.port}",
        {"orders": echo.port, "hole": hole.port},
    )
    home.write_secrets()
    say("seeding")
    made, store = await fill(home)
    environ, set_clock = clock_file(stable)
    gateways = [Gateway(stable, home, chosen.workers, environ if not at else {}) for at in range(chosen.gateways)]
    for gateway in gateways:
        say("starting a gateway")
        await asyncio.to_thread(gateway.start)
    balancer = servers.start_balancer(stable, [(gateway.port, gateway.admin) for gateway in gateways])
    grants = Grants(store.grants, store.keys, Clock())
    fleet = Fleet(gateways, postgres, redis, balancer, echo, hole, made, grants.revoke, set_clock)
    left_out: list[str] = []
    try:
        figures = await load_test(fleet, chosen.seconds) if chosen.seconds else []
        outcomes = []
        for name in chosen.trials:
            say(name)
            try:
                outcomes.append(await TRIALS[name](fleet))
            except* (NotStartedError, OSError, TimeoutError) as errors:
                left_out.append(f"{name}: {errors.exceptions[0]}")
        return figures, outcomes, left_out
    finally:
        await store.aclose()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(outcomes: Sequence[Outcome]) -> str:
    lines = [f"{'fault':44} {'sent':>6} {'passed':>6} {'failed':>6} {'503 new':>7} {'refused':>7} {'WRONG':>5}  note"]
    for found in outcomes:
        tally = found.tally
        note = "; ".join(filter(None, [found.note, f"failed: {dict(tally.failed)}" if tally.failed else ""]))
        lines.append(
            f"{found.name:44} {tally.sent:6} {tally.passed:6} {tally.failed.total():6} {tally.unavailable:7}"
            f" {tally.refused:7} {len(tally.wrong):5}  {note} (longest {tally.longest * 1e3:.0f} ms)"
        )
    return "\n".join(lines)


def main() -> int:
    chosen = options(sys.argv[1:])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-fleet-")))
        stable = stack.enter_context(Stable(folder, Cores.of_this_machine()))
        with contextlib.suppress(KeyboardInterrupt):
            figures, outcomes, left_out = asyncio.run(run(chosen, stable))
    for figure in figures:
        print(figure)
    if outcomes:
        print(table(outcomes))
    for line in left_out:
        print(f"left out: {line}")
    wrong = [line for found in outcomes for line in found.tally.wrong]
    for line in wrong[:20]:
        print(f"WRONGLY PASSED: {line}")
    OUT.mkdir(exist_ok=True)
    said = {
        "figures": [str(figure) for figure in figures],
        "trials": table(outcomes).splitlines(),
        "left_out": left_out,
    }
    (OUT / f"fleet-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json").write_text(json.dumps(said, indent=2) + "\n")
    return 1 if wrong or left_out else 0


if __name__ == "__main__":
    sys.exit(main())
