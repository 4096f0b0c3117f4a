"""Several workers: one release takes over from another, and nobody notices."""

import fcntl
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import gateway as package

from . import world
from .parts import LOOPBACK, PATIENCE, until
from .several import Load, admin_token, said, unready, workers
from .world import Gateway, Home

LAUNCHER = "import sys\nsys.path.insert(0, {folder!r})\nfrom gateway.cli import main\nmain()\n"


@pytest.fixture
def installed(home: Home, service: int) -> Iterator[tuple[Gateway, Path]]:
    """A gateway that runs from a copy of the program, which can be replaced, and that copy."""
    code = home.folder / "code"
    shutil.copytree(Path(package.__file__).parent, code / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    launcher = home.folder / "launch.py"
    launcher.write_text(LAUNCHER.format(folder=str(code)))
    with world.running(home, said(service), [sys.executable, launcher]) as running:
        yield running, code / "gateway"


def test_an_upgrade_runs_the_new_program_and_loses_no_request(installed: tuple[Gateway, Path]) -> None:
    """Workers and supervisor, under load, under the same process number."""
    gateway, code = installed
    pids = workers(gateway)
    for name, event in (("app/gateway.py", "reloaded"), ("cli/supervisor.py", "serving")):
        path = code / name
        path.write_text(path.read_text().replace(f'"{event}"', f'"{event} anew"'))
    with Load(gateway) as load:
        load.more()
        gateway.process.signal(signal.SIGUSR2)
        until(lambda: gateway.events(event="serving anew"), "the new supervisor")
        load.more()
    assert set(load.answers) == {200}
    assert len(workers(gateway)) == 2
    assert not set(workers(gateway)) & set(pids)
    gateway.hang_up()
    until(lambda: {e["worker"] for e in gateway.events(event="reloaded anew")} == {1, 2}, "new workers")


def test_an_upgrade_by_command_tells_its_end(several: Gateway) -> None:
    """And again: the new supervisor does it as the old one did."""
    for _ in range(2):
        pids = workers(several)
        assert several.home.told("upgrade") == {"upgraded": True, "faults": []}
        assert not set(workers(several)) & set(pids)
    os.kill(workers(several)[0], signal.SIGKILL)
    until(lambda: several.events(event="worker ended"), "that an adopted worker is looked after")
    until(lambda: unready(several) == [], "that there are two again")


@pytest.mark.parametrize("module", ["cli/worker.py", "cli/supervisor.py"])
def test_a_program_that_does_not_start_replaces_nothing(installed: tuple[Gateway, Path], module: str) -> None:
    """The fault is told, and the gateway goes on under load; of a broken supervisor, the old one stays."""
    gateway, code = installed
    pids = workers(gateway)
    right = (code / module).read_text()
    (code / module).write_text("raise SystemExit(9)\n")
    with Load(gateway) as load:
        answer = world.ask(f"{gateway.admin}/upgrade", "POST", admin_token(gateway), seconds=PATIENCE)
        load.more()
    (code / module).write_text(right)
    assert (answer.status, "exit code 9" in answer.json()["faults"][0]["message"]) == (422, True)
    assert set(load.answers) == {200}
    assert len(workers(gateway)) == 2
    assert (workers(gateway) == pids) == (module == "cli/worker.py")
    assert gateway.home.told("upgrade") == {"upgraded": True, "faults": []}


def test_an_upgrade_lets_what_was_begun_end(several: Gateway, service: int) -> None:
    """An answer under way comes whole from the worker that began it."""
    with ExitStack() as stack:
        held = [stack.enter_context(world.held(several)) for _ in range(4)]
        several.process.signal(signal.SIGUSR2)
        until(lambda: several.events(event="worker replaced"), "the first successor")
        for response, release in held:
            world.ask(f"http://{LOOPBACK}:{service}{release}")
            assert response.read() == b"firstlast."
    until(lambda: several.events(event="serving"), "the end of the upgrade")


def test_lines_of_the_log_that_are_lost_as_a_worker_ends_are_counted(home: Home, service: int) -> None:
    """The reader of its pipe stands still: what waits for it then is lost, later than anything else that is counted."""
    os.mkfifo(home.folder / "pipe")
    reading = os.open(home.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 1 << 16)
    with (
        os.fdopen(reading, "rb") as reader,
        world.running(home, {**said(service), "log": {"access": "./pipe"}}) as gateway,
    ):
        for number in range(100):
            world.ask(f"{gateway.url}/nowhere/{number}/{1000 * 'x'}")
        gateway.process.signal(signal.SIGUSR2)
        until(lambda: len(gateway.events(event="serving")) == 2, "the end of the upgrade")
        metrics = world.ask(f"{gateway.admin}/metrics").body.decode()
        written = reader.read().count(b"\n")
    (dropped,) = re.findall(r"(?m)^gateway_access_log_dropped_total (\S+)", metrics)
    assert (written + float(dropped), 0 < written < 100) == (100, True)


def test_an_upgrade_with_another_number_of_workers_is_refused(several: Gateway) -> None:
    """The sockets are there already."""
    new = {**several.said, "listen": {**several.said["listen"], "workers": 3}}
    several.configure(new)
    answer = world.ask(f"{several.admin}/upgrade", "POST", admin_token(several))
    assert (answer.status, answer.json()["faults"][0]["code"]) == (422, "needs_restart")


def test_a_single_process_says_that_it_cannot_be_upgraded(home: Home, service: int) -> None:
    """The signal does not end it, and the command names the key."""
    with world.running(home, world.configuration({"app": service})) as gateway:
        gateway.process.signal(signal.SIGUSR2)
        until(lambda: [e for e in gateway.events() if "listen.workers" in e["event"]], "the word")
        done = gateway.home.run("upgrade")
        assert (done.returncode, "listen.workers" in done.stderr) == (1, True)


def test_an_upgrade_that_stops_halfway_says_how_far_it_came(installed: tuple[Gateway, Path]) -> None:
    """And `/readyz` warns as long as two releases run side by side."""
    gateway, code = installed
    path = code / "cli/worker.py"
    right = path.read_text()
    broken = "    if part.number == 2:\n        raise SystemExit(9)\n    for number in IGNORED:\n"
    path.write_text(right.replace("    for number in IGNORED:\n", broken))
    done = gateway.home.run("upgrade")
    assert (done.returncode, "1 of 2 workers are replaced, the others stay" in done.stderr) == (1, True)
    warned = "upgrade: 1 of 2 workers run the program as it was before"
    assert warned in world.ask(f"{gateway.admin}/readyz").json()["warnings"]
    path.write_text(right)
    assert gateway.home.told("upgrade") == {"upgraded": True, "faults": []}
    assert warned not in world.ask(f"{gateway.admin}/readyz").json()["warnings"]
