"""S-55: whoever wants all of something does not get it: small editions of `python -m bench.exhaustion`, each of which
ends by counts. How long others wait meanwhile is measured there: here the machine is busy with other things.
"""

import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from e2e.parts import need

from bench.exhaustion.arena import Arena, forget_peak, peak, resident
from bench.issuer import Issuer
from bench.load import Client
from bench.ours import Ours
from bench.processes import Cores, Stable
from bench.seed import seed

MIB = 1 << 20
TIMES = 20  # that another caller asks during an attack


@dataclass(frozen=True, slots=True)
class Case:
    """growth: MiB that the gateway may grow by. answers: statuses that the attack may get."""

    name: str
    count: int
    size: int
    growth: float
    answers: frozenset[str]


def case(name: str, count: int, size: int, growth: float, *answers: str) -> Case:
    return Case(name, count, size, growth, frozenset(answers))


CASES = [
    case("slow-heads", 300, 0, 8, "408"),
    case("slow-bodies", 300, 0, 12, "504"),
    case("idle", 300, 0, 8, "200"),
    case("hanging", 300, 0, 12),
    case("down", 2, 64 * MIB, 8, "200"),
    case("up", 2, 64 * MIB, 8, "200"),
    case("big-heads", 8, MIB, 8, "431"),
    case("random-kids", 8, 0, 8, "401"),
    case("random-tokens", 8, 0, 8, "401"),
    case("never-reading", 30, 64 * MIB, 16),
    case("slow-reading", 30, 64 * MIB, 20),
]


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    need(shutil.which("taskset"), "taskset")
    folder = tmp_path_factory.mktemp("arena")
    with Issuer() as issuer, Stable(folder, Cores.of_this_machine()) as stable:
        yield Arena.opened(stable, issuer, seed(folder, issuer, 1))


@pytest.fixture(scope="module")
def ours(arena: Arena) -> Ours:
    """One for all: what an attack has left is there during the next one."""
    made = arena.gateway()
    field = ": ".join(made.bearer().header)
    with socket.create_connection(("127.0.0.1", made.system.port)) as login:  # opens what writes: 20 MiB, once
        head = f"POST /_adm/beginners/tokens HTTP/1.1\r\nHost: bench\r\n{field}\r\nContent-Length: 2\r\n"
        login.sendall(f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n{{}}".encode())
        assert b"HTTP/1.1 404" not in login.recv(1 << 16)
    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_s55_an_attack_costs_little_memory_and_others_are_served(arena: Arena, ours: Ours, case: Case) -> None:
    """A bound for each connection, not for each byte that somebody would like to be kept."""
    process = ours.system.process
    before = resident(process)
    forget_peak(process)
    with arena.attacked(ours, case.name, case.count, case.size) as done:
        client = Client(ours.bearer())
        for _ in range(TIMES):
            client.ask()
        client.close()
    assert peak(process) - before < case.growth
    assert {what for what in done if what.isdigit()} <= case.answers
    assert done["connected"] >= case.count
    assert not done.get("not connected")
