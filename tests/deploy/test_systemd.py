"""config/systemd: that systemd takes the unit, how exposed the service is, and that the gateway works inside.

No systemd runs here; `sandboxed.py` says what of the unit is in force.
"""

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from e2e.parts import LOOPBACK, Process, program, until
from harness.ports import free_port

from . import sandboxed
from .sandboxed import UNIT, said

PROGRAM = Path(sys.executable).parent / "gateway"
EXPOSURE = 15  # tenths: 1.1 and room for what another systemd counts; without its hardening the unit has 9.6
DRAIN = 30  # seconds: config/systemd/config.yaml
MARGIN = 10  # seconds after which a supervisor kills what has not ended: supervise.fleet.MARGIN_SECONDS


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """With the program where it is here."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/gateway/bin/gateway", str(PROGRAM)))
    return path


def analyzed(*words: object) -> subprocess.CompletedProcess[str]:
    command = [program("systemd-analyze"), "--no-pager", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def inside(command: Sequence[object]) -> list[object]:
    """The command under the unit's filters."""
    program("systemd-analyze")
    return [sys.executable, sandboxed.__file__, *command]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[Process, str]]:
    """A demo under the unit's filters, and where it answers."""
    address = f"{LOOPBACK}:{free_port()}"
    command = [PROGRAM, "serve", "--demo", "--address", address, "--admin", f"{LOOPBACK}:{free_port()}"]
    with Process(inside(command), tmp_path, "demo") as process:
        until(lambda: "Ctrl-C" in process.printed() or process.ended(), "the greeting")
        assert not process.ended(), process.complained()
        yield process, f"http://{address}"


def test_systemd_has_nothing_to_say_about_the_unit(unit: Path) -> None:
    """No key that it does not know, no value that it does not take, no program that is not there."""
    done = analyzed("verify", "--man=no", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_service_is_hardly_exposed(unit: Path) -> None:
    """systemd's own count of what a service that was taken over could do stays under the stated level."""
    done = analyzed("security", "--offline=true", f"--threshold={EXPOSURE}", unit)
    assert done.returncode == 0, done.stdout


def test_the_gateway_works_under_the_units_filters(demo: tuple[Process, str]) -> None:
    """A password is hashed, a token signed, a request proxied, and SIGTERM obeyed."""
    process, url = demo
    body = json.dumps({"email": "ada@example.com", "password": "correct horse ada"}).encode()
    login = urllib.request.Request(f"{url}/v1/login", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(login, timeout=10) as answer:
        token = json.load(answer)["data"]["token"]
    order = urllib.request.Request(f"{url}/orders/1", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(order, timeout=10) as answer:
        assert json.load(answer)["path"] == "/orders/1"
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert re.search(r"^Seccomp:\s2$", status, re.M)
    assert re.search(r"^NoNewPrivs:\s1$", status, re.M)
    assert process.stop() == 0
    assert "Traceback" not in process.complained()


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        ("import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)", "PermissionError"),
        ("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "Address family not supported"),
        ("import os; os.chroot('/')", "PermissionError"),
        ("import os; os.setuid(0)", "PermissionError"),
        (
            "import ctypes, os; ctypes.CDLL(None, use_errno=True).ptrace(0); print(os.strerror(ctypes.get_errno()))",
            "not permitted",
        ),
        ("import socket; socket.socket(socket.AF_INET6); print('fine')", "fine"),
    ],
)
def test_the_filters_refuse_what_the_unit_says(attempt: str, said: str) -> None:
    """And let through what it does not."""
    command = [str(word) for word in inside([sys.executable, "-c", attempt])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert said in done.stdout + done.stderr


def test_it_says_when_it_is_ready(tmp_path: Path) -> None:
    """`Type=notify`: systemd holds back what comes after until it hears so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        subprocess.run([PROGRAM, "init"], cwd=tmp_path, check=True, timeout=30, capture_output=True)
        config = tmp_path / "config.yaml"
        ports = f'listen: {{ address: "{LOOPBACK}:{free_port()}" }}\nadmin: {{ address: "{LOOPBACK}:{free_port()}" }}\n'
        config.write_text(ports)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with Process([PROGRAM, "serve", "-c", config], tmp_path, "gateway", environ) as process:
            assert b"READY=1" in manager.recv(1024), process.complained()
            assert process.stop() == 0


def test_the_gateway_takes_the_configuration_beside_the_unit(tmp_path: Path) -> None:
    """With the two credentials where systemd puts them; `gateway check` finds nothing else."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for line in said("Service", "LoadCredential"):
        (credentials / line.partition(":")[0]).write_text("A" * 43 + "=")
    text = (UNIT.parent / "config.yaml").read_text()
    config = tmp_path / "config.yaml"
    config.write_text(text.replace(f"/run/credentials/{UNIT.name}", str(credentials)))
    done = subprocess.run([PROGRAM, "check", config], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_it_writes_is_below_its_own_folder() -> None:
    """Everything else is read-only for it."""
    config = (UNIT.parent / "config.yaml").read_text()
    assert said("Service", "ProtectSystem") == ["strict"]
    written = re.findall(r"(?:sqlite:///|file:)(/\S+?)\"", config)
    assert len(written) == 2
    assert all(path.startswith(f"/var/lib/{said('Service', 'StateDirectory')[0]}/") for path in written)


def test_systemd_waits_for_the_draining() -> None:
    """SIGKILL comes after it, and after the supervisor's own margin."""
    assert f"drain: {DRAIN}s" in (UNIT.parent / "config.yaml").read_text()
    assert int(said("Service", "TimeoutStopSec")[0]) > DRAIN + MARGIN


def test_systemd_does_not_repeat_what_no_start_mends() -> None:
    """A wrong configuration, and misuse; a dependency that is down it waits for."""
    assert said("Service", "RestartPreventExitStatus") == ["1 2"]
