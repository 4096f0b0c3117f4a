"""Ejection and its end over real sockets: what counts as a bad answer, and what one trial is."""

import asyncio
import contextlib

import pytest
from harness.site import Running, Site, until
from harness.upstream import OK, Line, answering

BAD = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
RULE = {"errors": 2, "eject": "1h"}


def events(running: Running) -> list[str]:
    return [event for _, event, _ in running.log.lines if event in ("endpoint ejected", "endpoint returned")]


async def bad(line: Line) -> None:
    while True:
        await line.request()
        line.send(BAD)


async def closes(line: Line) -> None:
    await line.request()


async def resets(line: Line) -> None:
    await line.request()
    line.reset()


async def breaks(line: Line) -> None:
    await line.request()
    line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel")
    await line.writer.drain()
    line.reset()


async def babbles(line: Line) -> None:
    await line.request()
    line.send(b"nonsense\r\n\r\n")


async def hangs(line: Line) -> None:
    await line.request()
    await line.gone()


@pytest.mark.parametrize("script", [bad, closes, resets, babbles, hangs, breaks])
async def test_what_counts_as_a_bad_answer(site: Site, script: object) -> None:
    """5xx, a closed or reset connection, an answer that is none or breaks off, and silence."""
    ill, well = await site.upstream(script), await site.upstream(answering(OK))  # type: ignore[arg-type]
    running = await site.gateway(
        ill, well, upstream={"balance": "round_robin", "outlier": RULE}, route={"timeouts": {"first_byte": "10ms"}}
    )
    endpoint = running.gateway.core.upstreams["u"].endpoints[0]
    async with asyncio.timeout(30):
        while not endpoint.health.on_trial:
            client = await site.client(running)
            with contextlib.suppress(asyncio.IncompleteReadError):
                await client.ask()
    seen = len(ill.requests)
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(6)] == [200] * 6
    assert (len(ill.requests), events(running)) == (seen, ["endpoint ejected"])


@pytest.mark.parametrize("status", [500, 502, 506, 599])
async def test_a_server_error_is_a_bad_answer(site: Site, status: int) -> None:
    """Whatever it is called."""
    answer = b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status
    ill, well = await site.upstream(answering(answer)), await site.upstream()
    running = await site.gateway(ill, well, upstream={"balance": "round_robin", "outlier": RULE})
    client = await site.client(running)
    for _ in range(10):
        await client.ask()
    assert (events(running), len(ill.requests)) == (["endpoint ejected"], 2)


@pytest.mark.parametrize("status", [501, 505])
async def test_clients_eject_no_server_by_asking_for_what_it_does_not_know(site: Site, status: int) -> None:
    """A method, or a version: it says so as often as it is asked, and goes on to answer the others."""
    answer = b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status
    upstreams = [await site.upstream(answering(answer)), await site.upstream()]
    running = await site.gateway(*upstreams, upstream={"balance": "round_robin", "outlier": RULE})
    client = await site.client(running)
    assert [(await client.ask(method="PUT")).status for _ in range(10)] == [status, 200] * 5
    assert events(running) == []


@pytest.mark.parametrize("status", [400, 404, 499, 501, 505])
async def test_an_answer_that_speaks_of_the_request_is_a_good_one(site: Site, status: int) -> None:
    """The server is well; the request was not."""
    answer = b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status
    upstreams = [await site.upstream(answering(BAD, answer, BAD, answer)), await site.upstream()]
    running = await site.gateway(*upstreams, upstream={"balance": "round_robin", "outlier": RULE})
    client = await site.client(running)
    for _ in range(10):
        await client.ask()
    assert events(running) == []


async def test_a_lone_endpoint_is_never_ejected(site: Site) -> None:
    """Its answers are better than none."""
    running = await site.gateway(await site.upstream(bad), upstream={"outlier": RULE})
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(6)] == [500] * 6
    assert events(running) == []


