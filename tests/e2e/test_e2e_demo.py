"""What a newcomer is shown works as it is shown: the lines that the demo prints, and those of README.md."""

import itertools
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.ports import free_port

from .parts import LOOPBACK, Process, program, until
from .world import PROGRAM

ROOT = Path(__file__).resolve().parent.parent.parent
REFUSED = re.compile(r"^# refused, (\d{3})\b")
ANSWERED = 200


@dataclass(frozen=True)
class Shown:
    """A line to paste, with the comment above it."""

    title: str
    line: str

    @property
    def status(self) -> int:
        said = REFUSED.match(self.title)
        return int(said[1]) if said else ANSWERED


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """It has greeted, and answers."""
    folder = tmp_path_factory.mktemp("demo")
    listen, admin = f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}"
    command = [PROGRAM, "serve", "--demo", "--address", listen, "--admin", admin]
    with Process(command, folder, "demo") as process:
        until(lambda: "Ctrl-C" in process.printed() or process.ended(), "the greeting")
        assert not process.ended(), process.complained()
        yield process
        assert process.stop() == 0
        assert "Traceback" not in process.complained()


@pytest.fixture(scope="module")
def shown(demo: Process) -> list[Shown]:
    lines = demo.printed().splitlines()
    return [Shown(above, line) for above, line in itertools.pairwise(lines) if line.startswith("curl ")]


def pasted(line: str, environ: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, status of the last answer, and what was printed."""
    program("curl")
    told = f"{line} -w '%{{stderr}}%{{http_code}}'"
    command = ["bash", "-c", told]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=False, env={**os.environ, **(environ or {})}
    )
    return done.returncode, done.stderr[-3:], done.stdout


def test_the_demo_shows_every_kind_of_route(shown: list[Shown]) -> None:
    """A line for each, with live credentials of both kinds, and refusals."""
    text = "\n".join(one.title + one.line for one in shown)
    assert len(shown) >= 5
    for word in ("public", "authenticated", "protected", "roles", "Bearer ey", "sig=", "401", "403"):
        assert word in text


def test_every_line_of_the_demo_works_when_pasted(shown: list[Shown]) -> None:
    """Exit code 0 and the status that the line above it announces."""
    done = {one.title: pasted(one.line)[:2] for one in shown}
    assert done == {one.title: (0, str(one.status)) for one in shown}


def test_a_protected_line_of_the_demo_shows_the_decoded_profile(shown: list[Shown]) -> None:
    """What a service would find in the header."""
    (line,) = [one.line for one in shown if one.title.startswith("# protected")]
    assert '"licensedResources"' in pasted(line)[2]


def test_the_demos_own_command_line_works(demo: Process) -> None:
    """The line that it names, on its own database."""
    found = re.search(r"gateway (account list -c \S+)", demo.printed())
    assert found
    command = [PROGRAM, *found[1].split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, "ada@example.com" in done.stdout) == (0, True)


def test_the_lines_of_the_readme_work_when_pasted(demo: Process, shown: list[Shown]) -> None:
    """Each line of README.md that begins with `curl `. It may use the credentials that the demo prints, as $TOKEN,
    $READER and $CONNECTION_STRING, and says 127.0.0.1:8080.
    """
    text = "\n".join(one.line for one in shown)
    token, *_, reader = dict.fromkeys(re.findall(r"Bearer ([\w.-]+)", text))
    string = re.findall(r"connection-string: ([^']+)'", text)[0]
    address = re.findall(r"http://([\d.]+:\d+)", text)[0]
    readme = (ROOT / "README.md").read_text()
    lines = [line.removeprefix("$ ") for line in readme.splitlines() if re.match(r"(\$ )?curl ", line)]
    environ = {"TOKEN": token, "READER": reader, "CONNECTION_STRING": string}
    done, before = {}, len(mailed(demo))
    for line in lines:
        if "$LINK" in line:
            until(lambda: len(mailed(demo)) > before, "the mail")
            environ["LINK"] = mailed(demo)[-1]
        done[line] = pasted(line.replace("127.0.0.1:8080", address), environ)[:2]
    wanted = {line: (0, "401" if "Authorization" not in line and "/orders/" in line else "200") for line in lines}
    assert done == wanted


def mailed(demo: Process) -> list[str]:
    """The links of the mails that the demo has printed, the last one last."""
    return re.findall(r"^(http\S+/magic-link/display/\S+)$", demo.printed() + demo.complained(), re.M)


def test_the_readme_names_only_commands_that_exist() -> None:
    """`make X` and `gateway X` in its code blocks."""
    readme = (ROOT / "README.md").read_text()
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", readme, re.M | re.S))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^(?:\$ )?make ([a-z]+)", blocks, re.M)) <= targets
    known = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^  ([a-z-]+)  ", known, re.M))
    assert set(re.findall(r"^(?:\$ )?(?:\S*/)?gateway ([a-z-]+)", blocks, re.M)) <= commands
