"""docs/deploy.md and the Dockerfile, carried out: what they install is what is pinned, and it serves.

Below a folder, and without a service manager, an engine or a cluster: `image.py`, `sandboxed.py` and this module's
`Machine` say what stands in for them.
"""

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import world
from e2e.parts import LOOPBACK, Process, program, until
from harness.ports import free_port
from packaging.markers import default_environment

from requirements.pins import of

from . import sandboxed
from .cluster import ROOT
from .image import Image, context
from .sandboxed import said

TEXT = (ROOT / "docs/deploy.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.M | re.S)
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
VERSIONS = (
    "import json; from importlib.metadata import *; print(json.dumps({d.name: d.version for d in distributions()}))"
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def shell(command: str, folder: Path, environ: dict[str, str]) -> str:
    """What it printed; a failure shows all of it. `python` is the one that runs the tests. Bytecode is made when it is
    needed, to save time."""
    own = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "GATEWAY_CONFIG"}}
    path = {"PATH": f"{Path(sys.executable).parent}:{own['PATH']}", "PIP_NO_COMPILE": "1", "PIP_NO_INPUT": "1"}
    words = ["bash", "-euc", command]
    whole = {**own, **path, **environ}
    done = subprocess.run(words, cwd=folder, env=whole, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def block(start: str) -> str:
    (found,) = (each for each in BLOCKS if each.startswith(start))
    return found


def moved(config: Path, folder: Path) -> tuple[str, str]:
    """Has the configuration listen on free ports and write below the folder. Answers both addresses."""
    front, admin = f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}"
    text = config.read_text()
    for old, new in (
        (r"(?:0\.0\.0\.0|127\.0\.0\.1):8080", front),
        (r"127\.0\.0\.1:9901", admin),
        (r"(?<=[:/ ])/(?=var/lib/gateway|run/credentials)", f"{folder}/"),
    ):
        text, count = re.subn(old, new, text)
        assert count, old
    config.write_text(text)
    return front, admin


def ready(process: Process, admin: str) -> None:
    def answers() -> bool:
        assert not process.ended(), process.complained()
        try:
            return world.ask(f"http://{admin}/readyz").status == 200
        except OSError:
            return False

    until(answers, "an answer", seconds=60)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two that the page makes."""
    folder = tmp_path_factory.mktemp("secrets")
    shell(block("head -c 32"), folder, {})
    return folder


@pytest.fixture(scope="module", autouse=True)
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each pinned file is fetched once, and installed from a folder: without an index, and held against its digest."""
    folder = tmp_path_factory.mktemp("packages")
    pip = f"{sys.executable} -m pip download --quiet --require-hashes --only-binary :all: --dest {folder}"
    shell(f"{pip} -r requirements/gateway.txt -r requirements/build.txt", ROOT, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(folder))
        yield


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What the Dockerfile's steps make."""
    folder = tmp_path_factory.mktemp("image")
    made = Image(folder, context(tmp_path_factory.mktemp("context")), shell)
    made.build()
    return made


class Machine:
    """One with systemd, as far as its commands go: `sudo` runs what it is given, `systemctl` writes down what it was
    told. What systemd itself would do for the service, `credentials` and `command` do."""

    def __init__(self, folder: Path, wheel: Path, secrets: Path) -> None:
        self.root, self.home = folder / "root", folder / "home"
        tools = folder / "tools"
        for made in (self.root / "etc/systemd/system", self.root / "opt", self.home, tools):
            made.mkdir(parents=True)
        for name, text in (("sudo", 'exec "$@"'), ("systemctl", f'echo "$@" >> {folder}/systemctl.log')):
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
        self.told = folder / "systemctl.log"
        self._path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        for source in (ROOT / "config", ROOT / "requirements", wheel, *secrets.iterdir()):
            (self.home / source.name).symlink_to(source)

    def place(self, text: str) -> str:
        return re.sub(r"(?<![\w.])/(?=opt/gateway|etc/(?:gateway|systemd)|run/credentials)", f"{self.root}/", text)

    def run(self, commands: str) -> str:
        return shell(self.place(commands), self.home, {"PATH": self._path})

    def credentials(self) -> None:
        """`LoadCredential`: copies of root's files, where the configuration looks for them."""
        folder = self.root / "run/credentials/gateway.service"
        folder.mkdir(parents=True)
        for line in said("Service", "LoadCredential"):
            name, _, source = line.partition(":")
            (folder / name).write_bytes(Path(self.place(source)).read_bytes())

    def command(self) -> list[str]:
        """`ExecStart` of the unit that was installed, under its filters."""
        unit = (self.root / "etc/systemd/system/gateway.service").read_text()
        (start,) = re.findall(r"^ExecStart=(.*)$", unit, re.M)
        return [sys.executable, sandboxed.__file__, *self.place(start).split()]


