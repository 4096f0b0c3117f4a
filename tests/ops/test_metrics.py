"""Metrics: what is counted, and what the exposition makes of it."""

import pytest

from gateway.ops.metrics import BOUNDS, READINGS, Metrics


def lines(metrics: Metrics) -> list[str]:
    return [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]


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
def test_a_reading_is_a_row_of_the_exposition(name: str, grows: bool, label: str | None, meaning: str) -> None:
    """With its labels where it has some, and `_total` where it only grows."""
    metrics, labels = Metrics(), label.split() if label else []
    row = "x" if len(labels) == 1 else ("x",) * len(labels)
    metrics.read(name, (lambda: {row: 7}) if labels else (lambda: 7))
    told = ",".join(f'{label}="x"' for label in sorted(labels))
    shown = name + ("_total" if grows else "") + (f"{{{told}}}" if labels else "")
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
