"""Instructions of a warm request, counted by Valgrind's callgrind: the same on a busy machine as on a quiet one.

What is counted is what happens while uvloop hands bytes over, from a client or from an upstream: parsing, deciding,
writing into a transport. Left out are the kernel, the loop's own turns, and every timer and thread.
"""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.issuer import Issuer
from bench.load import Client
from bench.ours import Ours, how_it_runs, start_gateway
from bench.peers import start_upstream
from bench.processes import Cores, NotStartedError, Process, Stable
from bench.seed import seed

WARM = 300  # requests before the count: caches are filled, and specialised bytecode is specialised
COUNTED = 400  # requests
PATIENCE = 600.0  # seconds that a start may take: everything runs fifty times as slowly, maybe on a busy machine
MOST = 1.1  # of what is written down
BASELINE = Path(__file__).with_name("instructions.json")
TOTAL = re.compile(r"^totals: (\d+)$", re.M)  # the last line of a dump
READ = "__pyx_f_6uvloop_4loop___uv_stream_on_read"


def count(requests: int, profile: Path | None = None) -> float:
    """A gateway under Valgrind answers so many warm bearer requests: of one. Raises NotStartedError.

    profile: where the dump is copied to.
    """
    for needed in ("valgrind", "callgrind_control", "nginx"):
        if shutil.which(needed) is None:
            raise NotStartedError(f"{needed} is not installed")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-instructions-")))
        issuer = stack.enter_context(Issuer())
        stable = stack.enter_context(Stable(folder, Cores.of_this_machine()))
        seeded = seed(folder, issuer, 1)
        upstream = start_upstream(stable)
        out = folder / "callgrind"
        under = (
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no",
            f"--toggle-collect={READ}", sys.executable,
        )  # fmt: skip
        ours = start_gateway(stable, seeded, issuer, upstream.port, under=under, patience=PATIENCE)
        dumped = _counted(ours, out, requests)
        if profile is not None:
            shutil.copy(dumped, profile)
        return _total(dumped) / requests


def _counted(ours: Ours, out: Path, requests: int) -> Path:
    client = Client(ours.bearer())
    for _ in range(WARM):
        client.ask()
    _dumped(ours.system.process, out, 1)  # which sets the counts to zero
    for _ in range(requests):
        client.ask()
    dumped = _dumped(ours.system.process, out, 2)
    client.close()
    return dumped


def _total(dumped: Path) -> int:
    total = TOTAL.search(dumped.read_text())
    if total is None or not int(total[1]):
        raise NotStartedError(f"callgrind counted nothing: is uvloop's {READ} still called so?")
    return int(total[1])


def _dumped(process: Process, out: Path, number: int) -> Path:
    """What was counted since the last dump. Valgrind writes it once the program has come to a safe point."""
    subprocess.run(["callgrind_control", "--dump", str(process.pid)], check=True, capture_output=True, timeout=PATIENCE)
    path = out.with_name(f"{out.name}.{number}")
    deadline = time.monotonic() + PATIENCE
    while not (path.exists() and TOTAL.search(path.read_text())):
        if time.monotonic() > deadline:
            raise NotStartedError(f"callgrind did not write {path.name}")
        time.sleep(0.01)
    return path


def known() -> dict[str, int]:
    return {str(name): int(number) for name, number in json.loads(BASELINE.read_text()).items()}


def here() -> str:
    """What a count belongs to: another build of Python runs other instructions for the same source."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS"))
    optimized = "optimized" if "--enable-optimizations" in options else "not optimized"
    python = (
        f"{platform.python_implementation()} {platform.python_version()} {optimized} by {platform.python_compiler()}"
    )
    return f"{python}, {how_it_runs()}"


def main() -> int:
    """0: no more than 10 % above what is written down; 1: more; 2: nothing is written down for this Python."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the count into {BASELINE.name}")
    parser.add_argument(
        "--profile", type=Path, help="copy callgrind's dump there, for callgrind_annotate or KCachegrind"
    )
    chosen = parser.parse_args()
    name, before = here(), known()
    counted = round(count(COUNTED, chosen.profile))
    if chosen.write:
        BASELINE.write_text(json.dumps(before | {name: counted}, indent=2, sort_keys=True) + "\n")
        before = known()
    if name not in before:
        print(f"{name}: {counted:,} instructions of a warm request; nothing in {BASELINE.name} to compare with")
        return 2
    ratio = counted / before[name]
    print(f"{name}: {counted:,} instructions of a warm request, {ratio:.3f} of {before[name]:,} (at most {MOST})")
    return int(ratio > MOST)


if __name__ == "__main__":
    sys.exit(main())
