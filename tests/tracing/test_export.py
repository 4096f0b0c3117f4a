"""What a collector gets of an exchange: spans with the right ids, parents, names and attributes, and nothing secret."""

import asyncio
from typing import Any

import pytest
from harness.client import Client
from harness.site import Running, Site
from harness.upstream import OK, Line
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from .collector import CLIENT, INTERNAL, SERVER, Collector, collecting, of, values

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = f"traceparent: 00-{TRACE}-{PARENT}-01".encode()


async def traced(site: Site, collector: Collector, *upstreams: Any, **more: Any) -> tuple[Running, Client]:
    tracing = {"otlp": collector.url, **more.pop("tracing", {})}
    running = await site.gateway(*(upstreams or [await site.upstream()]), tracing=tracing, **more)
    return running, await site.client(running)


async def test_an_exchange_is_a_span_with_one_towards_the_upstream(site: Site) -> None:
    """The caller's span, ours, the one towards the upstream: each is the parent of the next, the upstream's of none."""
    collector, upstream = await collecting(site), await site.upstream()
    running, client = await traced(site, collector, upstream)
    answer = await client.ask("/public/x?a=1", SENT, b"tracestate: a=1")
    spans = await collector.got(2)
    server, onward = of(spans, SERVER), of(spans, CLIENT)
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert server.parent_span_id.hex() == PARENT
    assert onward.parent_span_id == server.span_id
    assert upstream.requests[0].one(b"traceparent").decode() == f"00-{TRACE}-{onward.span_id.hex()}-01"
    assert {span.trace_state for span in spans} == {"a=1"}
    assert (server.name, onward.name) == ("GET /public/**", "GET")
    assert values(server.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/public/**",
        "url.path": "/public/x",
        "url.scheme": "http",
        "server.address": "gateway.test",
        "client.address": "127.0.0.1",
        "gateway.request_id": answer.one(b"x-mycelium-request-id").decode(),
    }
    assert values(onward.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": upstream.port,
        "gateway.upstream": "u",
    }
    assert [event.name for event in onward.events] == ["request sent", "response head received"]
    (line,) = await running.lines()
    assert line["trace"] == TRACE


async def test_times_are_in_order(site: Site) -> None:
    """Of the wall clock; the inner span is within the outer one, and so is what happened in it."""
    collector = await collecting(site)
    running, client = await traced(site, collector)
    before = running.hand.clock.now()
    await client.ask()
    after = running.hand.clock.now()
    spans = await collector.got(2)
    server, onward = of(spans, SERVER), of(spans, CLIENT)
    sent, answered = (event.time_unix_nano for event in onward.events)
    times = [
        server.start_time_unix_nano, onward.start_time_unix_nano, sent, answered, onward.end_time_unix_nano,
    ]  # fmt: skip
    assert times == sorted(times)
    assert server.end_time_unix_nano == onward.end_time_unix_nano
    assert (before - 0.01) * 1e9 <= times[0] <= times[-1] <= (after + 0.01) * 1e9


async def test_what_the_collector_is_told_of_the_gateway(site: Site) -> None:
    """Its name, version and instance; gzipped protobuf at the path of traces, with the secret header."""
    collector = await collecting(site)
    people = site._people
    (people.folder / "otlp.token").write_text("Bearer s3cret-of-the-collector\n")
    headers = {"authorization": {"file": "otlp.token"}}
    _, client = await traced(site, collector, tracing={"headers": headers, "service": "edge"})
    await client.ask()
    await collector.got(2)
    (got,) = collector.upstream.requests
    assert (got.method, got.target) == (b"POST", b"/v1/traces")
    assert got.one(b"content-type") == b"application/x-protobuf"
    assert got.one(b"authorization") == b"Bearer s3cret-of-the-collector"
    ((resource,),) = [request.resource_spans for request in collector.requests]
    said = values(resource.resource.attributes)
    assert (said["service.name"], set(said)) == (
        "edge", {"service.name", "service.version", "service.instance.id"},
    )  # fmt: skip
    assert b"s3cret" not in b"".join(collector.bodies)


async def test_a_credential_that_had_to_be_verified_is_a_span(site: Site) -> None:
    """The second request finds it remembered: then there is none."""
    collector = await collecting(site)
    running, client = await traced(site, collector)
    await client.ask("/secure/x", running.people.ada.field)
    await client.ask("/secure/x", running.people.ada.field)
    spans = await collector.got(5)
    waited = of(spans, INTERNAL)
    (first,) = [span for span in spans if span.span_id == waited.parent_span_id]
    assert (waited.name, first.kind, first.name) == ("authenticate", SERVER, "GET /secure/**")
    assert first.start_time_unix_nano <= waited.start_time_unix_nano < waited.end_time_unix_nano
    assert waited.end_time_unix_nano <= first.end_time_unix_nano


@pytest.mark.parametrize(
    ("target", "fields", "name", "said"),
    [
        ("/secure/x", (), "GET /secure/**", {"http.response.status_code": 401, "error.type": "no_credential"}),
        ("/none", (), "GET", {"http.response.status_code": 404, "error.type": "no_route"}),
    ],
)
async def test_a_refusal_is_a_span_with_its_code(
    site: Site, target: str, fields: tuple[bytes, ...], name: str, said: dict[str, Any]
) -> None:
    """Nothing was sent on, so there is no other; and it is the caller's error, not ours."""
    collector = await collecting(site)
    _, client = await traced(site, collector)
    await client.ask(target, *fields)
    (server,) = await collector.got(1)
    assert (server.kind, server.name, server.status.code) == (SERVER, name, Status.STATUS_CODE_UNSET)
    assert values(server.attributes).items() >= said.items()


async def test_an_upstream_that_is_not_there_is_an_error_of_both(site: Site) -> None:
    """The attempt is a span as well, without an answer."""
    collector = await collecting(site)
    _, client = await traced(site, collector, "http://127.0.0.1:9")
    assert (await client.ask()).status == 502
    spans = await collector.got(2)
    server, onward = of(spans, SERVER), of(spans, CLIENT)
    assert [span.status.code for span in (server, onward)] == [Status.STATUS_CODE_ERROR] * 2
    assert values(server.attributes)["error.type"] == "upstream_unreachable"
    assert values(onward.attributes) == {
        "http.request.method": "GET", "gateway.upstream": "u", "error.type": "upstream_unreachable",
    }  # fmt: skip
    assert list(onward.events) == []


async def test_a_request_that_a_limit_kept_back_is_one_span(site: Site) -> None:
    """It was never sent, so there is no attempt to show."""
    site.expected_errors = True
    collector, release = await collecting(site), asyncio.Event()

    async def held(line: Line) -> None:
        await line.request()
        await release.wait()
        line.send(OK)

    upstream = await site.upstream(held)
    running, client = await traced(site, collector, upstream, upstream={"limits": {"requests": 1}})
    first = await site.client(running)
    asked = asyncio.create_task(first.ask())
    await upstream.got()
    assert (await client.ask()).code == "upstream_busy"
    (server,) = await collector.got(1)
    assert (server.kind, values(server.attributes)["error.type"]) == (SERVER, "upstream_busy")
    release.set()
    assert (await asked).status == 200


async def test_an_unknown_method_is_no_name(site: Site) -> None:
    """A client could make a name for each request."""
    collector = await collecting(site)
    _, client = await traced(site, collector)
    await client.ask("/none", method="PURGE")
    (server,) = await collector.got(1)
    assert (server.name, values(server.attributes)["http.request.method"]) == ("HTTP", "_OTHER")


async def test_our_own_endpoint_is_one_span_without_its_path(site: Site) -> None:
    """It may hold a token. What our own application got is the very span."""
    collector = await collecting(site)
    _, client = await traced(site, collector)
    assert (await client.ask("/.well-known/jwks.json", SENT)).status == 200
    (server,) = await collector.got(1)
    said = values(server.attributes)
    assert ("url.path" in said, said["http.route"]) == (False, "/.well-known/jwks.json")


async def test_a_decision_is_the_span_that_the_data_plane_was_told(site: Site) -> None:
    """So that what it forwards is below it; the route is the one that it asked about."""
    collector = await collecting(site)
    _, client = await traced(site, collector, decide={"peers": ["127.0.0.0/8"]})
    said = (b"X-Original-Method: GET", b"X-Original-URI: /public/x", SENT)
    answer = await client.ask("/_gateway/decide/nginx", *said)
    (server,) = await collector.got(1)
    assert answer.one(b"traceparent").decode() == f"00-{TRACE}-{server.span_id.hex()}-01"
    assert (server.parent_span_id.hex(), server.name) == (PARENT, "GET /public/**")
    assert values(server.attributes)["url.path"] == "/public/x"


async def test_a_decision_that_had_to_wait_has_its_span(site: Site) -> None:
    """As an exchange has."""
    collector = await collecting(site)
    running, client = await traced(site, collector, decide={"peers": ["127.0.0.0/8"]})
    said = (b"X-Original-Method: GET", b"X-Original-URI: /secure/x", running.people.ada.field)
    assert (await client.ask("/_gateway/decide/nginx", *said)).status == 200
    spans = await collector.got(2)
    server, waited = of(spans, SERVER), of(spans, INTERNAL)
    assert waited.parent_span_id == server.span_id
    assert server.start_time_unix_nano <= waited.start_time_unix_nano < waited.end_time_unix_nano


@pytest.mark.parametrize(
    ("proxies", "flag", "count"),
    [([], b"01", 0), (["127.0.0.0/8"], b"01", 2), (["127.0.0.0/8"], b"00", 0)],
)
async def test_whose_word_counts_on_what_is_recorded(site: Site, proxies: list[str], flag: bytes, count: int) -> None:
    """A stranger forces nothing; a trusted proxy decides, both ways."""
    collector = await collecting(site)
    sample = 1 if flag == b"00" else 0
    running, client = await traced(site, collector, listen={"trusted_proxies": proxies}, tracing={"sample": sample})
    await client.ask("/public/x", SENT[:-2] + flag)
    await running.stop()  # which sends what there is
    assert len(collector.spans) == count


async def test_no_secret_is_in_a_span(site: Site) -> None:
    """Whatever carries it: header, cookie, query, the path of our own endpoint, or a body."""
    collector = await collecting(site)
    running, client = await traced(site, collector, login={"mycelium": {}})
    fields = (b"Authorization: Bearer s3cret-token", b"Cookie: session=s3cret", b"X-Api-Key: s3cret")
    await client.ask("/public/x?key=s3cret", *fields, b"tracestate: a=1", method="POST", body=b"s3cret")
    await client.ask("/secure/x?key=s3cret", *fields)
    await client.ask("/secure/x", b"x-mycelium-connection-string: s3cret")
    await client.ask("/_adm/s3cret?s3cret", *fields)
    ada = running.people.ada.field
    await client.ask("/secure/x", ada)
    await running.stop()
    assert len(collector.spans) >= 7
    sent = b"".join(collector.bodies)
    assert b"s3cret" not in sent.replace(b"/_adm/s3cret", b"")  # no endpoint of ours: nobody put a secret there
    assert ada.partition(b": ")[2].split(b" ")[-1] not in sent


async def test_a_reload_changes_the_collector(site: Site) -> None:
    """What was recorded before still goes to the old one; then to the new one; then nowhere."""
    first, second, upstream = await collecting(site), await collecting(site), await site.upstream()
    running, client = await traced(site, first, upstream)
    await client.ask("/public/first")
    running.write(site.said(upstream, tracing={"otlp": second.url}))
    assert await running.gateway.reload() == []
    await client.ask("/public/second")
    await first.got(2)
    spans = await second.got(2)
    assert values(of(spans, SERVER).attributes)["url.path"] == "/public/second"
    running.write(site.said(upstream))
    assert await running.gateway.reload() == []
    await client.ask("/public/third")
    await running.stop()
    assert (len(first.spans), len(second.spans)) == (2, 2)
    assert b'gateway_spans_total{outcome="exported"} 2.0' in running.gateway.metrics()


async def test_a_burst_is_sent_in_few_requests(site: Site) -> None:
    """And none is lost."""
    collector = await collecting(site)
    running, client = await traced(site, collector)
    for _ in range(300):
        await client.ask()
    await running.stop()
    assert len(collector.spans) == 600
    assert len(collector.requests) < 30
    assert b'gateway_spans_total{outcome="exported"} 300.0' in running.gateway.metrics()
