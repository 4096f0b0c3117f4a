"""Requests that are sent again: which, how often, and that it never becomes the load."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from harness.client import request
from harness.site import Running, Site
from harness.upstream import OK, Line, answering

Script = Callable[[Line], Awaitable[None]]
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy"


async def slamming(line: Line) -> None:
    """Takes a request, and closes without a byte."""
    await line.request()


async def retried(running: Running) -> dict[str, float]:
    """By reason, as the metrics say it, but for those that there were none for."""
    lines = (await asyncio.to_thread(running.gateway.metrics)).decode().splitlines()
    found = [line for line in lines if line.startswith("gateway_upstream_retries_total{")]
    counts = {line.split('reason="')[1].split('"')[0]: float(line.split()[-1]) for line in found}
    return {reason: count for reason, count in counts.items() if count}


async def refused(running: Running) -> float:
    lines = (await asyncio.to_thread(running.gateway.metrics)).decode().splitlines()
    (line,) = [line for line in lines if line.startswith('gateway_upstream_retries_refused_total{upstream="u"}')]
    return float(line.split()[-1])


@pytest.mark.parametrize(("on", "status"), [(["connect", "idle"], 502), (["reset"], 200)])
async def test_a_new_connection_that_is_closed_is_tried_again_where_that_is_said(
    site: Site, on: list[str], status: int
) -> None:
    """By default it is not: the server may have begun with it."""
    first, second = await site.upstream(slamming), await site.upstream()
    upstream = {"balance": "round_robin", "retries": {"on": on}}
    running = await site.gateway(first, second, upstream=upstream)
    answer = await (await site.client(running)).ask()
    assert answer.status == status
    assert await retried(running) == ({"reset": 1} if status == 200 else {})


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("PUT", 200), ("DELETE", 200), ("POST", 502)])
async def test_only_an_idempotent_request_is_tried_again(site: Site, method: str, status: int) -> None:
    """With all of its body."""
    first, second = await site.upstream(slamming), await site.upstream()
    upstream = {"balance": "round_robin", "retries": {"on": ["reset"]}}
    running = await site.gateway(first, second, upstream=upstream)
    answer = await (await site.client(running)).ask(method=method, body=b"hello" * (method != "GET"))
    assert answer.status == status
    if status == 200 and method != "GET":
        assert second.requests[0].body == b"hello"


async def test_a_body_that_was_not_in_hand_is_not_sent_again(site: Site) -> None:
    """A part of it has gone out and is not kept."""
    first, second = await site.upstream(slamming), await site.upstream()
    upstream = {"balance": "round_robin", "retries": {"on": ["reset"], "attempts": 3}}
    running = await site.gateway(first, second, upstream=upstream)
    client = await site.client(running)
    await client.send(request("/public/x", b"Content-Length: 10", method="PUT"), b"hello")
    await first.line()
    await client.send(b"world")
    assert ((await client.answer()).code, second.requests) == ("upstream_closed", [])


@pytest.mark.parametrize(("on", "status"), [([502, 504], 503), ([503], 200)])
async def test_an_answer_with_a_listed_status_is_not_passed_on(site: Site, on: list[int], status: int) -> None:
    """Another endpoint is asked; a status that is not listed is the client's answer."""
    first, second = await site.upstream(answering(BUSY)), await site.upstream()
    upstream = {"balance": "round_robin", "retries": {"on": on}}
    running = await site.gateway(first, second, upstream=upstream)
    assert (await (await site.client(running)).ask()).status == status
    assert await retried(running) == ({"503": 1} if status == 200 else {})


@pytest.mark.parametrize("attempts", [0, 1, 2, 3])
async def test_no_request_is_sent_more_often_than_said(site: Site, attempts: int) -> None:
    """And the last answer is the client's, whole."""
    upstreams = [await site.upstream(answering(BUSY)) for _ in range(2)]
    said = {"retries": {"on": [503], "attempts": attempts}}
    answer = await (await site.client(await site.gateway(*upstreams, upstream=said))).ask()
    assert (answer.status, answer.body) == (503, b"busy")
    assert sum(len(upstream.requests) for upstream in upstreams) == attempts + 1


async def test_without_attempts_a_broken_idle_connection_is_502(site: Site) -> None:
    """The default is one."""

    async def once(line: Line) -> None:
        await line.request()
        line.send(OK)
        await line.request()

    running = await site.gateway(await site.upstream(once), upstream={"retries": {"attempts": 0}})
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(2)] == [200, 502]


async def test_an_answer_that_has_begun_is_not_tried_again(site: Site) -> None:
    """The client has a part of it."""

    async def breaking(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel")
        await line.writer.drain()

    first, second = await site.upstream(breaking), await site.upstream()
    said = {"balance": "round_robin", "retries": {"on": ["reset", 502, 503, 504], "attempts": 3}}
    client = await site.client(await site.gateway(first, second, upstream=said))
    await client.send(request())
    assert (await client.rest()).endswith(b"hel")
    assert second.requests == []


async def test_the_budget_binds_what_is_sent_again(site: Site) -> None:
    """Beyond it, an answer goes to the client as it is."""
    upstream = await site.upstream(answering(BUSY))
    said = {"retries": {"on": [503], "budget": "0%", "floor": 2}}
    running = await site.gateway(upstream, upstream=said)
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(5)] == [503] * 5
    assert len(upstream.requests) == 7
    assert (await retried(running), await refused(running)) == ({"503": 2}, 3)


@pytest.mark.parametrize(("floor", "status"), [(0, 502), (1, 200)])
async def test_the_budget_binds_connects_to_others(site: Site, floor: int, status: int) -> None:
    """Nothing was sent, but all the same it is one more attempt."""
    upstream = await site.upstream()
    said = {"balance": "round_robin", "retries": {"budget": "0%", "floor": floor}}
    running = await site.gateway("http://127.0.0.1:1", upstream, upstream=said)
    assert (await (await site.client(running)).ask()).status == status
    assert await retried(running) == ({"connect": 1} if floor else {})


async def test_where_connects_are_not_tried_again_the_first_failure_is_the_answer(site: Site) -> None:
    """The next request goes elsewhere, since that endpoint rests."""
    said = {"balance": "round_robin", "retries": {"on": ["idle"]}}
    running = await site.gateway("http://127.0.0.1:1", await site.upstream(), upstream=said)
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(3)] == [502, 200, 200]


async def test_a_broken_idle_connection_is_counted_as_that(site: Site) -> None:
    """Apart from other reasons."""

    async def twice(line: Line) -> None:
        await line.request()
        line.send(OK)
        await line.request()

    running = await site.gateway(await site.upstream(twice))
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(2)] == [200, 200]
    assert await retried(running) == {"idle": 1}


async def test_counts_go_on_after_a_reload(site: Site) -> None:
    """A counter that falls looks like a restart."""
    upstream = await site.upstream(answering(BUSY))
    running = await site.gateway(upstream, upstream={"retries": {"on": [503]}})
    await (await site.client(running)).ask()
    assert await running.gateway.reload() == []
    assert await retried(running) == {"503": 1}
