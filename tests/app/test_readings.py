"""Readiness and an issuer's keys: not ready until they have been asked for once, ready without them after that."""

import asyncio

import pytest
from harness.client import request
from harness.site import Running, Site, until
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
    """What is under way, what a limit refused, and what was looked up: by configured names alone. A refusal of ours is
    no request that the upstream failed, nor one that it had."""
    site.expected_errors = True
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
    assert 'gateway_upstream_in_flight{upstream="u"} 1.0' in lines
    assert 'gateway_upstream_busy_total{limit="requests",upstream="u"} 1.0' in lines
    assert not [line for line in lines if line.startswith(("gateway_upstream_errors_total{", "gateway_upstream_req"))]
    assert [(event, fields["code"]) for _, event, fields in running.log.errors] == [("requests fail", "upstream_busy")]
    assert 'gateway_upstream_retries_refused_total{upstream="u"} 0.0' in lines
    assert 'gateway_upstream_lookups_total{outcome="failed",upstream="u"} 0.0' in lines
    assert not [line for line in lines if f":{upstream.port}" in line]
    release.set()
    assert (await asked).status == 200


async def test_a_reload_counts_on(site: Site) -> None:
    """A counter that begins again at zero looks like a restart, and one that is gone like nothing at all."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    for field in (running.people.ada.field, running.people.ada.field, b"Authorization: Bearer nobody"):
        await client.ask("/auth/x", field)
    names = ("gateway_credential_", "gateway_upstream_", "gateway_requests_", "gateway_profiles_", "gateway_store_seco")

    async def counted() -> dict[str, float]:
        text = (await asyncio.to_thread(running.gateway.metrics)).decode()
        rows = [line.rpartition(" ") for line in text.splitlines() if line.startswith(names)]
        return {row: float(value) for row, _, value in rows if "_total" in row or "_count" in row}

    before = await counted()
    assert await running.gateway.reload() == []
    after = await counted()
    assert before["gateway_upstream_connects_total" + '{outcome="made",upstream="u"}'] == 1
    assert [row for row, value in before.items() if after.get(row, -1.0) < value] == []


async def test_a_reload_that_is_refused_is_told_until_one_is_accepted(site: Site) -> None:
    """And when the last one was accepted."""
    site.expected_errors = True
    running = await site.gateway(await site.upstream())
    good = running.config.read_text()
    name = "gateway_config_last_reload_success"

    async def told() -> tuple[float, float]:
        lines = (await asyncio.to_thread(running.gateway.metrics)).decode().splitlines()
        ok, at = (
            next(line for line in lines if line.startswith(f"{name}{end} ")) for end in ("ful", "_timestamp_seconds")
        )
        return float(ok.split(" ")[1]), float(at.split(" ")[1])

    started = await told()
    running.hand.ahead = 60.0
    running.config.write_text("{")
    assert await running.gateway.reload()
    refused = await told()
    running.config.write_text(good)
    assert not await running.gateway.reload()
    accepted = await told()
    assert [ok for ok, _ in (started, refused, accepted)] == [1.0, 0.0, 1.0]
    assert started[1] == refused[1] <= accepted[1] - 59


async def upstream_rows(running: Running) -> dict[str, float]:
    """What is counted of upstream `u`: requests by status, errors by reason, times to a first byte."""
    text = (await asyncio.to_thread(running.gateway.metrics)).decode()
    names = ("gateway_upstream_requests_total", "gateway_upstream_errors_total", "gateway_upstream_seconds_count")
    found = [line.rpartition(" ") for line in text.splitlines() if line.startswith(names)]
    return {
        row.replace("gateway_upstream_", "").replace('upstream="u"', "").replace(",}", "}"): float(value)
        for row, _, value in found
        if 'upstream="u"' in row
    }


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("/public/fine", {'requests_total{status="2xx"}': 1, "seconds_count{}": 1}),
        ("/public/wrong", {'requests_total{status="5xx"}': 1, "seconds_count{}": 1}),
        (
            "/public/nonsense",
            {
                'requests_total{status="none"}': 1,
                'errors_total{reason="upstream_bad_answer"}': 1,
                "seconds_count{}": 0,
            },
        ),
        ("/auth/refused", {}),
        ("/nowhere", {}),
    ],
)
async def test_what_an_upstream_was_asked_is_counted(site: Site, path: str, rows: dict[str, float]) -> None:
    """By what it answered; a request that never got there is not its own."""
    answers = {
        b"/public/fine": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"/public/wrong": NO,
        b"/public/nonsense": b"nonsense\r\n\r\n",
    }

    async def script(line: Line) -> None:
        while True:
            line.send(answers[(await line.request()).target])

    running = await site.gateway(await site.upstream(script))
    await (await site.client(running)).ask(path)
    assert await upstream_rows(running) == rows


async def test_an_upstream_that_is_not_there_is_an_error_of_its_own(site: Site) -> None:
    """Nothing was sent, and all the same it was what failed."""
    running = await site.gateway("http://127.0.0.1:1")
    await (await site.client(running)).ask("/public/x")
    assert await upstream_rows(running) == {
        'requests_total{status="none"}': 1,
        'errors_total{reason="upstream_unreachable"}': 1,
        "seconds_count{}": 0,
    }


async def test_a_client_that_goes_is_no_error_of_the_upstream(site: Site) -> None:
    """It was asked, and nobody knows what it would have said."""
    asked = asyncio.Event()

    async def silent(line: Line) -> None:
        await line.request()
        asked.set()
        await line.gone()

    running = await site.gateway(await site.upstream(silent))
    client = await site.client(running)
    await client.send(request("/public/x"))
    await asked.wait()
    client.reset()
    await until(lambda: not running.gateway.edge.clients)
    assert await upstream_rows(running) == {'requests_total{status="none"}': 1, "seconds_count{}": 0}


async def test_cold_decisions_are_timed_and_warm_ones_are_not(site: Site) -> None:
    """The first request waits for the store, the second for nothing."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    for _ in range(3):
        await client.ask("/auth/x", running.people.ada.field)
    text = (await asyncio.to_thread(running.gateway.metrics)).decode()
    assert "\ngateway_authentication_seconds_count 1.0\n" in text


async def test_readiness_warns_of_a_reload_that_was_refused_until_one_is_accepted(site: Site) -> None:
    """Ready all the same: what runs is whole."""
    site.expected_errors = True
    running = await site.gateway(await site.upstream())
    good = running.config.read_text()
    running.config.write_text("{")
    assert await running.gateway.reload()
    refused = await running.gateway.readiness()
    running.config.write_text(good)
    assert not await running.gateway.reload()
    accepted = await running.gateway.readiness()
    assert (refused.reasons, refused.warnings, accepted.warnings) == ((), ("configuration_refused",), ())
