"""docs/runbook.md: an entry for each reason code and each alert, and none for what there is not."""

import re
from pathlib import Path

import pytest
import yaml

from gateway.wire.problems import PROBLEMS

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^### (.+)\n\n(.+)", TEXT, re.M)
RULES = ROOT / "config/prometheus/alerts.yaml"


def alerts() -> list[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]


def test_there_is_one_entry_for_each_code_and_each_alert() -> None:
    """Whoever is woken finds it by its name."""
    assert sorted(name for name, _ in ENTRIES) == sorted([*PROBLEMS, *alerts()])


def test_an_alert_leads_to_its_entry_and_says_how_urgent_it_is() -> None:
    """The address in its annotation is the entry's anchor; critical is "Page.", anything else "Ticket."."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    urgent = {"critical": "Page.", "warning": "Ticket."}
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert dict(ENTRIES)[rule["alert"]].startswith(urgent[rule["labels"]["severity"]])


@pytest.mark.parametrize("code", PROBLEMS)
def test_an_entry_begins_with_the_status(code: str) -> None:
    """As it is answered."""
    text = dict(ENTRIES)[code]
    assert text.startswith(str(PROBLEMS[code].status))
