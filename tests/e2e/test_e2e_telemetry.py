"""What is shipped for Prometheus and Grafana goes by names that a gateway really exports: two workers with a Redis, an
issuer, mails, logins, an upstream that works and one that does not, after each of them has been used.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.ports import free_port
from harness.redis import Servers
from identity.forge import jwk, jwks, private_key
from ops.promql import samples, unknown

from gateway.ops.metrics import DISTRIBUTIONS, READINGS, label_names

from . import world
from .parts import LOOPBACK, until
from .several import said
from .world import Gateway, Home

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "config/grafana/dashboard.json").read_text())
RULES = yaml.safe_load((ROOT / "config/prometheus/alerts.yaml").read_text())
SHOWN = {
    f"{panel['title']}-{number}": target["expr"]
    for panel in DASHBOARD["panels"]
    for number, target in enumerate(panel.get("targets", ()))
}
ASKED = {rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}
LISTED = {
    variable["name"]: variable["query"].removeprefix("label_values(").partition(", ")[0]
    for variable in DASHBOARD["templating"]["list"]
    if variable["type"] == "query"
}
LOGIN, LINK = "/_adm/beginners/users/login", "/_adm/beginners/users/magic-link/request"
JSON = {"Content-Type": "application/json"}


class Keys(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = jwks(jwk(private_key("RS256")))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A URL of keys."""
    with ThreadingHTTPServer((LOOPBACK, 0), Keys) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_port}/jwks"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def busy(template: Home, service: int, issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """It has had traffic of every kind."""
    home = template.copy(tmp_path_factory.mktemp("telemetry"))
    servers = Servers(tmp_path_factory.mktemp("redis"))
    found = said(service)
    trusted = {"name": "acme", "issuer": "https://id.example", "jwks_url": issuer, "audiences": ["g"]}
    found["issuers"] = [{**trusted, "algorithms": ["RS256"]}]
    found["state"] = {"url": servers.single().url}
    found["upstreams"]["gone"] = {"endpoints": [f"http://{LOOPBACK}:{free_port()}"]}
    found["routes"].append({"path": "/gone/**", "upstream": "gone", "access": "public"})
    try:
        with world.running(home, found) as gateway:
            use(gateway)
            yield gateway
    finally:
        servers.close()


def use(gateway: Gateway) -> None:
    home = gateway.home
    for headers in (home.ada.headers, home.bob.headers, world.bearer("nobody"), {}) * 3:
        gateway.ask("/app/echo", headers=headers)
        gateway.ask("/manager/app/echo", headers=headers)
    gateway.ask("/public/app/echo")
    assert gateway.ask("/gone/x").status == 502
    gateway.ask(LOGIN, "POST", JSON, b'{"email":"ada@example.org","password":"wrong horse battery"}')
    assert gateway.ask(LINK, "POST", JSON, b'{"email":"ada@example.org"}').status == 200
    assert home.told("reload")["reloaded"]
    for name in ('gateway_jwks_age_seconds{issuer="acme"}', "gateway_state_up"):
        until(lambda name=name: exported(gateway) and name in text(gateway), name)  # type: ignore[misc]


def text(gateway: Gateway) -> str:
    return world.ask(f"{gateway.admin}/metrics").body.decode()


def exported(gateway: Gateway) -> dict[str, set[str]]:
    return samples(text(gateway))


@pytest.fixture(scope="module")
def names(busy: Gateway) -> dict[str, set[str]]:
    """Labels by the name of what is exported."""
    return exported(busy)


@pytest.mark.parametrize("expression", SHOWN.values(), ids=SHOWN)
def test_a_panel_asks_for_what_there_is(names: dict[str, set[str]], expression: str) -> None:
    """Every metric, with every label that it is selected or grouped by."""
    assert list(unknown(expression, names)) == []


@pytest.mark.parametrize("expression", ASKED.values(), ids=ASKED)
def test_an_alert_asks_for_what_there_is(names: dict[str, set[str]], expression: str) -> None:
    """A rule about a name that nobody exports would never fire."""
    assert list(unknown(expression, names)) == []


@pytest.mark.parametrize("expression", LISTED.values(), ids=LISTED)
def test_a_variable_lists_what_there_is(names: dict[str, set[str]], expression: str) -> None:
    """Else its menu is empty."""
    assert list(unknown(expression, names)) == []


@pytest.mark.parametrize("row", READINGS, ids=lambda row: str(row[0]))
def test_every_reading_is_exported_by_several_workers(names: dict[str, set[str]], row: tuple[Any, ...]) -> None:
    """Under its labels; none is lost between a worker and the supervisor, nor with a reload."""
    name, grows, label, _ = row
    assert names[name + ("_total" if grows else "")] == set(label_names(label))


@pytest.mark.parametrize("name", [name for name, _ in DISTRIBUTIONS])
def test_every_distribution_is_exported_by_several_workers(busy: Gateway, name: str) -> None:
    """And each has seen something."""
    until(lambda: busy.metric(f"{name}_count") > 0, f"an observation of {name}")


def test_no_metric_is_told_twice(busy: Gateway) -> None:
    """Prometheus refuses all of an exposition with a family, or a row, that is there twice."""
    lines = text(busy).splitlines()
    types = [line for line in lines if line.startswith("# TYPE ")]
    rows = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(types) == len({line.split(" ")[2] for line in types})
    assert len(rows) == len(set(rows))


def test_each_worker_is_a_process_of_its_own(busy: Gateway) -> None:
    """Its memory and its files are not added to another's."""
    told = text(busy)
    for name in ("process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"):
        assert [line.split(" ")[0] for line in told.splitlines() if line.startswith(name)] == [
            f'{name}{{worker="1"}}', f'{name}{{worker="2"}}',
        ]  # fmt: skip
