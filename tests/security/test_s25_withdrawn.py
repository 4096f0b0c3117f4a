"""S-25: a permit that is withdrawn while its request is still on the way."""

import asyncio
import socket

import pytest
from edge.test_tunnel import HANDSHAKE, SWITCH
from harness.client import request
from harness.people import revoke
from harness.site import Site, until
from harness.upstream import Line

from gateway.edge.tunnel import close_frame

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"


@pytest.mark.parametrize("late", [SWITCH, STREAM], ids=["websocket", "event stream"])
async def test_what_would_have_no_end_is_not_begun(site: Site, late: bytes) -> None:
    """The grant is revoked before the upstream answers: no tunnel stays, no stream begins."""
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await go_on.wait()
        line.send(late)
        await line.gone()

    running = await site.gateway(await site.upstream(script))
    client = await site.client(running)
    bearer = running.people.ada.field
    await client.send(request("/secure/ws", *(HANDSHAKE if late is SWITCH else ()), bearer))
    await until(lambda: any(c.active and c.active.permit for c in running.gateway.edge.clients))
    await revoke(running.people, running.people.ada.grant_id)
    await until(lambda: any(c.active and c.active.dead for c in running.gateway.edge.clients))
    go_on.set()
    if late is SWITCH:
        assert (await client.rest()).endswith(close_frame(1008))
    else:
        assert (await client.answer()).code == "revoked_credential"


async def test_a_websocket_that_is_granted_while_the_gateway_drains_is_closed(site: Site) -> None:
    """1001, going away: it would otherwise last until it is cut."""
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await go_on.wait()
        line.send(SWITCH)
        await line.gone()

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, listen={"timeouts": {"drain": "20s"}})
    client = await site.client(running)
    await client.send(request("/public/ws", *HANDSHAKE))
    await upstream.got()
    stopping = asyncio.create_task(running.stop())
    await until(lambda: running.gateway.edge.draining)
    go_on.set()
    assert (await client.rest()).endswith(close_frame(1001))
    await stopping


async def test_a_request_that_waits_for_its_connection_is_not_sent(site: Site) -> None:
    """The upstream's queue of connections is full; the grant is revoked meanwhile."""
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    try:
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        running = await site.gateway(url, route={"timeouts": {"connect": "30s"}})
        client = await site.client(running)
        await client.send(request("/secure/x", running.people.ada.field))
        await until(lambda: any(c.active and c.active.permit for c in running.gateway.edge.clients))
        await revoke(running.people, running.people.ada.grant_id)
        assert (await asyncio.wait_for(client.answer(), 10)).code == "revoked_credential"
    finally:
        for sock in (*fillers, deaf):
            sock.close()
