"""The dashboard can be imported: JSON as Grafana takes it, with nothing empty in it and nothing on top of another."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

DASHBOARD = Path(__file__).parents[2] / "config/grafana/dashboard.json"
TOLD: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS = [panel for panel in TOLD["panels"] if panel["type"] != "row"]
ROWS = [panel for panel in TOLD["panels"] if panel["type"] == "row"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_shows_something(panel: dict[str, Any]) -> None:
    """A title, a sentence, a unit, and what it asks of the data source that was chosen."""
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert all(target["expr"] for target in panel["targets"])
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_panels_do_not_lie_on_each_other() -> None:
    """And stay within the 24 columns of a dashboard."""
    places = [panel["gridPos"] for panel in TOLD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_ids_are_each_ones_own() -> None:
    """Grafana goes by them."""
    assert len({panel["id"] for panel in TOLD["panels"]}) == len(TOLD["panels"])


def test_a_row_heads_panels() -> None:
    """None is the last, nor followed by another."""
    kinds = [panel["type"] for panel in TOLD["panels"]] + ["row"]
    assert len(ROWS) >= 8
    assert ("row", "row") not in itertools.pairwise(kinds)


def test_variables_are_declared_and_used() -> None:
    """A `$name` that is none is sent to Prometheus as it stands."""
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(TOLD["panels"]))) - {"__rate_interval"}
    assert used == {variable["name"] for variable in TOLD["templating"]["list"]}
