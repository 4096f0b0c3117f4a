"""A real OpenTelemetry collector between the gateway and the receiver of the tests: Rotel, out of its wheel."""

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.parts import LOOPBACK, Process, need
from harness.ports import free_port
from harness.site import Site, until

from .collector import CLIENT, SERVER, collecting, of, values


@pytest.fixture
def receiver() -> int:
    return free_port()


@pytest.fixture
def rotel(tmp_path: Path, receiver: int) -> Iterator[int]:
    """Its port for OTLP over HTTP. It sends on what it takes, as OTLP too."""
    found = importlib.util.find_spec("rotel")
    need(found is not None and found.origin, "rotel")
    assert found is not None
    assert found.origin is not None
    port, grpc = free_port(), free_port()
    command = [
        Path(found.origin).parent / "rotel-agent", "start",
        "--otlp-http-endpoint", f"{LOOPBACK}:{port}", "--otlp-grpc-endpoint", f"{LOOPBACK}:{grpc}",
        "--exporter", "otlp", "--otlp-exporter-endpoint", f"http://{LOOPBACK}:{receiver}",
        "--otlp-exporter-protocol", "http", "--batch-timeout", "100ms",
    ]  # fmt: skip
    with Process(command, tmp_path, "rotel") as process:
        process.first_line()
        yield port


async def test_a_real_collector_takes_the_spans_and_sends_them_on(site: Site, rotel: int, receiver: int) -> None:
    """What comes out of it is what the upstream saw and what the log has."""
    collector, upstream = await collecting(site, port=receiver), await site.upstream()
    running = await site.gateway(upstream, tracing={"otlp": f"http://{LOOPBACK}:{rotel}"})
    await (await site.client(running)).ask("/public/x")
    async with asyncio.timeout(20):
        spans = await collector.got(2)
    server, onward = of(spans, SERVER), of(spans, CLIENT)
    _, trace, parent, _ = upstream.requests[0].one(b"traceparent").decode().split("-")
    assert [span.trace_id.hex() for span in spans] == [trace, trace]
    assert (onward.span_id.hex(), onward.parent_span_id, server.parent_span_id) == (parent, server.span_id, b"")
    assert values(server.attributes)["url.path"] == "/public/x"
    ((resource,),) = [request.resource_spans for request in collector.requests]
    assert values(resource.resource.attributes)["service.name"] == "gateway"
    await until(lambda: running.gateway.recording.counts() == {"exported": 1, "dropped": 0})
    assert [line["trace"] for line in await running.lines()] == [trace]
