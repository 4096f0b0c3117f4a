"""The alert rules fire when they should and not before: Prometheus' own `promtool` runs them over made-up samples."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.parts import program

CONFIG = Path(__file__).parents[2] / "config/prometheus"
RULES = CONFIG / "alerts.yaml"
ALERTS: Mapping[str, Mapping[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}
WHERE = 'instance="g:1", job="gateway"'
MINUTES = 90  # of samples, one a minute; what fires is looked at in the last

Samples = Mapping[str, str]  # series to values, as promtool writes them: `0+6x90` grows by 6 each minute


def histogram(name: str, fast: int, slow: int, bound: str, **labels: str) -> Samples:
    """Observations a minute: below the bound, and above it but below a minute."""
    told = "".join(f'{key}="{value}", ' for key, value in labels.items()) + WHERE
    rows = ((bound, fast), ("60.0", fast + slow), ("+Inf", fast + slow))
    return {f'{name}_bucket{{le="{le}", {told}}}': f"0+{count}x{MINUTES}" for le, count in rows}


def one(name: str, value: float, labels: str = "") -> Samples:
    return {f"{name}{{{labels}{', ' if labels else ''}{WHERE}}}": f"{value}x{MINUTES}"}


def grows(name: str, by: float, labels: str = "") -> Samples:
    return {f"{name}{{{labels}{', ' if labels else ''}{WHERE}}}": f"0+{by}x{MINUTES}"}


def requests(bad: int, good: int) -> Samples:
    return {
        **grows("gateway_requests_total", bad, 'status="5xx", route="/a", reason="upstream_timeout"'),
        **grows("gateway_requests_total", good, 'status="2xx", route="/a", reason=""'),
    }


def upstream(errors: int, asked: int) -> Samples:
    return {
        **grows("gateway_upstream_errors_total", errors, 'upstream="u", reason="upstream_timeout"'),
        **grows("gateway_upstream_requests_total", asked, 'upstream="u", status="2xx"'),
    }


def credentials(refused: int, verified: int) -> Samples:
    return {
        **grows("gateway_credential_outcomes_total", refused, 'code="invalid_credential"'),
        **grows("gateway_credential_outcomes_total", verified, 'code="verified"'),
    }


def fetches(failed: int, fetched: int) -> Samples:
    return {
        **grows("gateway_jwks_fetches_total", failed, 'issuer="acme", outcome="failed"'),
        **grows("gateway_jwks_fetches_total", fetched, 'issuer="acme", outcome="fetched"'),
    }


def mails(failed: int, sent: int) -> Samples:
    return {
        **grows("gateway_mails_total", failed, 'outcome="failed"'),
        **grows("gateway_mails_total", sent, 'outcome="sent"'),
    }


def files(open_: int) -> Samples:
    return {**one("process_open_fds", open_, 'worker="1"'), **one("process_max_fds", 1000, 'worker="1"')}


def state(up: int, subscribed: int) -> Samples:
    return {**one("gateway_state_up", up), **one("gateway_state_subscribed", subscribed)}


# By alert: samples that make it fire, and such as are at, or just on the good side of, what it goes by.
CASES: Mapping[str, tuple[Sequence[Samples], Sequence[Samples]]] = {
    "GatewayDown": ([one("up", 0)], [one("up", 1), {'up{instance="x", job="other"}': f"0x{MINUTES}"}]),
    "GatewayErrors": ([requests(6, 94)], [requests(5, 95), requests(0, 100), requests(0, 0)]),
    "GatewayUpstreamDown": (
        [one("gateway_upstream_endpoints_live", 0, 'upstream="u"')],
        [one("gateway_upstream_endpoints_live", 1, 'upstream="u"')],
    ),
    "GatewayUpstreamErrors": ([upstream(6, 100)], [upstream(5, 100), upstream(0, 100)]),
    "GatewayUpstreamSlow": (
        [histogram("gateway_upstream_seconds", 90, 10, "5.0", upstream="u")],
        [histogram("gateway_upstream_seconds", 100, 0, "5.0", upstream="u")],
    ),
    "GatewayStoreDown": ([one("gateway_store_up", 0)], [one("gateway_store_up", 1)]),
    "GatewayStoreSlow": (
        [histogram("gateway_store_seconds", 90, 10, "0.5")],
        [histogram("gateway_store_seconds", 100, 0, "0.5")],
    ),
    "GatewayRevocationsLate": (
        [one("gateway_revocations_read_age_seconds", 11)],
        [one("gateway_revocations_read_age_seconds", 10)],
    ),
    "GatewayStateDown": ([state(0, 0)], [state(1, 0), {}]),
    "GatewayStateUnsubscribed": ([state(1, 0)], [state(0, 0), state(1, 1)]),
    "GatewayKeysUnavailable": ([fetches(2, 0)], [fetches(2, 1), fetches(0, 0)]),
    "GatewayKeysOld": (
        [one("gateway_jwks_age_seconds", 7201, 'issuer="acme"')],
        [one("gateway_jwks_age_seconds", 7200, 'issuer="acme"')],
    ),
    "GatewayCredentialsRefused": ([credentials(120, 60)], [credentials(120, 120), credentials(59, 10)]),
    "GatewayPasswordsRejected": (
        [grows("gateway_passwords_rejected_total", 1)],
        [one("gateway_passwords_rejected_total", 7)],
    ),
    "GatewayMailsGivenUp": (
        [grows("gateway_mails_total", 1, 'outcome="given_up"')],
        [one("gateway_mails_total", 3, 'outcome="given_up"'), grows("gateway_mails_total", 1, 'outcome="sent"')],
    ),
    "GatewayMailsFail": ([mails(1, 0)], [mails(1, 1), mails(0, 0)]),
    "GatewayEventLoopLag": (
        [histogram("gateway_event_loop_lag_seconds", 580, 20, "0.1")],
        [histogram("gateway_event_loop_lag_seconds", 600, 0, "0.1")],
    ),
    "GatewayWorkerDown": ([one("gateway_worker_up", 0, 'worker="1"')], [one("gateway_worker_up", 1, 'worker="1"')]),
    "GatewayWorkerRestarts": (
        [grows("gateway_worker_restarts_total", 1, 'worker="1"')],
        [one("gateway_worker_restarts_total", 9, 'worker="1"')],
    ),
    "GatewayReloadFailed": (
        [one("gateway_config_last_reload_successful", 0)],
        [one("gateway_config_last_reload_successful", 1)],
    ),
    "GatewayFilesRunOut": ([files(801)], [files(800)]),
    "GatewayAccessLogDrops": (
        [grows("gateway_access_log_dropped_total", 1)],
        [one("gateway_access_log_dropped_total", 5)],
    ),
}


def alerts_of(samples: Samples, folder: Path, alert: str, minutes: int, firing: bool) -> None:
    """Fails where `alert` does not stand as it is said after so many minutes."""
    tests = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": series, "values": values} for series, values in samples.items()],
                # its labels and annotations are another matter: whether there is one is asked of ALERTS itself
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0',
                        "eval_time": f"{minutes}m",
                        "exp_samples": [{"value": 1}] if firing else [],
                    }
                ],
            }
        ],
    }
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump(tests))
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["alerts.yaml", "prometheus.yaml"])
def test_prometheus_takes_what_is_shipped(name: str) -> None:
    """The rules, and the example of a configuration that has them."""
    what = "rules" if name == "alerts.yaml" else "config"
    done = subprocess.run(
        [program("promtool"), "check", what, str(CONFIG / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_cases() -> None:
    """Those that fire and those that do not."""
    assert set(CASES) == set(ALERTS)
    assert all(fires and quiet for fires, quiet in CASES.values())


@pytest.mark.parametrize(
    ("alert", "samples"), [(alert, samples) for alert, (found, _) in CASES.items() for samples in found]
)
def test_an_alert_fires(tmp_path: Path, alert: str, samples: Samples) -> None:
    """After its `for`, and while it lasts."""
    alerts_of(samples, tmp_path, alert, MINUTES - 1, firing=True)


@pytest.mark.parametrize(
    ("alert", "samples"), [(alert, samples) for alert, (_, found) in CASES.items() for samples in found]
)
def test_an_alert_does_not_fire(tmp_path: Path, alert: str, samples: Samples) -> None:
    """At its bound, below it, or for something else."""
    alerts_of(samples, tmp_path, alert, MINUTES - 1, firing=False)


@pytest.mark.parametrize("alert", [alert for alert, rule in ALERTS.items() if "for" in rule])
def test_an_alert_waits(tmp_path: Path, alert: str) -> None:
    """What passes by itself wakes nobody: not within the first minutes of its `for`."""
    minutes = int(str(ALERTS[alert]["for"]).removesuffix("m"))
    alerts_of(CASES[alert][0][0], tmp_path, alert, minutes - 1, firing=False)


@pytest.mark.parametrize(("alert", "rule"), ALERTS.items())
def test_an_alert_says_what_and_what_next(alert: str, rule: Mapping[str, Any]) -> None:
    """How urgent it is, what is wrong, and where the runbook goes on."""
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert len(rule["annotations"]["summary"]) > 20
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{alert.lower()}"
    assert re.fullmatch(r"Gateway[A-Za-z]+", alert)
