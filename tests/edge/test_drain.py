"""Stopping and reloading: what is under way ends well, or is cut when its time is over."""

import asyncio
import json
import socket

import pytest
from harness.client import Answer, Client, request
from harness.site import ROUTES, Site
from harness.upstream import OK, Line, answering


async def test_draining_closes_idle_connections(site: Site) -> None:
    """And accepts no new ones."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    await client.ask()
    await running.stop()
    assert await client.rest() == b""
    with pytest.raises(ConnectionRefusedError):
        await site.client(running)


async def test_a_drain_that_is_cut_short_leaves_no_exchange_without_a_line(site: Site) -> None:
    """As a second signal does: it is cut off, and logged, at the end at the latest."""
    came = asyncio.Event()

    async def hanging(line: Line) -> None:
        await line.request()
        came.set()
        await asyncio.Event().wait()

    running = await site.gateway(await site.upstream(hanging), listen={"timeouts": {"drain": "20s"}})
    client = await site.client(running)
    await client.send(request("/public/x"))
    await came.wait()
    draining = asyncio.create_task(running.gateway.drain())
    await asyncio.sleep(0)
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    await running.gateway.aclose()
    assert await client.rest() == b""
    (line,) = await running.lines()
    assert (line["path"], line["status"], line["reason"]) == ("/public/x", 0, "draining")


async def test_draining_with_patience_answers_an_idle_connection_once_more(site: Site) -> None:
    """The answer says that it is the last. A request that was on its way when the draining began is not lost."""
    running = await site.gateway(await site.upstream(), listen={"timeouts": {"drain": "20s"}})
    client = await site.client(running)
    await client.ask()
    draining = asyncio.create_task(running.gateway.drain(patience=20.0))
    await asyncio.sleep(0)
    assert (await client.ask()).one(b"connection") == b"close"
    await asyncio.wait_for(draining, 10)


async def test_draining_with_patience_answers_what_was_accepted_just_before(site: Site) -> None:
    """The loop tells of a connection a turn after it has accepted it."""
    running = await site.gateway(await site.upstream(), listen={"timeouts": {"drain": "20s"}})
    edge = running.gateway.edge
    with socket.create_connection(running.gateway.address, timeout=10) as sock:
        asking = asyncio.create_task(_asked(sock))
        await asyncio.sleep(0)
        assert edge.clients.added == 0
        async with asyncio.timeout(10):
            await running.gateway.drain(patience=20.0)
        answer = await asking
    assert (edge.clients.added, answer.status, answer.one(b"connection")) == (1, 200, b"close")


async def _asked(sock: socket.socket) -> Answer:
    client = Client(*await asyncio.open_connection(sock=sock))
    answer = await client.ask()
    client.writer.close()
    return answer


async def test_draining_with_patience_waits_for_the_request_that_an_answer_promised_to_take(site: Site) -> None:
    """Its head had gone out before the draining began, and did not say that it is the last."""
    release = asyncio.Event()

    async def slow(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        await release.wait()
        line.send(b"k")
        await line.request()
        line.send(OK)

    running = await site.gateway(await site.upstream(slow), listen={"timeouts": {"drain": "20s"}})
    client = await site.client(running)
    await client.send(request())
    begun = await client.head()
    draining = asyncio.create_task(running.gateway.drain(patience=20.0))
    await asyncio.sleep(0)
    release.set()
    assert await client.exactly(2) == b"ok"
    assert begun.all(b"connection") == []
    assert (await client.ask()).one(b"connection") == b"close"
    await asyncio.wait_for(draining, 10)


async def test_draining_with_patience_ends(site: Site) -> None:
    """What asks for nothing within it is closed, long before the drain time is over."""
    running = await site.gateway(await site.upstream(), listen={"timeouts": {"drain": "1h"}})
    client = await site.client(running)
    await client.ask()
    await asyncio.wait_for(running.gateway.drain(patience=0.01), 10)
    assert await client.rest() == b""


async def test_draining_lets_an_exchange_end(site: Site) -> None:
    """Its answer is whole, and says that the connection ends with it."""
    release = asyncio.Event()

    async def held(line: Line) -> None:
        await line.request()
        await release.wait()
        line.send(OK)

    upstream = await site.upstream(held)
    running = await site.gateway(upstream, listen={"timeouts": {"drain": "20s"}})
    client = await site.client(running)
    await client.send(request())
    await upstream.got()
    stopping = asyncio.create_task(running.stop())
    await asyncio.sleep(0)
    release.set()
    answer = await client.answer()
    assert (answer.body, answer.one(b"connection")) == (b"ok", b"close")
    await asyncio.wait_for(stopping, 10)


async def test_draining_lets_a_head_under_way_end(site: Site) -> None:
    """It was begun before."""
    running = await site.gateway(await site.upstream(), listen={"timeouts": {"drain": "20s"}})
    client = await site.client(running)
    whole = request()
    await client.send(request(), whole[:10])
    assert (await client.answer()).status == 200
    stopping = asyncio.create_task(running.stop())
    await asyncio.sleep(0)
    await client.send(whole[10:])
    assert (await client.answer()).one(b"connection") == b"close"
    await asyncio.wait_for(stopping, 10)


async def test_draining_cuts_what_does_not_end(site: Site) -> None:
    """After the drain time, and not before."""

    async def hung(line: Line) -> None:
        await line.request()
        await line.gone()

    upstream = await site.upstream(hung)
    running = await site.gateway(upstream, listen={"timeouts": {"drain": "300ms"}})
    client = await site.client(running)
    await client.send(request())
    await upstream.got()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.wait_for(running.stop(), 10)
    assert loop.time() - began >= 0.3
    assert await client.rest() == b""
    (line,) = await running.lines()
    assert (line["status"], line["reason"]) == (0, "draining")


async def test_a_reload_changes_the_routes(site: Site) -> None:
    """For connections that were open before, too."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    assert (await client.ask("/new/x")).status == 404
    new = [*ROUTES, {"path": "/new/**", "access": "public"}]
    running.write(site.said(upstream, routes=new))
    assert await running.gateway.reload() == []
    assert (await client.ask("/new/x")).status == 200


