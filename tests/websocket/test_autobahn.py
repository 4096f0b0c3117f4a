"""Autobahn's cases through the gateway come out as they do without it.

`make autobahn` runs all of them, with those of 9 (limits and performance), 12 and 13 (compression), which takes long:
the suite itself is slow. `AUTOBAHN_CASES` names others, with a space between them.
There is no Python 2.7 in Debian 12, so without one of another origin this is skipped, in CI too. The suite comes from
the package index: a plain `make test` leaves this out.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from e2e import world
from e2e.parts import LOOPBACK, need
from e2e.world import Home

from .autobahn import NotInstalledError, Run, Verdict, figures, installed, python27, worse

CASES = os.environ.get("AUTOBAHN_CASES", "1.* 2.* 3.* 4.* 5.* 6.* 7.* 10.*").split()
NUMBER = 247  # of these
LIMIT = 300 if "AUTOBAHN_CASES" not in os.environ else 4 * 3600  # seconds; the first run installs the suite
TURNS = 3  # the suite waits a second for most things, which may be too short on a busy machine


@pytest.fixture(scope="module")
def python() -> Path:
    found = python27()
    if found is None:
        pytest.skip("NOT TESTED: Autobahn's suite needs a Python 2.7 with pip, and there is none")
    return found


@pytest.fixture(scope="module")
def suite(python: Path) -> Path:
    try:
        return installed(python)
    except NotInstalledError as error:
        need(None, f"Autobahn's suite: {error}")
        raise


@pytest.mark.slow
@pytest.mark.timeout(LIMIT)
def test_no_case_is_worse_than_without_the_gateway(
    python: Path, suite: Path, template: Home, service: int, tmp_path: Path
) -> None:
    """Against the same server. A case that comes out worse is run again; one that always does is."""
    home = template.copy(tmp_path / "home")
    cases, faults, seen = CASES, {"": ""}, 0
    with world.running(home, world.configuration({"app": service})) as gateway:
        urls = f"ws://{LOOPBACK}:{service}/websocket", f"{gateway.url}/public/app/websocket".replace("http:", "ws:")
        for turn in range(TURNS):
            direct, through = both(python, suite, tmp_path, f"{turn}", urls, cases)
            seen = max(seen, len(through))
            faults = worse(direct, through)
            print(f"\ndirect:  {figures(direct)}\nthrough: {figures(through)}")
            if not (cases := sorted(faults)):
                break
    assert faults == {}
    if "AUTOBAHN_CASES" not in os.environ:
        assert seen == NUMBER


def both(
    python: Path, suite: Path, folder: Path, name: str, urls: tuple[str, str], cases: list[str]
) -> tuple[Mapping[str, Verdict], Mapping[str, Verdict]]:
    """Without the gateway and through it, at the same time."""
    with (
        Run(python, suite, folder, f"direct-{name}", urls[0], cases) as first,
        Run(python, suite, folder, f"through-{name}", urls[1], cases) as second,
    ):
        return first.verdicts(), second.verdicts()


GOOD = Verdict("OK", "OK")


@pytest.mark.parametrize(
    ("case", "verdict", "is_worse"),
    [
        ("1.1.1", Verdict("OK", "OK"), False),
        ("1.1.1", Verdict("NON-STRICT", "OK"), True),
        ("1.1.1", Verdict("FAILED", "OK"), True),
        ("1.1.1", Verdict("OK", "UNCLEAN"), True),
        ("3.2", Verdict("NON-STRICT", "OK"), False),
        ("3.2", Verdict("FAILED", "OK"), True),
        ("3.2", Verdict("NON-STRICT", "UNCLEAN"), True),
        ("5.15", Verdict("NON-STRICT", "OK"), False),
        ("5.1", Verdict("NON-STRICT", "OK"), True),
    ],
)
def test_what_is_worse_is_seen(case: str, verdict: Verdict, is_worse: bool) -> None:
    """Non-strict is let pass where the suite wants a side to fail fast, and nowhere else."""
    assert bool(worse({case: GOOD}, {case: verdict})) == is_worse


def test_a_case_that_was_not_run_is_seen() -> None:
    """A client that stops half-way has not shown the rest."""
    assert worse({"1.1.1": GOOD, "1.1.2": GOOD}, {"1.1.1": GOOD}) == {"1.1.2": "run on one side only"}
