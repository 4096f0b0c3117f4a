"""Autobahn's suite: where a Python 2.7 is, its packages put in a folder of their own, a run, and two runs compared.

The suite is for Python 2 alone: the releases pinned here are the last ones that it works with. Debian has had no Python
2.7 since 12; pyenv builds one.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/autobahn"
LAUNCHER = Path(__file__).with_name("launcher.py")
SUITE = "autobahntestsuite==25.10.1"  # its own requirements would bring releases that do not work together
PACKAGES = (
    "Twisted==19.10.0", "autobahn==0.10.9", "txaio==2.1.0", "zope.interface==5.4.0", "incremental==16.10.1",
    "Automat==0.7.0", "attrs==20.3.0", "hyperlink==19.0.0", "PyHamcrest==1.9.0", "klein==17.10.0", "Werkzeug==1.0.1",
    "jinja2==2.11.3", "markupsafe==1.1.1", "unittest2==1.1.0", "six==1.16.0",
)  # fmt: skip

# From good to bad. What is informational is neither: RFC 6455 leaves it open.
BEHAVIOURS = ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED")
CLOSES = ("OK", "INFORMATIONAL", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "FAILED")
# Where a frame breaks the protocol the other side should fail at once. What it answered to the frames before may be
# overtaken by the end on its way through another process, which the suite calls non-strict.
FAIL_FAST = ("3.", "4.", "5.15")


class NotInstalledError(Exception):
    """Why the suite can't be run here."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one case."""

    behaviour: str
    close: str


def python27() -> Path | None:
    """One that has pip: `python2.7` of the path, or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [shutil.which("python2.7"), *sorted(pyenv.glob("versions/2.7.*/bin/python2.7"))]
    for candidate in filter(None, candidates):
        # a shim of pyenv is there without a Python behind it
        done = subprocess.run([candidate, "-m", "pip", "--version"], capture_output=True, check=False, cwd="/")
        if done.returncode == 0:
            return Path(candidate)
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Against another run that installs at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def installed(python: Path, folder: Path = FOLDER) -> Path:
    """The folder with the suite's packages, made if it is not there. Raises NotInstalledError."""
    site, stamp = folder / "site", folder / "installed"
    wanted = "\n".join([str(python), *PACKAGES, SUITE])
    with _locked(folder):
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(site, ignore_errors=True)
            stamp.unlink(missing_ok=True)
            _install(python, site, *PACKAGES)
            _install(python, site, "--no-deps", SUITE)
            (site / "zope/__init__.py").touch()  # pip --target leaves out what makes it a package
            stamp.write_text(wanted)
    return site


def _install(python: Path, site: Path, *what: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(site)]
    done = subprocess.run([*command, *what], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalledError(done.stderr.strip()[-600:])


class Run:
    """One fuzzing client at work. folder: for its report."""

    def __init__(self, python: Path, site: Path, folder: Path, name: str, url: str, cases: Sequence[str]) -> None:
        self._reports, self._name = folder / f"{name}-reports", name
        spec = folder / f"{name}.json"
        server = {"agent": name, "url": url}
        said = {"outdir": str(self._reports), "servers": [server], "cases": list(cases), "exclude-cases": []}
        spec.write_text(json.dumps(said | {"exclude-agent-cases": {}}))
        self._log = folder / f"{name}.log"
        command = [str(python), str(LAUNCHER), str(site), "-m", "fuzzingclient", "-s", str(spec)]
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.wait()

    def verdicts(self) -> Mapping[str, Verdict]:
        """By the number of the case, once it is over."""
        code = self._popen.wait()
        index = self._reports / "index.json"
        if code or not index.exists():
            raise AssertionError(f"the fuzzing client ended with {code}: {self._log.read_text()[-2000:]}")
        found = json.loads(index.read_text())[self._name]
        return {case: Verdict(one["behavior"], one["behaviorClose"]) for case, one in found.items()}


def worse(direct: Mapping[str, Verdict], through: Mapping[str, Verdict]) -> dict[str, str]:
    """Why, by case: those that are worse through the gateway than without it, and those that only one of them has."""
    found = dict.fromkeys(direct.keys() ^ through.keys(), "run on one side only")
    for case in direct.keys() & through.keys():
        before, after = direct[case], through[case]
        least = max(BEHAVIOURS.index(before.behaviour), _excused(case))
        if BEHAVIOURS.index(after.behaviour) > least or CLOSES.index(after.close) > CLOSES.index(before.close):
            found[case] = f"{after.behaviour}, {after.close}; without the gateway {before.behaviour}, {before.close}"
    return found


def _excused(case: str) -> int:
    """How bad a case may be whatever it was."""
    return BEHAVIOURS.index("NON-STRICT") if case.startswith(FAIL_FAST) else 0


def figures(verdicts: Mapping[str, Verdict]) -> str:
    counted = Counter(verdict.behaviour for verdict in verdicts.values())
    return f"{len(verdicts)} cases: " + ", ".join(f"{counted[name]} {name}" for name in BEHAVIOURS if counted[name])
