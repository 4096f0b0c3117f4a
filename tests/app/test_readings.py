"""Readiness and an issuer's keys: not ready until they have been asked for once, ready without them after that."""

import asyncio

from harness.site import Site
from harness.upstream import OK, Line

NO = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


async def test_a_gateway_is_not_ready_before_the_first_fetch_of_keys_has_ended(site: Site) -> None:
    """Another copy may have them; afterwards an issuer's outage is not the gateway's."""
    gate = asyncio.Event()

    async def slow(line: Line) -> None:
        await line.head()
        await gate.wait()
        line.send(NO)

    keys = await site.upstream(slow)
    issuer = {
        "name": "acme",
        "issuer": "https://id.example",
        "jwks_url": f"{keys.url}/jwks",
        "audiences": ["gateway"],
        "algorithms": ["RS256"],
    }
    gateway = (await site.gateway(await site.upstream(), issuers=[issuer])).gateway
    before = await gateway.readiness()
    gate.set()
    await gateway.core.jwks.refresh()  # shares the fetch under way
    after = await gateway.readiness()
    assert (before.reasons, before.warnings) == (("keys_pending: acme",), ())
    assert (after.reasons, after.warnings) == ((), ("keys_unavailable: acme",))


async def test_a_gateway_that_reads_no_revocations_is_not_ready(site: Site) -> None:
    """It would let a revoked caller in that every other copy refuses."""
    gateway = (await site.gateway(await site.upstream())).gateway
    await gateway.poll.aclose()
    assert (await gateway.readiness()).reasons == ("revocations_unread",)


async def test_what_becomes_of_credentials_is_counted(site: Site) -> None:
    """By reason code: a flood of wrong ones shows, whatever routes it goes to."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    await client.ask("/auth/x", running.people.ada.field)
    await client.ask("/auth/x", b"Authorization: Bearer nobody")
    lines = (await asyncio.to_thread(running.gateway.metrics)).decode().splitlines()  # as the admin listener does
    assert 'gateway_credential_outcomes_total{code="verified"} 1.0' in lines
    assert 'gateway_credential_outcomes_total{code="invalid_credential"} 1.0' in lines
    assert "gateway_credential_cache_refusals 1.0" in lines


async def test_what_an_upstream_is_spared_is_counted(site: Site) -> None:
    """What is under way, what a limit refused, and what was looked up: by configured names alone."""
    release = asyncio.Event()

    async def held(line: Line) -> None:
        await line.request()
        await release.wait()
        line.send(OK)

    upstream = await site.upstream(held)
    running = await site.gateway(upstream, upstream={"limits": {"requests": 1}})
    first, second = await site.client(running), await site.client(running)
    asked = asyncio.create_task(first.ask())
    await upstream.got()
    assert (await second.ask()).code == "upstream_busy"
    lines = (await asyncio.to_thread(running.gateway.metrics)).decode().splitlines()
    assert 'gateway_upstream_outstanding{upstream="u"} 1.0' in lines
    assert 'gateway_upstream_busy_total{limit="requests",upstream="u"} 1.0' in lines
    assert 'gateway_upstream_retries_refused_total{upstream="u"} 0.0' in lines
    assert 'gateway_upstream_lookups_total{outcome="failed",upstream="u"} 0.0' in lines
    assert not [line for line in lines if f":{upstream.port}" in line]
    release.set()
    assert (await asked).status == 200