async def test_an_exchange_keeps_the_generation_it_began_with(site: Site) -> None:
    """Its upstream answers although the new configuration has another; then its connection is closed."""
    release = asyncio.Event()

    async def held(line: Line) -> None:
        await line.request()
        await release.wait()
        line.send(OK)
        await line.gone()

    old, new = await site.upstream(held), await site.upstream(answering(OK.replace(b"ok", b"2!")))
    running = await site.gateway(old)
    client, other = await site.client(running), await site.client(running)
    await client.send(request())
    await old.got()
    running.write(site.said(new))
    assert await running.gateway.reload() == []
    assert (await other.ask()).body == b"2!"
    release.set()
    assert (await client.answer()).body == b"ok"
    await asyncio.wait_for(old.lines[0].ended.wait(), 10)
    assert (await client.ask()).body == b"2!"


async def test_idle_connections_of_the_old_generation_are_closed(site: Site) -> None:
    """Nobody would use them any more."""
    old, new = await site.upstream(), await site.upstream()
    running = await site.gateway(old)
    client = await site.client(running)
    await client.ask()
    running.write(site.said(new))
    await running.gateway.reload()
    await asyncio.wait_for(old.lines[0].ended.wait(), 10)


async def test_a_wrong_configuration_keeps_the_old(site: Site) -> None:
    """Whole: its faults are told, and nothing has changed."""
    site.expected_errors = True
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    running.config.write_text(json.dumps(site.said(upstream, routs=[])))
    assert [fault["code"] for fault in await running.gateway.reload()] == ["unknown_key"]
    assert (await (await site.client(running)).ask()).status == 200


async def test_a_verified_credential_survives_a_reload_only_by_being_verified_again(site: Site) -> None:
    """What one generation has verified, another does not recall."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    assert (await client.ask("/secure/x", running.people.ada.field)).status == 200
    running.write(site.said(upstream, tokens={"audience": "http://elsewhere.test"}))
    assert await running.gateway.reload() == []
    assert (await client.ask("/secure/x", running.people.ada.field)).status == 401
