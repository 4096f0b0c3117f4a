"""S-26: a mistake in any step between the head and the upstream is a 500, and nothing goes on."""

from typing import Any, Final, NoReturn

import pytest
from harness.client import request
from harness.site import Running, Site, until
from harness.upstream import Upstream

from gateway import pipeline

from .grounds import status

if not pipeline.__file__.endswith(".py"):
    # The same source is tested where it is interpreted.
    pytest.skip("in what is compiled nothing can be replaced", allow_module_level=True)

APP: Final = "https://app.example.org"
ROUTE: Final = {
    "path": "/secure/**",
    "methods": ["GET"],
    "access": "protected",
    "cors": {"origins": [APP], "credentials": True},
    "limits": {"concurrency": 100, "rate": [{"by": "account", "at_most": 10_000, "in": "60s"}]},
}

# What each request comes by, where it is looked up.
STEPS: Final = {
    "look-up of the route": "gateway.routes.table.Table.match",
    "limits, before the caller is known": "gateway.edge.quota.Limits.enter",
    "limits, when the caller is known": "gateway.edge.quota.Ticket.admit",
    "cross-origin, refused": "gateway.wire.cors.CrossOrigin.shuts_out",
    "cross-origin, told": "gateway.wire.cors.Cors.lines",
    "credential of the request": "gateway.pipeline.present",
    "what is remembered": "gateway.access.authenticate.Authenticator.recall",
    "policy": "gateway.access.authenticate.authorize",
    "identity headers": "gateway.access.inject.Injector.lines",
    "profile": "gateway.access.profile.ProfileEncoder.encode",
    "assertion": "gateway.access.assertion.Assertions.sign",
    "choice of the endpoint": "gateway.edge.pool.Upstream.next",
    "forwarding lines": "gateway.edge.client.forwarded_fields",
    "head for the upstream": "gateway.edge.exchange.prepare",
}
MISTAKES: Final = {"mistake": ZeroDivisionError, "memory": MemoryError, "value": ValueError}


def broken(monkeypatch: pytest.MonkeyPatch, name: str, kind: type[Exception]) -> list[str]:
    """The step raises from now on. The calls that it got."""
    calls: list[str] = []

    def fails(*_: object, **__: object) -> NoReturn:
        calls.append(name)
        raise kind("a mistake of ours")

    monkeypatch.setattr(name, fails)
    return calls


async def started(site: Site) -> tuple[Running, Upstream]:
    site.expected_errors = True
    upstream = await site.upstream()
    return await site.gateway(upstream, routes=[ROUTE]), upstream


async def asked(site: Site, running: Running, *fields: bytes, **more: Any) -> int:
    question = request("/secure/x", running.people.ada.field, b"Origin: " + APP.encode(), *fields, **more)
    client = await site.client(running)
    await client.send(question)
    return await status(client)


async def nothing_under_way(running: Running) -> None:
    gateway = running.gateway
    pool = gateway.core.upstreams["u"]
    await until(lambda: not any(client.active for client in gateway.edge.clients))
    await until(lambda: not pool.in_flight and not gateway.counts.under_way)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
async def test_s26_no_step_that_fails_lets_a_request_through(site: Site, mistake: str, warm: bool) -> None:
    """Whether the credential was known before or not; and the next request is served."""
    running, upstream = await started(site)
    found = []
    for step, name in STEPS.items():
        running.gateway.core.authenticator.purge_all()
        if warm:
            assert await asked(site, running) == 200
        running.gateway.core.generation.pipeline._open.clear()
        before = len(upstream.requests)
        with pytest.MonkeyPatch.context() as monkeypatch:
            calls = broken(monkeypatch, name, MISTAKES[mistake])
            answer = await asked(site, running)
        await nothing_under_way(running)
        if calls and (answer, len(upstream.requests)) != (500, before):
            found.append(f"{step}: {answer}, {len(upstream.requests) - before} forwarded")
        if not calls and not warm:
            found.append(f"{step}: nobody comes by it")
        if await asked(site, running) != 200:
            found.append(f"{step}: the next request is not served")
    assert found == []


async def test_s26_a_preflight_that_fails_is_not_permitted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it forwarded."""
    running, upstream = await started(site)
    broken(monkeypatch, "gateway.wire.cors.Cors.permission", ZeroDivisionError)
    asking = b"Access-Control-Request-Method: GET"
    assert await asked(site, running, asking, method="OPTIONS") == 500
    assert not upstream.requests


async def test_s26_a_log_that_fails_changes_no_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may not is told so, whoever may is served, on one connection; what could not be read is refused."""
    running, upstream = await started(site)
    calls = broken(monkeypatch, "gateway.ops.access_log.AccessLog.write", ZeroDivisionError)
    client = await site.client(running)
    assert (await client.ask("/secure/x")).status == 401
    assert not upstream.requests
    assert [(await client.ask("/secure/x", running.people.ada.field)).status for _ in range(2)] == [200, 200]
    await client.send(b"no request\r\n\r\n")
    assert (await client.answer()).status == 400
    assert await client.rest() == b""
    await nothing_under_way(running)
    assert len(calls) == len(running.log.errors) == 4
