"""S-1 to S-55 as anybody can try them on any gateway: the suite of `tests/adversary` on a real `gateway serve`."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from adversary.cases import FAMILIES
from adversary.issuer import Issuer
from adversary.peers.systems import IDENTITIES, Place, configuration
from e2e import seeding, world
from e2e.parts import Process, program
from harness.ports import free_port

TESTS = Path(__file__).resolve().parents[1]
PATIENCE = 20  # seconds; the gateway gives a head 10


def shown(port: str, log: str, url: str) -> list[list[str]]:
    """The commands that docs/security.md shows, with these in the place of its own."""
    block = re.search(r"```console\n(.*?)```", (TESTS.parent / "docs/security.md").read_text(), re.S)
    assert block
    lines = block[1].replace("\\\n", " ").replace(" &\n", "\n").splitlines()
    places = {"9001": port, "/tmp/requests.jsonl": log, "http://127.0.0.1:8080": url, "python": sys.executable}
    return [[places.get(word, word) for word in shlex.split(line.removeprefix("$ "))] for line in lines]


@pytest.mark.timeout(180)
def test_every_attack_of_the_suite_fails(tmp_path: Path) -> None:
    """Each case of each family applies here, and is passed."""
    log, told = str(tmp_path / "requests.jsonl"), tmp_path / "results.json"
    home = seeding.founded(tmp_path)
    _, upstream, _ = shown("0", log, "")
    with Issuer() as issuer, Process(upstream, TESTS, str(tmp_path / "upstream")) as recording:
        place = Place(tmp_path, free_port(), free_port(), int(recording.first_line()), 0, issuer)
        with world.running(home, configuration(place)) as gateway:
            _, _, suite = shown("", log, gateway.url)
            names = [word for name in IDENTITIES for word in ("--identity", name)]
            more = ["--patience", str(PATIENCE), "--json", str(told), *names, *issuer.arguments(tmp_path)]
            done = subprocess.run([*suite, *more], cwd=TESTS, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(told.read_text())
    assert {result["verdict"] for result in results} == {"passed"}
    assert {result["rule"] for result in results} == set(FAMILIES)


@pytest.mark.timeout(120)
def test_the_suite_finds_what_another_gateway_lets_through(tmp_path: Path) -> None:
    """nginx believes what a stranger says of forwarding, unless it is told of each header; its framing is strict."""
    program("nginx", "/usr/sbin/nginx")
    options = ["--only", "nginx", "--patience", "1", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "adversary.peers", *options]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "peers.json").read_text())["nginx"]
    failed = {result["rule"] for result in results if result["verdict"] == "failed"}
    assert failed >= {"S-8", "S-12"}  # and S-55, as everybody has to: a second is nobody's patience
    assert not failed & {"S-1", "S-2", "S-18", "S-27"}
