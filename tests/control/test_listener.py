"""The TCP listener of the admin application and of the demo's echo."""

import asyncio

import pytest
from aiohttp import web

from gateway.control.listener import Listener


async def test_port_0_takes_a_free_one_and_tells_it() -> None:
    """The address is the one that is bound."""
    listener = Listener(web.Application(), "127.0.0.1", 0)
    await listener.start()
    _, writer = await asyncio.open_connection(*listener.address)
    writer.close()
    await writer.wait_closed()
    await listener.aclose()
    assert listener.address[1] > 0


async def test_a_taken_port_is_an_error_at_the_start() -> None:
    """Not a listener that silently shares it."""
    first = Listener(web.Application(), "127.0.0.1", 0)
    await first.start()
    with pytest.raises(OSError, match="address already in use"):
        await Listener(web.Application(), *first.address).start()
    await first.aclose()


async def test_after_closing_nobody_is_answered() -> None:
    """The port is free again."""
    listener = Listener(web.Application(), "127.0.0.1", 0)
    await listener.start()
    await listener.aclose()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*listener.address)
