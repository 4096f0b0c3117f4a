"""Active checks against real servers: what takes an endpoint out, what brings it back, and who is asked how often."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from harness.certificates import Authority
from harness.site import Running, Site, until
from harness.upstream import OK, Line, Script, Upstream

ILL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
CHECK = {"path": "/health?deep=1", "interval": "100ms", "timeout": "5s", "healthy": 2, "unhealthy": 2}


class Patient:
    """Answers checks as `answer` says, and everything else with its name. checks: that came so far."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.answer = OK
        self.checks = 0

    @property
    def script(self) -> Script:
        async def script(line: Line) -> None:
            while True:
                got = await line.request()
                if got.target.startswith(b"/health"):
                    self.checks += 1
                    line.send(self.answer)
                else:
                    line.send(OK.replace(b"ok", self.name))

        return script


def events(running: Running) -> list[tuple[str, object]]:
    return [(event, fields.get("endpoint")) for _, event, fields in running.log.lines if event.startswith("endpoint")]


def out(running: Running) -> list[str]:
    return [endpoint.name for endpoint in running.gateway.core.upstreams["u"].endpoints if endpoint.health.unhealthy]


async def two(site: Site, **check: Any) -> tuple[Running, list[Patient], list[Upstream]]:
    patients = [Patient(b"u1"), Patient(b"u2")]
    upstreams = [await site.upstream(patient.script) for patient in patients]
    said = {"balance": "round_robin", "health": {**CHECK, **check}}
    return await site.gateway(*upstreams, upstream=said), patients, upstreams


async def test_an_endpoint_that_fails_its_checks_gets_no_requests_until_it_passes_them(site: Site) -> None:
    """Each change is told once, whatever the number of checks."""
    running, (first, second), (ill, _) = await two(site)
    client = await site.client(running)
    first.answer = ILL
    await until(lambda: out(running) == [ill.url])
    assert [(await client.ask()).body for _ in range(4)] == [b"u2"] * 4
    seen = first.checks
    await until(lambda: first.checks >= seen + 3)
    first.answer = OK
    await until(lambda: not out(running))
    assert {(await client.ask()).body for _ in range(4)} == {b"u1", b"u2"}
    assert events(running) == [("endpoint unhealthy", ill.url), ("endpoint healthy", ill.url)]
    assert second.checks


async def test_what_a_check_asks_is_what_was_said(site: Site) -> None:
    """GET, the path with its query, the endpoint's Host or the one given, and nothing of a caller."""
    running, _, (first, _) = await two(site, host="orders.example")
    got = await first.got()
    assert (got.method, got.target, got.one(b"host")) == (b"GET", b"/health?deep=1", b"orders.example")
    assert not [name for name in got.names if name.startswith((b"x-mycelium", b"authorization", b"cookie"))]
    assert running.gateway.core.upstreams["u"].live(asyncio.get_running_loop().time()) == 2


@pytest.mark.parametrize(
    ("answer", "status", "passes"),
    [
        (b"HTTP/1.1 399 X\r\ncontent-length: 0\r\n\r\n", "200-399", True),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "302", True),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "200-299", False),
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "200-399", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "204", True),
        (b"HTTP/1.1 205 X\r\ncontent-length: 0\r\n\r\n", "204", False),
        (b"nonsense\r\n\r\n", "200-599", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n" + b"x" * 100_000, "200", True),
    ],
)
async def test_the_status_decides(site: Site, answer: bytes, status: str, passes: bool) -> None:
    """At both ends of the range; redirects are not followed, and a body is not waited for."""
    patient = Patient(b"u1")
    patient.answer = answer
    upstream = await site.upstream(patient.script)
    running = await site.gateway(upstream, upstream={"health": {**CHECK, "status": status}})
    await until(lambda: patient.checks >= 4)
    assert (out(running) == []) is passes


@pytest.mark.parametrize("kind", ["hangs", "refuses", "closes"])
async def test_no_answer_is_a_failed_check(site: Site, kind: str) -> None:
    """In time, that is: one that hangs has failed when its time is over."""

    async def hangs(line: Line) -> None:
        await line.request()
        await line.gone()

    async def closes(line: Line) -> None:
        await line.request()

    upstream = await site.upstream(hangs if kind == "hangs" else closes)
    if kind == "refuses":
        upstream.stop_listening()
    running = await site.gateway(upstream, upstream={"health": {**CHECK, "timeout": "50ms"}})
    await until(lambda: out(running) == [upstream.url])
    assert running.gateway.core.upstreams["u"].ledger.checks["passed"] == 0


async def test_where_all_are_unhealthy_they_are_used(site: Site) -> None:
    """A check that is wrong about all of them must not take the service down with it."""
    running, patients, upstreams = await two(site)
    for patient in patients:
        patient.answer = ILL
    await until(lambda: len(out(running)) == 2)
    client = await site.client(running)
    assert sorted([(await client.ask()).body for _ in range(4)]) == [b"u1", b"u1", b"u2", b"u2"]
    readiness = await running.gateway.readiness()
    assert (readiness.reasons, readiness.warnings) == ((), ("upstream_unreachable: u",))
    assert upstreams


