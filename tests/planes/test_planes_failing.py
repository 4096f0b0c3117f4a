"""What a data plane does when the gateway cannot decide, or is not there: never a pass."""

import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from e2e.world import Gateway, Home
from harness.ports import free_port

from . import planes
from .conftest import deciding
from .planes import Plane
from .service import Service, ask

HANGING = 10.0  # seconds: the 5 of the configurations, and as many for a busy machine


@pytest.fixture(params=sorted(planes.COMMANDS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def failing(template: Home, service: Service, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose store can be broken."""
    with deciding(template.copy(tmp_path / "home"), service) as running:
        yield running


def test_whom_the_store_would_have_to_know_does_not_pass_without_it(
    name: str, failing: Gateway, service: Service, tmp_path: Path
) -> None:
    """bob has not been seen yet; ada has, and goes on; then the gateway is gone, and nobody passes, by no route."""
    ada, bob = (f"Authorization: Bearer {person.token}" for person in (failing.home.ada, failing.home.bob))
    port = int(failing.url.rpartition(":")[2])
    with planes.running(name, tmp_path, port, service.port) as plane:
        assert ask(plane.port, "/secret/a", "GET", ada).status == 200
        failing.home.database.rename(tmp_path / "gone.db")
        refused(plane, service, bob, (403 if plane.few else 503,))
        assert ask(plane.port, "/secret/a", "GET", ada).status == 200
        failing.process.kill()
        refused(plane, service, ada, (500, 502, 503))
        assert ask(plane.port, "/public/a").status in (500, 502, 503)


def test_a_gateway_that_was_never_there_lets_nobody_pass(name: str, service: Service, tmp_path: Path) -> None:
    """Not even by a public route."""
    with planes.running(name, tmp_path, free_port(), service.port, alive=False) as plane:
        refused(plane, service, "X-Mycelium-Profile: forged", (500, 502, 503))


def test_a_gateway_that_hangs_lets_nobody_pass(failing: Gateway, service: Service, tmp_path: Path) -> None:
    """It is stopped, and each data plane has its own bound of 5 seconds. All at once, as this takes them."""
    port = int(failing.url.rpartition(":")[2])
    mark = uuid.uuid4().hex
    with ExitStack() as stack, ThreadPoolExecutor(len(planes.COMMANDS)) as threads:
        running = []
        for name in sorted(planes.COMMANDS):
            folder = tmp_path / name
            folder.mkdir()
            running.append(stack.enter_context(planes.running(name, folder, port, service.port)))
        failing.process.signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            statuses = list(threads.map(lambda plane: ask(plane.port, f"/public/{mark}").status, running))
        finally:
            failing.process.signal(signal.SIGCONT)
        assert time.monotonic() - began < HANGING
    assert not any(mark in got.target for got in service.got)
    assert {status // 100 for status in statuses} == {5}


def refused(plane: Plane, service: Service, line: str, statuses: tuple[int, ...]) -> None:
    mark = uuid.uuid4().hex
    assert ask(plane.port, f"/secret/{mark}", "GET", line).status in statuses
    assert not any(mark in got.target for got in service.got)
