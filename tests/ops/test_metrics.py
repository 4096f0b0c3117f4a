"""Metrics: what is counted, and what the exposition makes of it."""

import os
import time

import pytest

from gateway.ops.metrics import BOUNDS, DISTRIBUTIONS, READINGS, Labels, Metrics, label_names, process

ALWAYS = ("process_", *(name for name, _ in DISTRIBUTIONS))  # what each exposition has


def lines(metrics: Metrics) -> list[str]:
    """But for what there always is."""
    shown = metrics.render().decode().splitlines()
    return [line for line in shown if not line.startswith(("#", *ALWAYS))]


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (200, None, 'gateway_requests_total{reason="",route="/a/**",status="2xx"} 1.0'),
        (404, None, 'gateway_requests_total{reason="",route="/a/**",status="4xx"} 1.0'),
        (401, "no_credential", 'gateway_requests_total{reason="no_credential",route="/a/**",status="4xx"} 1.0'),
        (503, "draining", 'gateway_requests_total{reason="draining",route="/a/**",status="5xx"} 1.0'),
        (101, None, 'gateway_requests_total{reason="",route="/a/**",status="1xx"} 1.0'),
        (999, None, 'gateway_requests_total{reason="",route="/a/**",status="9xx"} 1.0'),
        (0, "client_gone", 'gateway_requests_total{reason="client_gone",route="/a/**",status="none"} 1.0'),
    ],
)  # fmt: skip
def test_an_exchange_is_counted_by_route_class_and_reason(status: int, reason: str | None, expected: str) -> None:
    """An upstream may send any three digits; no answer at all is a class of its own."""
    metrics = Metrics()
    metrics.route("/a/**").observe(status, reason, 0.001)
    assert expected in lines(metrics)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize(("over", "count"), [(0.0, "1.0"), (0.00001, "0.0")])
def test_a_bucket_holds_what_is_not_above_its_bound(bound: float, over: float, count: str) -> None:
    """Prometheus' `le`: both sides of every bound."""
    metrics = Metrics()
    metrics.route("/a").observe(200, None, bound + over)
    assert f'gateway_request_seconds_bucket{{le="{bound}",route="/a"}} {count}' in lines(metrics)


def test_the_histogram_is_cumulative_with_sum_and_count() -> None:
    """The last bucket, the count and the sum agree."""
    metrics = Metrics()
    for seconds in (0.25, 0.5, 100.0):
        metrics.route("/a").observe(200, None, seconds)
    assert {
        'gateway_request_seconds_bucket{le="0.5",route="/a"} 2.0',
        'gateway_request_seconds_bucket{le="60.0",route="/a"} 2.0',
        'gateway_request_seconds_bucket{le="+Inf",route="/a"} 3.0',
        'gateway_request_seconds_count{route="/a"} 3.0',
        'gateway_request_seconds_sum{route="/a"} 100.75',
    } <= set(lines(metrics))


def test_bytes_are_counted_both_ways() -> None:
    """The caller adds to them."""
    metrics = Metrics()
    counters = metrics.route("/a")
    counters.observe(200, None, 0.1)
    counters.bytes_in += 3
    counters.bytes_out += 5
    assert {
        'gateway_body_bytes_total{direction="in",route="/a"} 3.0',
        'gateway_body_bytes_total{direction="out",route="/a"} 5.0',
    } <= set(lines(metrics))


def test_a_route_that_saw_nothing_has_no_rows() -> None:
    """10,000 routes, of which few are used, do not make 180,000 lines."""
    metrics = Metrics()
    metrics.route("/quiet")
    assert lines(metrics) == []


def test_a_route_keeps_its_counters_over_a_reload() -> None:
    """A counter that starts again at zero looks like a restart."""
    metrics = Metrics()
    assert metrics.route("/a") is metrics.route("/a")


@pytest.mark.parametrize(("name", "grows", "label", "meaning"), READINGS)
def test_a_reading_is_a_row_of_the_exposition(name: str, grows: bool, label: Labels, meaning: str) -> None:
    """With its label where it has one, and `_total` where it only grows."""
    metrics = Metrics()
    names = label_names(label)
    key = tuple(f"x{place}" for place in range(len(names)))
    metrics.read(name, (lambda: {key if len(key) > 1 else key[0]: 7}) if key else (lambda: 7))  # type: ignore[arg-type,return-value]
    told = ",".join(sorted(f'{name}="{value}"' for name, value in zip(names, key, strict=True)))
    shown = name + ("_total" if grows else "") + (f"{{{told}}}" if key else "")
    assert lines(metrics) == [f"{shown} 7.0"]


