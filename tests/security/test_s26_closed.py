"""S-26, S-25 on the data plane: it fails closed, and what is withdrawn is over."""

import asyncio
import dataclasses
from collections.abc import Awaitable

import pytest
from harness.client import request
from harness.people import revoke
from harness.site import Running, Site
from harness.upstream import Line, Upstream

from gateway.access.authenticate import Verified
from gateway.access.inject import Injected
from gateway.errors import DependencyFailed, RequestRejected
from gateway.pipeline import Pipeline
from gateway.routes.table import Table
from gateway.wire.credentials import Presented


class Faulty:
    """A gate that breaks at one of its two calls, and is the real one at the other."""

    def __init__(self, gate: object, recall: BaseException | None, verify: BaseException | None) -> None:
        self._gate = gate
        self._faults = recall, verify
        self.hits = 0

    def recall(self, presented: Presented, now: float) -> Verified | RequestRejected | None:
        if self._faults[0] is not None:
            raise self._faults[0]
        return None

    def verify(self, presented: Presented, now: float) -> Awaitable[Verified]:
        return self._verify(presented, now)

    async def _verify(self, presented: Presented, now: float) -> Verified:
        await asyncio.sleep(0)
        if self._faults[1] is not None:
            raise self._faults[1]
        verified: Verified = await self._gate.verify(presented, now)  # type: ignore[attr-defined]
        return verified


class NoProfile:
    """Cannot say who the caller is."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def lines(self, *_: object) -> Injected:
        raise self._error


class Unset:
    """An account that cannot be looked at."""

    def __getattr__(self, name: str) -> object:
        raise ZeroDivisionError(name)


def exchange_parts(running: Running, gate: object = None, injector: object = None) -> None:
    """Puts a pipeline with these parts in the place of the running one, through its constructor."""
    generation = running.gateway.edge.generation
    routes = [route for route in generation.lanes if not route.builtin]
    real = running.gateway.core
    pipeline = Pipeline(
        Table(routes),
        Table([]),
        frozenset(),
        gate or real.authenticator,  # type: ignore[arg-type]
        injector or NoProfile(AssertionError("not to be reached")),  # type: ignore[arg-type]
    )
    running.gateway.edge.generation = dataclasses.replace(generation, pipeline=pipeline)


async def _refused(site: Site, upstream: Upstream, running: Running) -> int:
    """The status; nothing has reached the upstream, and the connection goes on."""
    client = await site.client(running)
    answer = await asyncio.wait_for(client.ask("/secure/x", running.people.ada.field), 10)
    assert not upstream.lines
    assert (await client.ask("/nowhere")).status == 404
    return answer.status


FAULTS = [
    (ZeroDivisionError("a mistake of ours"), 500),
    (DependencyFailed("store_unavailable", retry_after=1), 503),
    (DependencyFailed("keys_unavailable", retry_after=1), 503),
    (RequestRejected("invalid_credential"), 401),
    (MemoryError(), 500),
    (TimeoutError(), 500),
]
IDS = [f"{type(error).__name__}-{status}" for error, status in FAULTS]


@pytest.mark.parametrize(("error", "status"), FAULTS, ids=IDS)
@pytest.mark.parametrize("where", ["recall", "verify"])
async def test_s26_a_fault_in_authentication_lets_nobody_through(
    site: Site, error: Exception, status: int, where: str
) -> None:
    """At either of its calls."""
    site.expected_errors = True
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    faults = {where: error, "verify" if where == "recall" else "recall": None}
    exchange_parts(running, Faulty(running.gateway.core.authenticator, faults["recall"], faults["verify"]))
    assert await _refused(site, upstream, running) == status


@pytest.mark.parametrize(
    ("error", "status"), [(ZeroDivisionError(), 500), (DependencyFailed("profile_too_large"), 502)], ids=["500", "502"]
)
@pytest.mark.parametrize("cold", [True, False])
async def test_s26_a_fault_in_the_profile_lets_nobody_through(
    site: Site, error: Exception, status: int, cold: bool
) -> None:
    """Whether the credential had to be verified or was remembered."""
    site.expected_errors = True
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    if not cold:
        first = await site.client(running)
        assert (await first.ask("/secure/x", running.people.ada.field)).status == 200
        upstream.lines.clear()
    exchange_parts(running, injector=NoProfile(error))
    assert await _refused(site, upstream, running) == status


@pytest.mark.parametrize("part", ["account", "until"])
async def test_s26_a_fault_in_authorization_lets_nobody_through(site: Site, part: str) -> None:
    """The caller that was found cannot be judged."""
    site.expected_errors = True
    upstream = await site.upstream()
    running = await site.gateway(upstream)

    class Odd(Faulty):
        async def _verify(self, presented: Presented, now: float) -> Verified:
            return Verified(Unset(), now, now + 10)  # type: ignore[arg-type]

    exchange_parts(running, Odd(None, None, None))
    assert await _refused(site, upstream, running) == 500


async def test_s26_a_check_that_is_cancelled_lets_nobody_through(site: Site) -> None:
    """An answer, or a closed connection; nothing goes on."""
    site.expected_errors = True
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    exchange_parts(running, Faulty(None, None, asyncio.CancelledError()))
    client = await site.client(running)
    await client.send(request("/secure/x", running.people.ada.field))
    try:
        status = (await asyncio.wait_for(client.answer(), 10)).status
    except asyncio.IncompleteReadError:
        status = 500
    assert status >= 500
    assert not upstream.lines


async def test_s25_a_revoked_credential_is_soon_refused(site: Site) -> None:
    """On the very connection that it was good on, although it was remembered there: before it would be forgotten. How
    soon is measured by `python -m bench.soak`.
    """
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    people = running.people
    assert (await client.ask("/secure/x", people.ada.field)).status == 200
    await revoke(people, people.ada.grant_id)
    async with asyncio.timeout(20):
        while (await client.ask("/secure/x", people.ada.field)).status == 200:
            pass
    answer = await client.ask("/secure/x", people.ada.field)
    assert (answer.status, answer.code) == (401, "revoked_credential")
    assert (await client.ask("/secure/x", people.bob.field)).status == 200


async def test_s25_an_expired_credential_is_refused_at_once(site: Site) -> None:
    """Whatever was remembered."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    assert (await client.ask("/secure/x", running.people.ada.field)).status == 200
    running.hand.ahead = 86_401
    answer = await client.ask("/secure/x", running.people.ada.field)
    assert (answer.status, answer.code) == (401, "expired_credential")


async def test_s25_an_event_stream_ends_with_its_credential(site: Site) -> None:
    """An answer without a declared end is cut: it could go on for ever."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n")
        await line.gone()

    upstream = await site.upstream(script)
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.send(request("/secure/x", running.people.ada.field))
    await client.head()
    assert await client.exactly(10) == b"5\r\nevent\r\n"
    await revoke(running.people, running.people.ada.grant_id)
    assert await asyncio.wait_for(client.rest(), 20) == b""
    await asyncio.wait_for(upstream.lines[0].ended.wait(), 20)
