"""Clients that go away: the upstream's connection is closed, one line is logged, nothing else happens."""

import asyncio

import pytest
from harness.client import Client, request
from harness.site import Site, until
from harness.upstream import Line


async def leave(client: Client, how: str) -> None:
    client.reset() if how == "reset" else client.close()


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_leaves_in_its_head_is_not_missed(site: Site, how: str) -> None:
    """No request, no line."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    await client.send(request()[:-4])
    await leave(client, how)
    assert (await (await site.client(running)).ask()).status == 200
    assert len(await running.lines()) == 1


async def _left(site: Site, sent: bytes, answer: bytes, how: str) -> dict[str, object]:
    """The one log line of a client that has gone; the upstream has seen its connection close."""
    ready, ended = asyncio.Event(), asyncio.Event()

    async def script(line: Line) -> None:
        await line.head()
        line.send(answer)
        ready.set()
        await line.gone()
        ended.set()

    running = await site.gateway(await site.upstream(script))
    client = await site.client(running)
    await client.send(sent)
    await asyncio.wait_for(ready.wait(), 10)
    if answer:
        await client.some()
    await leave(client, how)
    await asyncio.wait_for(ended.wait(), 10)
    (line,) = await running.lines()
    return line


async def test_a_client_that_leaves_before_the_answer_ends_the_exchange(site: Site) -> None:
    """By a reset: a FIN alone would be a half-closed client, which is served."""
    line = await _left(site, request(), b"", "reset")
    assert (line["status"], line["reason"]) == (0, "client_gone")


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_leaves_in_its_body_ends_the_exchange(site: Site, how: str) -> None:
    """The upstream must not take the part for the whole."""
    sent = request("/public/x", b"Content-Length: 1000", method="POST") + b"x" * 10
    line = await _left(site, sent, b"", how)
    assert (line["status"], line["reason"], line["bytes_in"]) == (0, "client_gone", 10)


async def test_a_client_that_leaves_in_the_answer_ends_the_exchange(site: Site) -> None:
    """The status is what was sent."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    line = await _left(site, request(), head + b"x" * 10, "reset")
    assert (line["status"], line["reason"]) == (200, "client_gone")


async def test_a_client_that_leaves_while_its_credential_is_checked_is_not_missed(site: Site) -> None:
    """The check ends by itself, and the request goes nowhere."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.send(request("/secure/x", running.people.ada.field))
    client.reset()
    other = await site.client(running)
    assert (await other.ask("/secure/x", running.people.ada.field)).status == 200
    assert len(upstream.requests) <= 2


async def test_hundreds_of_clients_that_vanish_leave_nothing_behind(site: Site) -> None:
    """No connection, no exchange, no error."""
    running = await site.gateway(await site.upstream())
    for number in range(300):
        client = await site.client(running)
        await client.send(request() if number % 3 else request()[:-2])
        client.reset()
    assert (await (await site.client(running)).ask()).status == 200
    edge = running.gateway.edge
    await until(lambda: len(edge.clients) == 1)