async def test_one_request_at_a_time_tries_an_ejected_endpoint(site: Site) -> None:
    """While the trial hangs, all others go elsewhere; its good answer takes the endpoint in again."""
    trial, verdict, failing = asyncio.Event(), asyncio.Event(), True

    async def script(line: Line) -> None:
        while True:
            await line.request()
            if failing:
                line.send(BAD)
                continue
            trial.set()
            await verdict.wait()
            line.send(OK.replace(b"ok", b"u1"))

    ill, well = await site.upstream(script), await site.upstream(answering(OK.replace(b"ok", b"u2")))
    running = await site.gateway(ill, well, upstream={"balance": "round_robin", "outlier": RULE})
    client = await site.client(running)
    while events(running) != ["endpoint ejected"]:
        await client.ask()
    failing = False
    running.hand.rested += 3600
    tasks = [asyncio.create_task((await site.client(running)).ask()) for _ in range(4)]
    await asyncio.wait_for(trial.wait(), 10)
    seen = len(ill.requests)
    other = await site.client(running)
    assert [(await other.ask()).body for _ in range(8)] == [b"u2"] * 8
    assert len(ill.requests) == seen
    verdict.set()
    await asyncio.gather(*tasks)
    assert {(await other.ask()).body for _ in range(4)} == {b"u1", b"u2"}
    assert events(running) == ["endpoint ejected", "endpoint returned"]


async def test_an_ejection_shows(site: Site) -> None:
    """In readiness as a warning, in the metrics as a state and a count, in the log with its reason."""
    ill, well = await site.upstream(bad), await site.upstream()
    running = await site.gateway(ill, well, upstream={"balance": "round_robin", "outlier": RULE})
    client = await site.client(running)
    while events(running) != ["endpoint ejected"]:
        await client.ask()
    assert await running.warnings() == ("upstream_degraded: u",)
    lines = (await asyncio.to_thread(running.gateway.metrics)).decode().splitlines()
    assert 'gateway_upstream_endpoints{state="ejected",upstream="u"} 1.0' in lines
    assert 'gateway_upstream_ejections_total{upstream="u"} 1.0' in lines
    ((level, _, fields),) = [line for line in running.log.lines if line[1] == "endpoint ejected"]
    assert (level, fields) == (
        "warning",
        {"upstream": "u", "endpoint": ill.url, "why": "2 answers in a row were 5xx or none.", "seconds": 3600.0},
    )


@pytest.mark.parametrize("keeps", [True, False])
async def test_an_ejection_outlives_a_reload_as_long_as_the_rule(site: Site, keeps: bool) -> None:
    """Without it nobody would take the endpoint in again."""
    ill, well = await site.upstream(bad), await site.upstream()
    running = await site.gateway(ill, well, upstream={"balance": "round_robin", "outlier": RULE})
    client = await site.client(running)
    while events(running) != ["endpoint ejected"]:
        await client.ask()
    more = {"outlier": RULE} if keeps else {}
    running.write(site.said(ill, well, upstream={"balance": "least", **more}))
    assert await running.gateway.reload() == []
    statuses = {(await client.ask()).status for _ in range(6)}
    assert statuses == ({200} if keeps else {200, 500})


async def test_an_answer_to_a_former_generation_ejects_nobody_after_the_rule(site: Site) -> None:
    """Nobody would take it in again. When the rule comes back, so do ejections."""
    release = asyncio.Event()

    async def script(line: Line) -> None:
        while True:
            await line.request()
            await release.wait()
            line.send(BAD)

    ill, well = await site.upstream(script), await site.upstream()
    said = {"balance": "round_robin", "outlier": {"errors": 1, "eject": "1h"}}
    running = await site.gateway(ill, well, upstream=said)
    held = [asyncio.create_task((await site.client(running)).ask()) for _ in range(2)]
    await ill.got()
    running.write(site.said(ill, well, upstream={"balance": "round_robin"}))
    assert await running.gateway.reload() == []
    release.set()
    assert sorted([(await task).status for task in held]) == [200, 500]
    assert events(running) == []
    assert not running.gateway.core.upstreams["u"].endpoints[0].health.on_trial
    running.write(site.said(ill, well, upstream=said))
    assert await running.gateway.reload() == []
    client = await site.client(running)
    for _ in range(2):
        await client.ask()
    assert events(running) == ["endpoint ejected"]


async def test_a_retried_answer_counts_against_its_endpoint(site: Site) -> None:
    """The client never saw it, but the endpoint gave it."""
    ill = await site.upstream(answering(BAD.replace(b"500 Internal Server Error", b"503 Service Unavailable")))
    well = await site.upstream()
    said = {"balance": "round_robin", "outlier": RULE, "retries": {"on": [503]}}
    running = await site.gateway(ill, well, upstream=said)
    client = await site.client(running)
    assert [(await client.ask()).status for _ in range(10)] == [200] * 10
    await until(lambda: events(running) == ["endpoint ejected"])
    assert len(ill.requests) == 2
