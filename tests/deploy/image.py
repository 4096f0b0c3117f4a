"""The steps of the Dockerfile as shell, below a folder: there is no container engine here, and so neither layers nor
another root. Every absolute path that a step names is put below the folder; a step that changes the system itself is
not carried out.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Steps that are for a system of one's own, by the program that they begin with.
SYSTEM = {"apt-get": "installs a compiler", "groupadd": "makes a user"}
# That it compiles is shown by `make test-compiled`, which takes minutes.
INTERPRETED = ("GATEWAY_COMPILE=1 ", "")
PLACES = re.compile(r"(?<![\w.])/(?=opt/|src\b|dist\b|etc/gateway|var/lib/gateway)")


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest) in order, continued lines joined, comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.strip().partition(" ") for line in joined)]


class Image:
    """What the steps made. context: a copy of the repository as .dockerignore leaves it."""

    def __init__(self, folder: Path, context: Path, run: Callable[[str, Path, dict[str, str]], None]) -> None:
        self.folder, self.context, self._run = folder, context, run
        self.environ: dict[str, str] = {}
        self.workdir = folder
        self.command: list[str] = []
        self.probe: list[str] = []
        self.skipped: list[str] = []

    def place(self, text: str) -> str:
        return PLACES.sub(f"{self.folder}/", text)

    def build(self) -> None:
        for word, rest in instructions():
            if step := {"RUN": self._shell, "COPY": self._copy, "WORKDIR": self._into, "ENV": self._environ}.get(word):
                step(self.place(rest))
            elif word == "CMD":
                self.command = json.loads(self.place(rest))
            elif word == "HEALTHCHECK":
                self.probe = json.loads(rest.partition("CMD ")[2])
            else:
                assert word in {"FROM", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"}, word

    def _shell(self, command: str) -> None:
        program = command.split()[0]
        if program in SYSTEM:
            self.skipped.append(program)
            return
        self._run(command.replace(*INTERPRETED), self.workdir, self.environ)

    def _copy(self, words: str) -> None:
        *sources, to = shlex.split(words)
        if sources[0].startswith("--from="):  # the other stage is below the same folder
            assert sources[1:] == [to]
            return
        target = Path(to) if to.startswith("/") else self.workdir / to
        for source in sources:
            self._put(self.context / source, target, into=to.endswith("/"))

    def _put(self, source: Path, target: Path, *, into: bool) -> None:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
            return
        target = target / source.name if into else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def _into(self, place: str) -> None:
        self.workdir = Path(place)
        self.workdir.mkdir(parents=True, exist_ok=True)

    def _environ(self, text: str) -> None:
        said = dict(pair.split("=", 1) for pair in shlex.split(text))
        self.environ |= {name: value.replace("$PATH", os.environ["PATH"]) for name, value in said.items()}


def context(folder: Path) -> Path:
    """What a builder is sent: the tracked files that .dockerignore names, without what it takes out again."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    kept = tuple(rule.removeprefix("!") for rule in rules if rule.startswith("!"))
    out = tuple(rule for rule in rules if not rule.startswith(("!", "*")))
    listed = subprocess.run(["git", "ls-files", *kept], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        if not name.startswith(tuple(f"{each}/" for each in out)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder
