"""Starts every system that is installed, tries the suite on each, and writes the table that compares them."""

import argparse
import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from harness.ports import free_port

from ..__main__ import options as understood
from ..__main__ import results_of
from ..cases import FAMILIES
from ..issuer import Issuer
from ..model import Result
from ..report import counted
from ..running import CannotBeTriedError
from .auth import answering
from .systems import SYSTEMS, NotInstalledError, Place, System

TESTS = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # seconds until a system listens


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    """Until the block is left. Raises CannotBeTriedError where it does not listen."""
    with (folder / "output.log").open("wb") as output:
        popen = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            if popen.poll() is not None or time.monotonic() > deadline:
                raise CannotBeTriedError((folder / "output.log").read_text()[-400:])
            time.sleep(0.02)
        yield
    finally:
        popen.terminate()
        popen.wait(10)


def tried(system: System, folder: Path, patience: float) -> list[Result]:
    """The results of the suite. Raises NotInstalledError, CannotBeTriedError."""
    log, upstream = folder / "requests.jsonl", free_port()
    recorder = [sys.executable, "-m", "adversary.upstream", "--port", str(upstream), "--log", str(log)]
    with contextlib.ExitStack() as stack:
        issuer = stack.enter_context(Issuer())
        arguments = issuer.arguments(folder)
        if not system.verifies:
            arguments = arguments[:2]
        auth = stack.enter_context(answering(arguments[1].partition(": ")[2]))
        place = Place(folder, free_port(), free_port(), upstream, auth, issuer)
        (folder / "upstream").mkdir()
        command = system.command(place)
        stack.enter_context(_recording(recorder, folder / "upstream", upstream))
        stack.enter_context(running(command, folder, place.port))
        names = [word for name in system.identities for word in ("--identity", name)]
        target = ["--target", f"http://127.0.0.1:{place.port}", "--upstream-log", str(log), "--at-once", "16"]
        known, _ = understood([*target, "--patience", str(patience), *names, *arguments])
        return asyncio.run(results_of(known, ()))


@contextlib.contextmanager
def _recording(command: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    with running(["env", f"PYTHONPATH={TESTS}", *command], folder, port):
        yield


def markdown(found: Mapping[str, Sequence[Result]], versions: Mapping[str, str]) -> str:
    """A row a family: failures and cases of each system."""
    titles = [f"{SYSTEMS[name].title} ({versions[name]})" for name in found]
    lines = ["| | " + " | ".join(titles) + " |", "|---|" + "---|" * len(titles)]
    tables = {name: counted(results) for name, results in found.items()}
    for rule, family in FAMILIES.items():
        cells = []
        for counts in (table.get(rule, {}) for table in tables.values()):
            tried_here = counts.get("passed", 0) + counts.get("failed", 0)
            cells.append(f"{counts.get('failed', 0)} of {tried_here}" if tried_here else "n/a")
        lines.append(f"| {rule} {family} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m adversary.peers", description=__doc__)
    parser.add_argument("--only", action="append", choices=tuple(SYSTEMS), help="this one alone; again for more")
    parser.add_argument("--patience", type=float, default=65.0, metavar="SECONDS", help="for a slow head (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="PATH", help="folder for the table and every case's result")
    given = parser.parse_args(arguments)
    found, versions = {}, {}
    for name in given.only or SYSTEMS:
        with tempfile.TemporaryDirectory(prefix="adversary-") as folder:
            Path(folder).chmod(0o755)  # as root, a server's worker is another user
            try:
                found[name] = tried(SYSTEMS[name], Path(folder), given.patience)
                versions[name] = SYSTEMS[name].version()
            except (NotInstalledError, CannotBeTriedError) as error:
                print(f"{name} was left out: {error}", file=sys.stderr)
                continue
        print(f"{name}: {sum(result.verdict == 'failed' for result in found[name])} failed", file=sys.stderr)
    text = markdown(found, versions)
    print(text)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "peers.md").write_text(text)
        told = {name: [asdict(result) for result in results] for name, results in found.items()}
        (given.out / "peers.json").write_text(json.dumps(told, indent=1))
    return int(any(result.verdict == "failed" for result in found.get("gateway", ())))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
