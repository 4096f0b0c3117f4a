"""A collector that is down, slow, or refuses: traffic flows, what is lost is counted, and the log has one line."""

import asyncio
import time

import pytest
from harness.ports import free_port
from harness.site import Running, Site, until
from harness.upstream import Line, answering

from .collector import Collector, collecting

QUICK = {"timeout": "100ms"}


def counted(running: Running, outcome: str) -> float:
    return running.gateway.recording.counts().get(outcome, 0)


def told(running: Running) -> list[tuple[str, str]]:
    return [(level, event) for level, event, _ in running.log.lines if "spans" in event]


async def silent(line: Line) -> None:
    """It takes the request, and says nothing."""
    await line.request()
    await line.gone()


async def test_traffic_flows_while_the_collector_is_down_and_goes_on_when_it_is_back(site: Site) -> None:
    """One line for the outage and one for its end; the metric has what was lost."""
    port = free_port()
    running = await site.gateway(await site.upstream(), tracing={"otlp": f"http://127.0.0.1:{port}", **QUICK})
    client = await site.client(running)
    for lost in (1, 2, 3):
        assert (await client.ask()).status == 200
        await until(lambda lost=lost: counted(running, "dropped") == lost)
    assert told(running) == [("warning", "spans cannot be exported")]
    assert b'gateway_spans_total{outcome="dropped"} 3.0' in running.gateway.metrics()
    collector = await collecting(site, port=port)
    assert (await client.ask()).status == 200
    assert len(await collector.got(2)) == 2
    await until(lambda: counted(running, "exported") == 1)
    assert told(running)[1:] == [("info", "spans are exported again")]


async def test_traffic_flows_while_the_collector_says_nothing(site: Site) -> None:
    """The thread waits for it; the loop does not."""
    collector = await collecting(site, silent)
    running = await site.gateway(await site.upstream(), tracing={"otlp": collector.url})
    client = await site.client(running)
    await client.ask()
    await collector.upstream.got()  # from here on the thread waits, ten seconds long
    for _ in range(100):
        assert (await client.ask()).status == 200
    assert counted(running, "exported") == 0


@pytest.mark.parametrize("status", [401, 403, 400, 500])
async def test_a_collector_that_refuses_is_told_of(site: Site, status: int) -> None:
    """With its status, and without repeats that would not help."""
    collector = await collecting(site, answering(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % status))
    running = await site.gateway(await site.upstream(), tracing={"otlp": collector.url})
    await (await site.client(running)).ask()
    await until(lambda: counted(running, "dropped") == 1)
    ((_, _, fields),) = [line for line in running.log.lines if line[1] == "spans cannot be exported"]
    assert str(status) in str(fields["reason"])
    assert len(collector.upstream.requests) == 1


async def test_a_collector_that_says_nothing_delays_the_end_no_longer_than_its_bound(site: Site) -> None:
    """Five seconds, though it may take a minute to answer."""
    collector: Collector = await collecting(site, silent)
    running = await site.gateway(await site.upstream(), tracing={"otlp": collector.url, "timeout": "1m"})
    await (await site.client(running)).ask()
    await collector.upstream.got()
    began = time.monotonic()
    async with asyncio.timeout(30):
        await running.stop()
    assert 4.5 < time.monotonic() - began < 20


async def test_a_reload_does_not_wait_for_a_collector_that_says_nothing(site: Site) -> None:
    """It ends by itself, beside."""
    collector, upstream = await collecting(site, silent), await site.upstream()
    running = await site.gateway(upstream, tracing={"otlp": collector.url, "timeout": "1m"})
    await (await site.client(running)).ask()
    await collector.upstream.got()
    running.write(site.said(upstream))
    async with asyncio.timeout(4):
        assert await running.gateway.reload() == []


async def test_the_environment_has_no_say(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment's would get what is secret in the headers."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    collector = await collecting(site)
    running = await site.gateway(await site.upstream(), tracing={"otlp": collector.url})
    await (await site.client(running)).ask()
    assert len(await collector.got(2)) == 2
