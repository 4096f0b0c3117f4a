"""A WebSocket's client that is gone, or sends no more, before its 101: nothing of it stays."""

import asyncio
import socket
from typing import Any

import pytest
from harness.client import request
from harness.site import Running, Site, until
from harness.upstream import OK, Line

from edge.test_tunnel import HANDSHAKE, SWITCH

ONE: dict[str, Any] = {
    "upstream": {"limits": {"requests": 1, "connections": 1}},
    "route": {"limits": {"concurrency": [{"by": "route", "at_most": 1}]}},
}


async def silent(line: Line) -> None:
    await line.request()
    await line.gone()


async def switching(line: Line) -> None:
    """At once, and what is no handshake is answered."""
    while not (await line.request()).all(b"upgrade"):
        line.send(OK)
    line.send(SWITCH)
    await line.gone()


def free(running: Running) -> bool:
    upstream = running.gateway.core.upstreams["u"]
    return not (running.gateway.edge.clients or upstream.in_flight or upstream.ledger.queue)


@pytest.mark.parametrize("credential", [False, True], ids=["public", "secure"])
@pytest.mark.parametrize("how", ["half_close", "close", "reset"])
async def test_whoever_leaves_before_the_101_holds_nothing(site: Site, how: str, credential: bool) -> None:
    """The upstream is silent: its connection closes, and both seats are free for the next."""
    upstream = await site.upstream(silent)
    running = await site.gateway(upstream, **ONE)
    path, fields = ("/secure/ws", (running.people.ada.field,)) if credential else ("/public/ws", ())
    for count in (1, 2):
        client = await site.client(running)
        await client.send(request(path, *HANDSHAKE, *fields))
        await upstream.got(count)
        getattr(client, how)()
        await asyncio.wait_for(upstream.lines[count - 1].ended.wait(), 5)
        await until(lambda: free(running))
        assert not running.gateway.edge.tunnels
        assert running.gateway.core.upstreams["u"].ledger.under_way == 0
    assert [line["reason"] for line in await running.lines()] == ["client_gone"] * 2


@pytest.mark.parametrize("early", [b"", b"\x89\x80mask"], ids=["handshake", "handshake and a frame"])
@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "idle connection"])
async def test_a_handshake_with_its_fin_makes_no_tunnel_that_stays(site: Site, warm: bool, early: bytes) -> None:
    """The upstream answers at once, so that 101 and FIN come in any order; the next has room whichever was first."""
    upstream = await site.upstream(switching)
    running = await site.gateway(upstream, **ONE)
    for _ in range(3):
        if warm:
            client = await site.client(running)
            assert (await client.ask()).status == 200
            client.close()
        accepted = running.gateway.edge.clients.added
        with socket.create_connection(running.gateway.address) as sock:
            sock.sendall(request("/public/ws", *HANDSHAKE) + early)
        await until(lambda before=accepted: running.gateway.edge.clients.added > before and free(running))
        assert not running.gateway.edge.tunnels
    assert (await (await site.client(running)).ask()).status == 200


async def test_a_101_that_finds_its_client_half_closed_opens_nothing(site: Site) -> None:
    """Requests that wait for others are read no further, so the FIN of their client may be seen late: with its turn."""
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await go_on.wait()
        line.send(OK)
        await line.request()
        line.send(SWITCH)
        await line.gone()

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, **ONE)
    client = await site.client(running)
    await client.send(request(), request("/public/ws", *HANDSHAKE))
    client.half_close()
    await upstream.got()
    go_on.set()
    assert (await client.answer()).status == 200
    await client.rest()
    await until(lambda: not running.gateway.edge.clients)
    assert not running.gateway.edge.tunnels
