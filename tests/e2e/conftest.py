"""One home, made once; one service behind one gateway, shared by the tests that only send requests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import seeding, upstream, world
from . import several as workers
from .parts import until
from .world import Gateway, Home

STATIC_BYTES = 3 * 1024 * 1024 + 17


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """What others copy; no gateway runs in it."""
    return seeding.founded(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def service_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Static files."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "file.bin").write_bytes(upstream.pattern(STATIC_BYTES))
    return folder


@pytest.fixture(scope="session")
def service(service_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an aiohttp server."""
    logs = tmp_path_factory.mktemp("aiohttp")
    with world.serving(logs, "aiohttp", sys.executable, Path(upstream.__file__), service_folder) as port:
        yield port


@pytest.fixture(scope="session")
def gateway(template: Home, service: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """In front of the aiohttp server, as upstream `app`."""
    home = template.copy(tmp_path_factory.mktemp("shared"))
    with world.running(home, world.configuration({"app": service})) as running:
        yield running


@pytest.fixture
def home(template: Home, tmp_path: Path) -> Home:
    """For a test that needs a gateway of its own."""
    return template.copy(tmp_path / "home")


@pytest.fixture(scope="session")
def standing(template: Home, service: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two workers, for `several`."""
    home = template.copy(tmp_path_factory.mktemp("standing"))
    with world.running(home, workers.said(service)) as running:
        yield running


@pytest.fixture
def several(standing: Gateway) -> Iterator[Gateway]:
    """Two workers that other tests have had before: ready, with their first configuration and nothing told.

    A worker that is killed takes its backoff along.
    """
    yield standing
    standing.configure(standing.said)
    assert standing.home.told("reload")["reloaded"]
    until(lambda: workers.unready(standing) == [] and len(workers.workers(standing)) == 2, "that there are two, ready")
    assert "Traceback" not in standing.process.complained()
    os.truncate(standing.process.err, 0)


@pytest.fixture
def own(home: Home, service: int) -> Iterator[Gateway]:
    """Two workers for a test that ends or counts them."""
    with world.running(home, workers.said(service)) as running:
        yield running