def test_a_reading_that_is_not_in_the_table_is_refused() -> None:
    """A name is written once, where operators can find it."""
    with pytest.raises(KeyError):
        Metrics().read("gateway_surprise", lambda: 1)


def test_a_template_with_odd_characters_is_escaped() -> None:
    """The exposition stays readable."""
    metrics = Metrics()
    metrics.route('/a"\n').observe(200, None, 0.1)
    assert 'gateway_requests_total{reason="",route="/a\\"\\n",status="2xx"} 1.0' in lines(metrics)


@pytest.mark.parametrize(
    ("status", "reason", "seconds", "expected"),
    [
        (200, None, 0.25, [
            'gateway_upstream_requests_total{status="2xx",upstream="u"} 1.0',
            'gateway_upstream_seconds_bucket{le="0.1",upstream="u"} 0.0',
            'gateway_upstream_seconds_bucket{le="0.25",upstream="u"} 1.0',
            'gateway_upstream_seconds_sum{upstream="u"} 0.25',
        ]),
        (503, None, 0.25, ['gateway_upstream_requests_total{status="5xx",upstream="u"} 1.0']),
        (0, "upstream_timeout", -1.0, [
            'gateway_upstream_requests_total{status="none",upstream="u"} 1.0',
            'gateway_upstream_errors_total{reason="upstream_timeout",upstream="u"} 1.0',
            'gateway_upstream_seconds_count{upstream="u"} 0.0',
        ]),
        (200, "upstream_closed", 0.25, [
            'gateway_upstream_requests_total{status="2xx",upstream="u"} 1.0',
            'gateway_upstream_errors_total{reason="upstream_closed",upstream="u"} 1.0',
        ]),
    ],
)  # fmt: skip
def test_a_request_for_an_upstream_is_counted(
    status: int, reason: str | None, seconds: float, expected: list[str]
) -> None:
    """By status class, by what the upstream did wrong, and by the time to its head."""
    metrics = Metrics()
    metrics.upstream("u").observe(status, reason, seconds)
    assert set(expected) <= set(lines(metrics))


@pytest.mark.parametrize("reason", ["client_gone", "upstream_busy", "internal_error"])
def test_what_is_not_its_doing_is_no_error_of_the_upstream(reason: str) -> None:
    """A client that went away, and our own refusal to ask it for more."""
    metrics = Metrics()
    metrics.upstream("u").observe(0, reason, -1.0)
    assert not [line for line in lines(metrics) if line.startswith("gateway_upstream_errors")]


def test_an_upstream_keeps_its_counters_over_a_reload() -> None:
    """As a route does."""
    metrics = Metrics()
    assert metrics.upstream("u") is metrics.upstream("u")


def test_connects_are_counted_by_outcome() -> None:
    """Also of an upstream that nobody has asked yet: a rate needs the zero before the one."""
    metrics = Metrics()
    metrics.upstream("u").failed_connects += 2
    assert metrics.connects() == {("u", "made"): 0, ("u", "failed"): 2}


@pytest.mark.parametrize(("name", "meaning"), DISTRIBUTIONS)
def test_a_distribution_is_there_from_the_beginning(name: str, meaning: str) -> None:
    """A rate needs the zero before the one."""
    metrics = Metrics()
    before = metrics.render().decode()
    metrics.distribution(name).observe(0.03)
    after = metrics.render().decode().splitlines()
    assert f"{name}_count 0.0" in before
    assert {f'{name}_bucket{{le="0.025"}} 0.0', f'{name}_bucket{{le="0.05"}} 1.0', f"{name}_sum 0.03"} <= set(after)
    assert f"# HELP {name} {meaning}" in after


def test_the_process_is_told_as_every_client_of_prometheus_tells_it() -> None:
    """So that the dashboards of everybody know it."""
    shown = {line.split(" ")[0] for line in Metrics().render().decode().splitlines()}
    assert {
        "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
        "process_start_time_seconds",
    } <= shown  # fmt: skip


def test_another_process_can_be_looked_at() -> None:
    """A supervisor looks at its workers; one that has ended says nothing."""
    found = process(os.getpid())
    assert 0 < found["process_start_time_seconds"] <= time.time() + 1
    assert found["process_open_fds"] >= 3
    assert process(2**22 + 1) == {}
