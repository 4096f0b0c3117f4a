"""One exposition of several: what is summed, what is not, and what the dead leave behind."""

import pytest

from gateway.ops.merged import GAUGES, OWN, growing, merged, parse, rendered, without_routes
from gateway.ops.metrics import READINGS, Metrics


def exposition(**values: float) -> str:
    """Of one worker: a request, and these readings."""
    metrics = Metrics()
    metrics.route("/a").observe(200, None, 0.003)
    for name, value in values.items():
        label = next(label for known, _, label, _ in READINGS if known == name)
        key = "x" if isinstance(label, str) else ("x", "y")
        metrics.read(name, lambda value=value, label=label, key=key: {key: value} if label else value)
    return metrics.render().decode()


def test_one_alone_stays_as_it_is() -> None:
    """Byte for byte, labels and all; but for large numbers of a process, which one writes with an exponent."""
    text = exposition(gateway_connections_open=3, gateway_upstream_retries=2)

    def compared(whole: str) -> list[str]:
        return [line for line in whole.splitlines() if not line.startswith("process_")]

    assert compared(rendered(parse(text))) == compared(text)


def test_counters_and_histograms_are_summed() -> None:
    """Row by row."""
    text = rendered(merged([parse(exposition()), parse(exposition())]))
    assert 'gateway_requests_total{reason="",route="/a",status="2xx"} 2.0' in text
    assert 'gateway_request_seconds_bucket{le="0.005",route="/a"} 2.0' in text
    assert 'gateway_request_seconds_count{route="/a"} 2.0' in text


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("gateway_connections_open", "gateway_connections_open", 8.0),
        ("gateway_state_up", "gateway_state_up", 3.0),
        ("gateway_revocations_read_age_seconds", "gateway_revocations_read_age_seconds", 5.0),
        ("gateway_jwks_age_seconds", 'gateway_jwks_age_seconds{issuer="x"}', 5.0),
        ("gateway_upstream_connections", 'gateway_upstream_connections{state="y",upstream="x"}', 8.0),
        ("gateway_build_info", 'gateway_build_info{compiled="y",version="x"}', 5.0),
        ("gateway_upstream_endpoints_live", 'gateway_upstream_endpoints_live{upstream="x"}', 3.0),
    ],
)
def test_a_gauge_is_what_its_row_says(name: str, row: str, value: float) -> None:
    """The sum, the oldest, the fewest."""
    whole = merged([parse(exposition(**{name: 3.0})), parse(exposition(**{name: 5.0}))])
    assert whole[name].rows == {row: value}


def test_every_gauge_has_a_rule() -> None:
    """Chosen for it: a sum of what is up says nothing."""
    assert set(GAUGES) == {name for name, grows, _, _ in READINGS if not grows} - OWN


def test_what_the_supervisor_tells_is_not_merged() -> None:
    """Processes are told apart, and a configuration is accepted once."""
    said = {"gateway_config_last_reload_successful": 1.0, "gateway_config_last_reload_success_timestamp_seconds": 5.0}
    assert not [name for name in merged([parse(exposition(**said))]) if name.startswith(("process_", "gateway_config"))]


def test_the_dead_leave_what_grows() -> None:
    """Not what was true of them."""
    left = growing(parse(exposition(gateway_connections_open=3)))
    assert "gateway_connections_open" not in left
    assert merged([left, parse(exposition())])["gateway_requests_total"].rows == {
        'gateway_requests_total{reason="",route="/a",status="2xx"}': 2.0
    }


def test_a_route_that_one_has_not_seen_is_kept() -> None:
    """In the family where it belongs."""
    other = Metrics()
    other.route('/b "quoted" \\ and spaced').observe(404, "no_route", 0.1)
    whole = merged([parse(exposition()), parse(other.render().decode())])
    assert len(whole["gateway_requests_total"].rows) == 2
    assert sum(whole["gateway_requests_total"].rows.values()) == 2.0


def test_routes_that_nobody_has_are_forgotten() -> None:
    """What no route took, and what was asked about a route that is there, stays."""
    metrics = Metrics()
    labels = ["none", "decide", "/a", "decide /a", '/b "quoted" \\ x', "/gone", "decide /gone"]
    for label in labels:
        metrics.route(label).observe(200, None, 0.1)
    left = without_routes(parse(metrics.render().decode()), {"/a", '/b "quoted" \\ x'})
    assert len(left["gateway_requests_total"].rows) == 5
    assert not [row for family in left.values() for row in family.rows if "/gone" in row]
