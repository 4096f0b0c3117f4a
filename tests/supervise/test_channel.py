"""What the two sides of a socket pair say to each other."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.supervise.channel import Channel, ChannelClosedError, Message, open_channel


async def double(message: Message) -> Message:
    if message["do"] == "never":
        await asyncio.Event().wait()
    return {"twice": [message["value"], message["value"]]}


@asynccontextmanager
async def pair(heard: list[Message]) -> AsyncIterator[tuple[Channel, Channel]]:
    one, other = socket.socketpair()
    left = await open_channel(one, double, heard.append)
    right = await open_channel(other, double, heard.append)
    running = [asyncio.create_task(side.run()) for side in (left, right)]
    yield left, right
    await left.aclose()
    await asyncio.gather(*running)
    await right.aclose()


async def test_either_side_asks() -> None:
    """At the same time, and each gets its own answer, however long."""
    long = "x" * 1_000_000
    async with pair([]) as (left, right):
        answers = await asyncio.gather(
            left.ask({"do": "double", "value": 1}, 5),
            right.ask({"do": "double", "value": long}, 5),
            left.ask({"do": "double", "value": 3}, 5),
        )
    assert [answer["twice"] for answer in answers] == [[1, 1], [long, long], [3, 3]]


async def test_what_is_told_is_heard_in_order() -> None:
    """Also when the teller closes at once."""
    heard: list[Message] = []
    async with pair(heard) as (left, _):
        left.tell({"number": 1})
        left.tell({"number": 2})
    assert heard == [{"number": 1}, {"number": 2}]


async def test_an_answer_that_does_not_come_is_an_error() -> None:
    """After the time that was given."""
    async with pair([]) as (left, _):
        with pytest.raises(ChannelClosedError):
            await left.ask({"do": "never"}, 0.05)


async def test_an_end_ends_what_is_asked() -> None:
    """At once, on both sides."""
    async with pair([]) as (left, right):
        asking = asyncio.create_task(left.ask({"do": "never"}, 60))
        await asyncio.sleep(0)
        await right.aclose()
        with pytest.raises(ChannelClosedError):
            await asking
        with pytest.raises(ChannelClosedError):
            await right.ask({"do": "double", "value": 1}, 60)


@pytest.mark.parametrize("frame", [b"\0\0\0\2[]", b"\0\0\0\2{]", b"\xff\xff\xff\xff", b'\0\0\0\x0c{"answer":{}}'])
async def test_what_cannot_be_read_closes_the_channel(frame: bytes) -> None:
    """And is told to whoever has it; nothing is raised."""
    one, other = socket.socketpair()
    channel = await open_channel(one, double, lambda message: message["number"])
    running = asyncio.create_task(channel.run())
    with other:
        other.sendall(frame)
        await asyncio.wait_for(running, 5)
    assert channel.fault
    with pytest.raises(ChannelClosedError):
        await channel.ask({"do": "double", "value": 1}, 60)
    await channel.aclose()


async def test_an_answer_that_cannot_be_given_is_an_error() -> None:
    """At once: whoever asked need not wait for it."""
    async with pair([]) as (left, _):
        assert "KeyError" in str((await left.ask({"do": "double"}, 60))["error"])
