"""S-25: a permit that is withdrawn while its request is still on the way."""

import asyncio

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
