"""Whose trace a request belongs to, as the upstream, the log and a data plane that asks see it."""

import re

import pytest
from harness.client import request
from harness.site import Running, Site
from harness.upstream import OK, Line

TRACE, PARENT = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
SENT = b"traceparent: 00-" + TRACE + b"-" + PARENT + b"-01"
OURS = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-0[0-3]").fullmatch


def ids(value: bytes) -> tuple[bytes, bytes]:
    """Trace and parent of a valid header."""
    found = OURS(value)
    assert found is not None, value
    return found[1], found[2]


async def test_a_trace_goes_on_under_our_own_span(site: Site) -> None:
    """Once, with `tracestate` as it came; the log has its id."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    await (await site.client(running)).ask("/public/x", SENT, b"tracestate: a=1", b"tracestate: b=2")
    (got,) = upstream.requests
    trace, parent = ids(got.one(b"traceparent"))
    assert trace == TRACE
    assert parent != PARENT
    assert got.one(b"tracestate") == b"a=1,b=2"
    assert [line["trace"] for line in await running.lines()] == [TRACE.decode()]


async def test_a_request_without_a_trace_begins_one(site: Site) -> None:
    """Another each time, on one connection too; what the upstream gets is in the log."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    for _ in range(300):
        await client.ask()
    found = [ids(got.one(b"traceparent")) for got in upstream.requests]
    assert len({trace for trace, _ in found}) == len({parent for _, parent in found}) == 300
    assert [line["trace"] for line in await running.lines()] == [trace.decode() for trace, _ in found]


@pytest.mark.parametrize(
    "fields",
    [
        (SENT, SENT),
        (SENT, SENT.replace(b"0af", b"0ae")),
        (SENT, b"TraceParent: 00-" + TRACE + b"-" + PARENT + b"-00"),
        (b"TRACEPARENT: " + SENT[13:] + b", " + SENT[13:],),
        (b"traceparent: 00-" + b"0" * 32 + b"-" + PARENT + b"-01",),
        (b"traceparent: " + b"\xff" * 300,),
        (SENT.replace(TRACE, TRACE.upper()),),
    ],
)
async def test_what_is_no_trace_begins_another(site: Site, fields: tuple[bytes, ...]) -> None:
    """It is answered as any other, and the upstream gets one header, of ours."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    answer = await client.ask("/public/x", *fields, b"tracestate: a=1")
    assert answer.status == 200
    (got,) = upstream.requests
    trace, _ = ids(got.one(b"traceparent"))
    assert trace not in (TRACE, TRACE.replace(b"0af", b"0ae"), b"0" * 32)
    assert got.all(b"tracestate") == []


@pytest.mark.parametrize("odd", [b"trace_parent", b"trace.parent", b"traceparent_", b"traceparent!"])
async def test_a_look_alike_is_refused(site: Site, odd: bytes) -> None:
    """As any name outside of letters, digits and hyphens."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    answer = await client.ask("/public/x", odd + b": " + SENT[13:])
    assert (answer.status, answer.code) == (400, "bad_header_name")


async def test_a_client_cannot_have_it_taken_out(site: Site) -> None:
    """`Connection` names fields of the client's alone."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    await client.ask("/public/x", SENT, b"tracestate: a=1", b"Connection: traceparent, tracestate")
    assert ids(upstream.requests[0].one(b"traceparent"))[0] == TRACE


@pytest.mark.parametrize(("proxies", "flags"), [([], b"00"), (["127.0.0.0/8"], b"01")])
async def test_only_a_trusted_proxy_has_an_exchange_recorded(site: Site, proxies: list[str], flags: bytes) -> None:
    """With `sample: 0` nobody else."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, listen={"trusted_proxies": proxies}, tracing={"sample": 0})
    await (await site.client(running)).ask("/public/x", SENT)
    assert upstream.requests[0].one(b"traceparent")[-2:] == flags


@pytest.mark.parametrize(("proxies", "kept"), [([], False), (["127.0.0.0/8"], True)])
async def test_a_trace_of_a_stranger_can_be_left_out(site: Site, proxies: list[str], kept: bool) -> None:
    """`accept: trusted`."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, listen={"trusted_proxies": proxies}, tracing={"accept": "trusted"})
    await (await site.client(running)).ask("/public/x", SENT, b"tracestate: a=1")
    (got,) = upstream.requests
    assert (ids(got.one(b"traceparent"))[0] == TRACE, got.all(b"tracestate") == [b"a=1"]) == (kept, kept)


async def test_a_request_that_is_sent_again_keeps_its_trace(site: Site) -> None:
    """The upstream has closed the idle connection that it was sent on: on the fresh one it is the same."""

    async def once(line: Line) -> None:
        await line.request()
        line.send(OK)
        await line.request()  # and closed without a word

    upstream = await site.upstream(once)
    client = await site.client(await site.gateway(upstream))
    await client.ask()
    assert (await client.ask("/public/y", SENT)).status == 200
    again = [got for got in upstream.requests if got.target == b"/public/y"]
    assert len(again) == 2
    assert again[0].one(b"traceparent") == again[1].one(b"traceparent")


async def test_a_websocket_carries_it_as_well(site: Site) -> None:
    """The handshake is a request."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    await client.send(
        request(
            "/public/x", SENT, b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
    )  # fmt: skip
    assert ids((await upstream.got()).one(b"traceparent"))[0] == TRACE


async def decided(running: Running, site: Site, *fields: bytes) -> tuple[bytes, bytes]:
    client = await site.client(running)
    said = (b"X-Original-Method: GET", b"X-Original-URI: /public/x", *fields)
    answer = await client.ask("/_gateway/decide/nginx", *said)
    assert answer.status == 200
    return ids(answer.one(b"traceparent"))


async def test_a_data_plane_that_asks_is_told(site: Site) -> None:
    """It may copy the header to the request that it holds: the trace that it asked with, or a new one."""
    running = await site.gateway("http://127.0.0.1:9", decide={"peers": ["127.0.0.0/8"]})
    trace, parent = await decided(running, site, SENT)
    assert trace == TRACE
    assert parent != PARENT
    assert (await decided(running, site))[0] != TRACE
