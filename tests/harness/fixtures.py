"""The fixtures, for the conftest of each folder that runs gateways."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop

from harness.people import People, settle
from harness.redis import Server, Servers
from harness.site import Site


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Made once: migrating a database takes longer than most tests."""
    return asyncio.run(settle(tmp_path_factory.mktemp("people")))


@pytest.fixture
async def site(tmp_path: Path, people: People) -> AsyncIterator[Site]:
    made = Site(tmp_path, people)
    yield made
    await made.aclose()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that break nothing: each has names of its own there."""
    made = Servers(tmp_path_factory.mktemp("redis"))
    try:
        yield made.single()
    finally:
        made.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """For a test that kills its servers."""
    made = Servers(tmp_path)
    try:
        yield made
    finally:
        made.close()


# Where the kind of loop may matter: what is written, paused and closed.
BOTH_LOOPS = {"test_bodies.py", "test_keep_alive.py", "test_tunnel.py", "test_vanishing.py"}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop runs in production; asyncio's own is another reading of the same interface."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    if item.path.name in BOTH_LOOPS:
        factories["asyncio"] = asyncio.new_event_loop
    return factories
