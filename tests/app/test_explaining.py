"""What explaining beside a running gateway makes of its own: one at a time, and nothing that outlives a reload."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from harness.site import Site, until

from gateway.app.core import Core
from gateway.ops.question import Question

QUESTION = Question("GET", "/public/x", (), "")


@pytest.fixture
def kept() -> Iterator[None]:
    """Nothing that was made is gone before it is counted."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def cores() -> int:
    return sum(isinstance(found, Core) for found in gc.get_objects())


async def test_two_explanations_at_once_share_what_is_made_for_them(site: Site, kept: None) -> None:
    """The one that runs, and one beside it."""
    gateway = (await site.gateway(await site.upstream())).gateway
    before = cores()
    found = await asyncio.gather(*(gateway.explain(QUESTION) for _ in range(3)))
    assert [one["decision"] for one in found] == ["forwarded"] * 3
    assert cores() == before + 1


async def test_what_was_made_for_a_configuration_goes_with_it(site: Site) -> None:
    """Nobody has to ask once more; and whoever does is told of the new one."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    assert (await running.gateway.explain(QUESTION))["decision"] == "forwarded"
    old = weakref.ref(running.gateway.core)
    running.write(site.said(upstream, routes=[{"path": "/other/**", "access": "public"}]))
    assert await running.gateway.reload() == []
    await until(lambda: gc.collect() >= 0 and old() is None)
    assert (await running.gateway.explain(QUESTION))["code"] == "no_route"
