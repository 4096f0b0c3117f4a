"""`upstreams:` as the operator writes it: forms, defaults, and every fault at its place."""

import pytest

from gateway.settings.upstream import By

from .conftest import Faults, Load


def upstream(rest: str, endpoints: str = "[http://a]") -> str:
    return f"upstreams: {{ u: {{ endpoints: {endpoints}, {rest} }} }}"


def test_an_endpoint_is_a_url_or_a_mapping(loaded: Load) -> None:
    """A plain one weighs 1."""
    got = loaded(upstream("pool: 1", "[http://a, { url: http://b, weight: 5 }]")).settings.upstreams["u"]
    assert [(str(server), server.weight) for server in got.endpoints] == [("http://a:80", 1), ("http://b:80", 5)]


@pytest.mark.parametrize(
    ("url", "named"),
    [("http://orders", True), ("http://10.0.0.1", False), ("http://[::1]", False), ("http://localhost", False)],
)
def test_names_are_looked_up(loaded: Load, url: str, named: bool) -> None:
    """Addresses are not, nor is localhost."""
    (server,) = loaded(upstream("pool: 1", f"['{url}']")).settings.upstreams["u"].endpoints
    assert server.named is named


def test_what_nobody_wrote_is_off(loaded: Load) -> None:
    """But for what was always so: an idle connection that is closed, and connects to others."""
    got = loaded(upstream("pool: 1")).settings.upstreams["u"]
    assert (got.health, got.outlier, got.limits, got.sticky, got.slow_start, got.hash) == (None,) * 6
    assert (got.retries.attempts, got.retries.on, got.retries.budget, got.resolve) == (1, ("connect", "idle"), 0.2, 30)


@pytest.mark.parametrize(
    ("said", "status"), [("200-399", (200, 399)), ("204", (204, 204)), ("'204'", (204, 204)), ("599", (599, 599))]
)
def test_statuses_are_a_range_or_one(loaded: Load, said: str, status: tuple[int, int]) -> None:
    """One may be written as a number."""
    got = loaded(upstream(f"health: {{ path: /h, status: {said} }}")).settings.upstreams["u"].health
    assert got is not None
    assert got.status == status


def test_a_hash_may_be_of_a_header(loaded: Load) -> None:
    """Its name in lower case."""
    got = loaded(upstream("balance: hash, hash: { by: { header: X-Shard } }")).settings.upstreams["u"].hash
    assert got is not None
    assert got.by == By(header="x-shard")


def test_reasons_are_words_and_statuses(loaded: Load) -> None:
    """`on` is a word like any other in YAML 1.2."""
    got = loaded(upstream("retries: { on: [reset, 503] }")).settings.upstreams["u"].retries
    assert got.on == ("reset", 503)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (upstream("pool: 1", "[{ url: http://a, weight: ^0 }]"), "wrong_value", "greater than or equal to 1"),
        (upstream("pool: 1", "[{ url: http://a, weight: ^1001 }]"), "wrong_value", "less than or equal to 1000"),
        (upstream("pool: 1", "[^ftp://a]"), "wrong_value", "starts with https:// or http://"),
        (upstream("pool: 1", "[{ url: ^ftp://a }]"), "wrong_value", "starts with https:// or http://"),
        (upstream("pool: 1", "[{ url: http://a, ^wieght: 1 }]"), "unknown_key", "did you mean 'weight'?"),
        (upstream("pool: 1", "[^{ weight: 1 }]"), "missing_key", "'url' is needed here"),
        (upstream("balance: ^random"), "wrong_value", "round_robin, least, p2c, hash"),
        ("upstreams: { u: ^{ endpoints: [http://a], balance: hash } }", "wrong_value", "hash: { by: grant }"),
        (upstream("hash: ^{ by: path }"), "wrong_value", "only looked at with balance: hash"),
        (upstream("balance: hash, hash: { by: ^cookie }"), "wrong_value", "{ header: NAME }"),
        (upstream("balance: hash, hash: { by: { header: ^Authorization } }"), "wrong_value", "another meaning"),
        (upstream("balance: hash, hash: { by: { header: ^x-mycelium-email } }"), "wrong_value", "another meaning"),
        (upstream("sticky: ^cookie"), "wrong_value", "grant"),
        (upstream("health: { path: /h, ^pth: /h }"), "unknown_key", "did you mean 'path'?"),
        (upstream("^health: { interval: 5s }"), "missing_key", "'path' is needed here"),
        (upstream("health: { path: ^health }"), "wrong_value", "a path such as /health"),
        (upstream("health: { path: ^/a b }"), "wrong_value", "a path such as /health"),
        (upstream("health: { path: /h, interval: ^99ms }"), "wrong_value", "from 100ms to 1h"),
        (upstream("health: { path: /h, timeout: ^9ms }"), "wrong_value", "from 10ms to 5m"),
        (upstream("health: { path: /h, healthy: ^0 }"), "wrong_value", "greater than or equal to 1"),
        (upstream("health: { path: /h, status: ^399-200 }"), "wrong_value", "range of statuses"),
        (upstream("health: { path: /h, status: ^199 }"), "wrong_value", "range of statuses"),
        (upstream("health: { path: /h, status: ^200-600 }"), "wrong_value", "range of statuses"),
        (upstream("outlier: { at_most: ^101% }"), "wrong_value", "from 0% to 100%"),
        (upstream("outlier: { at_most: ^0.5 }"), "wrong_type", "must be text"),
        (upstream("outlier: { eject: ^9ms }"), "wrong_value", "from 10ms to 1h"),
        (upstream("limits: { connections: ^0 }"), "wrong_value", "greater than or equal to 1"),
        (upstream("retries: { attempts: ^11 }"), "wrong_value", "less than or equal to 10"),
        (upstream("retries: { on: [^timeout] }"), "wrong_value", "connect, idle, reset, 502, 503 or 504"),
        (upstream("retries: { on: [^500] }"), "wrong_value", "connect, idle, reset, 502, 503 or 504"),
        (upstream("slow_start: ^99ms"), "wrong_value", "from 100ms to 1h"),
        (upstream("resolve: ^999ms"), "wrong_value", "from 1s to 24h"),
        (upstream("tls: ^{ verify: true }", "[{ url: http://a }]"), "wrong_value", "no endpoint is https://"),
    ],
)
def test_a_fault_is_told_at_its_place(faults: Faults, text: str, code: str, message: str) -> None:
    """With what to write instead."""
    place = text.index("^") + 1
    (fault,) = faults(text.replace("^", "", 1))
    assert (fault.column, fault.code) == (place, code)
    assert message in fault.message
