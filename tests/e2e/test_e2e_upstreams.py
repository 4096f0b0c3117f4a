"""docs/upstreams.md: its configuration, its session with real servers, and its tables.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into the document instead.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness.ports import free_port

from gateway.edge.health import STATES
from gateway.ops.health import FATAL
from gateway.ops.metrics import READINGS
from gateway.settings.upstream import Upstream

from .transcripts import Shell, replayed

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/upstreams.md"
SHOWN = (8080, 9901, 9001, 9002, 9003)
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"


class Ported(Shell):
    """Free ports in the place of those that are shown. ports: shown -> real."""

    def __init__(self, folder: Path, ports: dict[int, int], environ: dict[str, str]) -> None:
        super().__init__(folder, "127.0.0.1:0", {}, environ)
        self._ports = ports

    def answer(self, command: str) -> str:
        answer = super().answer(put(command, self._ports))
        return put(answer, {real: shown for shown, real in self._ports.items()})


def put(text: str, ports: dict[int, int]) -> str:
    return re.sub(r"\b\d{4,5}\b", lambda found: str(ports.get(int(found[0]), found[0])), text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As `gateway init` leaves it, with the command on the path."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/gateway"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m gateway "$@"\n')
    command.chmod(0o755)
    subprocess.run([command, "init"], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_the_session_is_what_happens(folder: Path) -> None:
    """Commands are run as they stand, but for the ports, and print what is shown."""
    ports = {shown: free_port() for shown in SHOWN}
    document = DOCUMENT.read_text()
    (configuration,) = re.findall(r"^```yaml\n(.*?)^```$", document, re.M | re.S)
    (folder / "config.yaml").write_text(put(configuration, ports))
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    try:
        with Ported(folder, ports, {**os.environ, "PATH": path}) as shell:
            now = replayed(document, shell)
    finally:
        for pid in folder.glob("*.pid"):
            subprocess.run(["kill", "-9", pid.read_text().strip()], capture_output=True, check=False)
    if WRITE:
        DOCUMENT.write_text(now)
    assert now == document


def test_the_document_names_every_key() -> None:
    """In its text or in its examples, but for those that the page of TLS and pools is about."""
    text = DOCUMENT.read_text()
    keys = set(Upstream.model_fields)
    for field in ("health", "outlier", "limits", "retries"):
        annotation = Upstream.model_fields[field].annotation
        model = getattr(annotation, "__args__", (annotation,))[0]
        keys |= set(model.model_fields)
    assert sorted(key for key in keys - {"pool"} if f"`{key}" not in text and f"{key}:" not in text) == []


def test_the_document_names_every_state_metric_and_warning() -> None:
    """Those that are about the health of upstreams."""
    text = DOCUMENT.read_text()
    metrics = {name + "_total" * grows for name, grows, *_ in READINGS if name.startswith("gateway_upstream_")}
    told = {*STATES, *metrics, *(code for code in FATAL if code.startswith("upstream_"))}
    elsewhere = {"gateway_upstream_connections", "gateway_upstream_connects_total"}
    assert sorted(name for name in told - elsewhere if name not in text) == []
