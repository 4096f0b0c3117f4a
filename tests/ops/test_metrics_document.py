"""docs/metrics.md and docs/logs.md have every metric and every field, and no other.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the table of metrics.
"""

import json
import os
import re
from pathlib import Path

from gateway.ops.access_log import open_access_log
from gateway.ops.console import shown
from gateway.ops.merged import GAUGES
from gateway.ops.metrics import BOUNDS, READINGS, Metrics, label_names
from gateway.supervise import whole

from .promql import samples
from .test_access_log import LINE, ignore

DOCS = Path(__file__).parents[2] / "docs"
TABLE = re.compile(r"(?<=-->\n\n).*?(?=\n\nBuckets)", re.S)
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"
JOINED = {"_sum": "sum", "min": "least", "max": "greatest"}
SUFFIX = re.compile(r"_(bucket|count|sum)$")


def everything() -> str:
    """What a gateway exports that has had one of everything, and what a supervisor adds."""
    metrics = Metrics()
    metrics.route("/a").observe(502, "upstream_timeout", 0.1)
    metrics.upstream("u").observe(200, "upstream_closed", 0.1)
    for name, _, label, _ in READINGS:
        names = label_names(label)
        rows: dict[object, float] = {names if len(names) > 1 else "".join(names): 1.0}
        metrics.read(name, lambda rows=rows, names=names: rows if names else 1.0)  # type: ignore[misc]
    return metrics.render().decode() + whole.own([], {"done": 0, "refused": 0}, (True, 0.0))


def table() -> str:
    text = everything()
    labels = {SUFFIX.sub("", name): found - {"le"} for name, found in samples(text).items()}
    kinds = dict(line.split(" ")[2:] for line in text.splitlines() if line.startswith("# TYPE "))
    meanings = dict(
        line.removeprefix("# HELP ").split(" ", 1) for line in text.splitlines() if line.startswith("# HELP")
    )
    rows = ["| metric | kind | labels | workers | meaning |", "|---|---|---|---|---|"]
    for name, kind in kinds.items():
        worker = name.startswith(("gateway_worker", "process_"))
        told = ", ".join(f"`{label}`" for label in sorted(labels.get(name, set()) | ({"worker"} if worker else set())))
        joined = (
            JOINED[GAUGES[name].__name__]
            if name in GAUGES
            else "each"
            if worker
            else "sum"
            if kind != "gauge"
            else "one"
        )
        rows.append(f"| `{name}` | {kind} | {told} | {joined} | {meanings[name]} |")
    return "\n".join(rows)


def test_the_table_of_metrics_is_what_is_exported() -> None:
    """Name, kind, labels, how workers' rows become one, and what it means: from the very table that makes them."""
    path = DOCS / "metrics.md"
    if WRITE:
        path.write_text(TABLE.sub(lambda _: table(), path.read_text()))
    found = TABLE.search(path.read_text())
    assert found is not None
    assert found[0] == table()


def test_the_buckets_are_those_that_are_counted() -> None:
    """In their order."""
    told = ", ".join(f"{bound:g}" for bound in BOUNDS)
    assert f"in seconds: {told}." in (DOCS / "metrics.md").read_text()


async def test_every_field_of_the_access_log_has_its_meaning(tmp_path: Path) -> None:
    """In the order of the line."""
    log = open_access_log(tmp_path / "access.log", ignore)
    log.write(*LINE)
    await log.aclose()
    listed = re.findall(r"^\| `(\w+)` \| .{3,} \|$", (DOCS / "logs.md").read_text(), re.M)
    assert listed == list(json.loads((tmp_path / "access.log").read_text()))


def test_the_lines_for_people_are_as_they_are_shown() -> None:
    """Those of docs/logs.md."""
    (block,) = re.findall(r"^```text\n(.*?)^```", (DOCS / "logs.md").read_text(), re.M | re.S)
    told = (
        ("42", 200, "/orders/7", "/orders/**", "orders", 0.00123, None, "3f2a9c1d"),
        ("51", 401, "/orders/7", "/orders/**", "orders", 0.00031, "invalid_credential", "0b5f0e2c"),
        ("60", 404, "/nowhere", "none", None, 0.000052, "no_route", "7d11aa03"),
    )
    names = ("time", "status", "path", "route", "upstream", "seconds", "reason", "id")
    rows = [{**dict(zip(names, row, strict=True)), "time": f"2026-11-25T19:49:24.0{row[0]}Z"} for row in told]
    assert block == "".join(shown({**row, "method": "GET"}, False) for row in rows)
