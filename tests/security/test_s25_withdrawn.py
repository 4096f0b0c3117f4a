"""S-25: a permit that is withdrawn while its request is still on the way."""

import asyncio
import socket

import pytest
from edge.test_tunnel import HANDSHAKE, SWITCH
from harness.client import request
from harness.people import DAY, revoke
from harness.site import Site, until
from harness.upstream import OK, Line

from gateway.edge.tunnel import close_frame

BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"


@pytest.mark.parametrize("late", [SWITCH, STREAM], ids=["websocket", "event stream"])
async def test_s25_what_would_have_no_end_is_not_begun(site: Site, late: bytes) -> None:
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


async def test_s25_a_websocket_that_is_granted_while_the_gateway_drains_is_closed(site: Site) -> None:
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


async def test_s25_a_request_that_waits_for_its_connection_is_not_sent(site: Site) -> None:
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


@pytest.mark.parametrize("how", ["revoked", "expired"])
@pytest.mark.parametrize("last", [b"", BUSY], ids=["closed", "503"])
@pytest.mark.parametrize("before", [0, 1], ids=["new connection", "idle connection"])
async def test_s25_a_request_is_not_sent_again_for_a_caller_who_may_not_any_more(
    site: Site, how: str, last: bytes, before: int
) -> None:
    """The upstream has it once, and gets nothing of its caller after that."""
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        for _ in range(before):
            await line.request()
            line.send(OK)
        await line.request()
        await go_on.wait()
        if how == "expired":
            running.hand.ahead += 2 * DAY
        line.send(last)

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, upstream={"retries": {"on": ["reset", 503]}})
    client, bearer = await site.client(running), running.people.ada.field
    for _ in range(before):
        assert (await client.ask("/secure/x", bearer)).status == 200
    await client.send(request("/secure/x", bearer))
    await upstream.got(before + 1)
    if how == "revoked":
        await revoke(running.people, running.people.ada.grant_id)
        await until(lambda: any(c.active and c.active.dead for c in running.gateway.edge.clients))
    go_on.set()
    answer = await client.answer()
    found = [got.raw for got in upstream.requests]  # whole: one that is none of ours came by another's use of the port
    assert (answer.status, answer.code, len(found)) == (401, f"{how}_credential", before + 1), found


async def test_s25_a_credential_that_expires_in_the_queue_for_a_connection_is_not_sent(site: Site) -> None:
    """Another request has the only connection; when it is free, it is too late."""
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        while True:
            await line.request()
            await go_on.wait()
            running.hand.ahead = 2 * DAY
            line.send(OK)

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, upstream={"limits": {"connections": 1}})
    first, second = await site.client(running), await site.client(running)
    await first.send(request())
    await upstream.got()
    await second.send(request("/secure/x", running.people.ada.field))
    await until(lambda: running.gateway.core.upstreams["u"].ledger.waiting == 1)
    go_on.set()
    assert (await first.answer()).status == 200
    assert ((await second.answer()).code, len(upstream.requests)) == ("expired_credential", 1)
