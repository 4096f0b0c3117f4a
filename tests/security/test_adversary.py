"""S-1 to S-55 as anybody can try them on any gateway: the suite of `tests/adversary` on a real `gateway serve`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from adversary.cases import FAMILIES
from adversary.issuer import Issuer
from adversary.peers.systems import IDENTITIES, Place, configuration
from e2e import seeding, world
from e2e.parts import Process, free_port

TESTS = Path(__file__).resolve().parents[1]
PATIENCE = 20  # seconds; the gateway gives a head 10


@pytest.fixture
def arguments(tmp_path: Path) -> Iterator[list[str]]:
    """What the suite is told of a gateway that is running."""
    log = tmp_path / "requests.jsonl"
    upstream = [sys.executable, "-m", "adversary.upstream", "--log", log]
    home = seeding.founded(tmp_path)
    with Issuer() as issuer, Process(upstream, TESTS, str(tmp_path / "upstream")) as recording:
        place = Place(tmp_path, free_port(), free_port(), int(recording.first_line()), 0, issuer)
        with world.running(home, configuration(place)) as gateway:
            names = [word for name in IDENTITIES for word in ("--identity", name)]
            known = ["--target", gateway.url, "--upstream-log", str(log), "--patience", str(PATIENCE), *names]
            yield [*known, *issuer.arguments(tmp_path)]


@pytest.mark.timeout(180)
def test_every_attack_of_the_suite_fails(arguments: list[str], tmp_path: Path) -> None:
    """Each case of each family applies here, and is passed."""
    told = tmp_path / "results.json"
    command = [sys.executable, "-m", "adversary", *arguments, "--json", str(told)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(told.read_text())
    assert {result["verdict"] for result in results} == {"passed"}
    assert {result["rule"] for result in results} == set(FAMILIES)
