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
SHORT = "3s"  # for a head, and for an upstream's first byte: the slow ones are to see the end of it


@dataclass(frozen=True, slots=True)
class Case:
    """growth: MiB that the gateway may grow by. answers: so many at least, and all of them with that status; none
    where there is nobody to take one, and where a body goes on for ever: it may, while it is never silent.
    """

    name: str
    count: int
    size: int
    growth: float
    answers: int = 0
    status: str = ""


CASES = [
    Case("slow-heads", 300, 0, 8, 300, "408"),
    Case("slow-bodies", 300, 0, 12),
    Case("idle", 300, 0, 8, 300, "200"),
    Case("hanging", 300, 0, 12, 300, "504"),
    Case("down", 2, 64 * MIB, 8, 1, "200"),
    Case("up", 2, 64 * MIB, 8, 1, "200"),
    Case("big-heads", 8, MIB, 8, 8, "431"),
    Case("random-kids", 8, 0, 8, 8, "401"),
    Case("random-tokens", 8, 0, 8, 8, "401"),
    Case("never-reading", 30, 64 * MIB, 16),
    Case("slow-reading", 30, 64 * MIB, 20),
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
    sections, route = {"listen": {"timeouts": {"head": SHORT}}}, {"timeouts": {"first_byte": SHORT}}
    made = arena.gateway(sections, route)
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
    with arena.attacked(ours, case.name, case.count, case.size, case.answers) as done:
        client = Client(ours.bearer())
        for _ in range(TIMES):
            client.ask()
        client.close()
    assert peak(process) - before < case.growth
    assert {what for what in done if what.isdigit()} == ({case.status} if case.answers else set())
    assert done["connected"] >= case.count
    assert not done.get("not connected")
