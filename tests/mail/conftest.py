"""uvloop, as in production."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop
from harness.certificates import Authority

from .office import Office
from .server import Server


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server() -> Iterator[Server]:
    """In clear, without a login."""
    found = Server()
    found.start()
    yield found
    found.close()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    found = await Office.open(tmp_path)
    yield found
    await found.aclose()