@pytest.fixture(scope="module")
def machine(image: Image, secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, str]]:
    """After the page's commands up to the look at it, with the service running. And where its admin listener is."""
    (wheel,) = (image.folder / "dist").glob("*.whl")
    made = Machine(tmp_path_factory.mktemp("machine"), wheel, secrets)
    made.run(block("sudo python3 -m venv").partition("curl ")[0])
    made.credentials()
    (made.root / "var/lib/gateway").mkdir(parents=True)
    _, admin = moved(made.root / "etc/gateway/config.yaml", made.root)
    program("systemd-analyze")  # names the filters' calls
    with Process(made.command(), made.root / "var/lib/gateway", "gateway") as process:
        ready(process, admin)
        yield made, admin
        assert process.stop() == 0
        assert "Traceback" not in process.complained()


def versions(python: Path, folder: Path) -> dict[str, str]:
    found = json.loads(shell(f"{python} -c '{VERSIONS}'", folder, {}))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found.items()}


def pinned() -> dict[str, str]:
    here = {name: str(value) for name, value in default_environment().items()}
    return {name: pin.version for name, pin in of("gateway").items() if pin.holds(here)}


def test_the_image_holds_what_is_pinned_and_nothing_else(image: Image) -> None:
    """No pip, no build tool: what runs, at the versions that were looked at."""
    got = versions(image.folder / "opt/gateway/bin/python", image.folder)
    assert got == {**pinned(), "mycelium-gateway": VERSION}
    assert image.skipped == ["apt-get", "groupadd"]


def test_the_images_command_serves_and_its_probe_sees_it(image: Image, secrets: Path) -> None:
    """With the two secrets that `docker run` hands over; SIGTERM ends it with 0, and the probe then fails."""
    config = image.folder / "etc/gateway/config.yaml"
    (image.folder / "var/lib/gateway").mkdir(parents=True, exist_ok=True)
    front, admin = moved(config, image.folder)
    keys = {"GATEWAY_MASTER_KEY": "master.key", "GATEWAY_ADMIN_TOKEN": "admin.token"}
    environ = {**image.environ, **{name: (secrets / file).read_text().strip() for name, file in keys.items()}}
    bin_ = image.folder / "opt/gateway/bin"
    probe = [str(bin_ / image.probe[0]), *(word.replace("127.0.0.1:9901", admin) for word in image.probe[1:])]
    command = [bin_ / image.command[0], *image.command[1:]]
    with Process(command, image.folder / "var/lib/gateway", "gateway", environ) as process:
        ready(process, admin)
        assert subprocess.run(probe, capture_output=True, timeout=30, check=False).returncode == 0
        shell(f"{bin_}/gateway account list", image.folder, environ)  # as `docker exec` does
        assert world.ask(f"http://{front}/nowhere").status == 404
        assert process.stop() == 0
    assert subprocess.run(probe, capture_output=True, timeout=30, check=False).returncode != 0


def test_the_units_commands_install_what_is_pinned(machine: tuple[Machine, str]) -> None:
    """By pip of that environment, which holds every file against its digest."""
    made, _ = machine
    got = versions(made.root / "opt/gateway/bin/python", made.home)
    assert {name: got[name] for name in pinned()} == pinned()
    assert set(got) - set(pinned()) <= {"mycelium-gateway", "pip", "setuptools"}  # what `venv` puts there


def test_the_units_commands_leave_the_secrets_to_root(machine: tuple[Machine, str]) -> None:
    """The folder and what is in it are for their owner alone; the configuration anybody may read."""
    made, _ = machine
    secrets = made.root / "etc/gateway/secrets"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (secrets, *secrets.iterdir())}
    assert modes == {"secrets": 0o700, "master.key": 0o600, "admin.token": 0o600}
    unit = made.root / "etc/systemd/system/gateway.service"
    assert unit.read_bytes() == sandboxed.UNIT.read_bytes()
    assert made.told.read_text().splitlines() == ["daemon-reload", "enable --now gateway"]


def test_the_page_sees_the_service_and_its_commands_work_beside_it(machine: tuple[Machine, str]) -> None:
    """The look at `/readyz`, an account, and a reload, as they are written."""
    made, admin = machine
    look = "curl " + block("sudo python3 -m venv").partition("curl ")[2].replace(f"{LOOPBACK}:9901", admin)
    assert json.loads(made.run(look))["ready"] is True
    told = made.run(block("sudo /opt/gateway/bin/gateway account create"))
    assert "ada@example.com" in made.run("/opt/gateway/bin/gateway account list -c /etc/gateway/config.yaml"), told