async def test_an_upstream_with_an_endpoint_out_is_degraded(site: Site) -> None:
    """A warning: the others take its requests."""
    running, (first, _), _ = await two(site)
    assert await running.warnings() == ()
    first.answer = ILL
    await until(lambda: out(running))
    readiness = await running.gateway.readiness()
    assert (readiness.reasons, readiness.warnings) == ((), ("upstream_degraded: u",))
    lines = (await asyncio.to_thread(running.gateway.metrics)).decode().splitlines()
    shown = [line for line in lines if line.startswith("gateway_upstream_endpoints{")]
    assert shown == [
        'gateway_upstream_endpoints{state="healthy",upstream="u"} 1.0',
        'gateway_upstream_endpoints{state="unhealthy",upstream="u"} 1.0',
        'gateway_upstream_endpoints{state="ejected",upstream="u"} 0.0',
        'gateway_upstream_endpoints{state="resting",upstream="u"} 0.0',
    ]
    assert [line for line in lines if line.startswith('gateway_upstream_checks_total{outcome="failed",upstream="u"}')]


async def test_an_unhealthy_endpoint_stays_so_over_a_reload(site: Site) -> None:
    """Whatever else of the upstream changes; and it is told only once."""
    running, (first, _), (ill, _) = await two(site)
    first.answer = ILL
    await until(lambda: out(running) == [ill.url])
    said = running.config.read_text()
    running.config.write_text(said.replace('"round_robin"', '"least"'))
    assert await running.gateway.reload() == []
    assert out(running) == [ill.url]
    client = await site.client(running)
    assert [(await client.ask()).body for _ in range(4)] == [b"u2"] * 4
    seen = first.checks
    await until(lambda: first.checks > seen + 2)
    assert events(running) == [("endpoint unhealthy", ill.url)]


async def test_two_generations_do_not_check_twice(site: Site) -> None:
    """An exchange holds the old one; the checks of an endpoint never overlap, and go on in the rhythm that they had."""
    release, under_way, most = asyncio.Event(), 0, 0

    async def script(line: Line) -> None:
        nonlocal under_way, most
        while True:
            got = await line.request()
            if got.target.startswith(b"/health"):
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.05)
                under_way -= 1
            else:
                await release.wait()
            line.send(OK)

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, upstream={"health": CHECK})
    client = await site.client(running)
    held = asyncio.create_task(client.ask())
    await until(lambda: any(got.target == b"/public/x" for got in upstream.requests))
    for _ in range(3):
        assert await running.gateway.reload() == []
    seen = len(upstream.requests)
    await until(lambda: len(upstream.requests) >= seen + 5)
    assert most == 1
    assert len([task for task in asyncio.all_tasks() if "HealthChecks" in str(task.get_coro())]) == 1
    release.set()
    assert (await held).status == 200


@pytest.mark.parametrize("keep", ["health", "endpoint"])
async def test_what_is_not_configured_any_more_is_not_checked(site: Site, keep: str) -> None:
    """And an endpoint that nobody would find well again is in use."""
    running, (first, _), upstreams = await two(site)
    first.answer = ILL
    await until(lambda: out(running))
    left = upstreams if keep == "endpoint" else upstreams[1:]
    said = {"balance": "round_robin", **({"health": CHECK} if keep == "health" else {})}
    config = site.said(*left, upstream=said)
    config["upstreams"]["u"]["endpoints"] = [upstream.url for upstream in left]
    running.write(config)
    assert await running.gateway.reload() == []
    assert out(running) == []
    seen = first.checks
    second_seen = len(upstreams[1].requests)
    if keep == "health":
        await until(lambda: len(upstreams[1].requests) >= second_seen + 4)
    else:
        assert {(await (await site.client(running)).ask()).body for _ in range(4)} == {b"u1", b"u2"}
    assert first.checks <= seen + 1  # one may have been on its way


async def test_checks_speak_tls_as_the_upstream_does(site: Site, tmp_path: Path) -> None:
    """By its authority, and with the name of the endpoint."""
    authority = Authority(tmp_path)
    patient = Patient(b"u1")
    upstream = await site.upstream(patient.script, tls=authority.server("127.0.0.1"))
    trusted = await site.gateway(upstream, upstream={"health": CHECK, "tls": {"ca": str(authority.ca)}})
    await until(lambda: patient.checks >= 2)
    assert out(trusted) == []
    wary = await site.gateway(upstream, upstream={"health": CHECK})
    await until(lambda: out(wary) == [upstream.url])
    ((_, _, fields),) = [line for line in wary.log.lines if line[1] == "endpoint unhealthy"]
    assert fields["why"] == "The TLS handshake of the check failed."


async def test_checks_outlive_what_nobody_foresaw(site: Site) -> None:
    """A log whose disk is full, say. It is told once, and the endpoint is still found ill and well."""
    site.expected_errors = True
    running, (first, _), (ill, _) = await two(site)
    told, broken = running.log.warning, True

    def warning(event: str, **fields: object) -> None:
        if broken:
            raise OSError(28, "No space left on device")
        told(event, **fields)

    running.log.warning = warning  # type: ignore[method-assign]
    first.answer = ILL
    await until(lambda: running.log.errors)
    seen = first.checks
    await until(lambda: first.checks >= seen + 3)
    assert [event for _, event, _ in running.log.errors] == ["health checks fail"]
    assert out(running) == [ill.url]
    broken = False
    first.answer = OK
    await until(lambda: not out(running))
