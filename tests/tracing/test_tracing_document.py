"""`docs/tracing.md`: its configuration runs, and its lines get the answers that it shows.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into it instead.
"""

import gzip
import os
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from e2e import upstream as service
from e2e.parts import LOOPBACK, program
from e2e.transcripts import Shell, replayed
from e2e.world import PROGRAM, Gateway, Home, Person, running, serving
from harness.ports import free_port
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.settings.model import Settings
from gateway.settings.tracing import Tracing

from .test_extra import COLLECTOR, WITHOUT, python, written

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/tracing.md"
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"
CONFIG = re.compile(r"^```yaml\n(.*?)^```$", re.M | re.S)
NOBODY = Person("", "", "")


class Receiver(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP."""

    names: list[str]

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.names += [span.name for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def collector() -> Iterator[tuple[int, list[str]]]:
    """Its port, and the names of the spans that it got."""
    names: list[str] = []
    server = ThreadingHTTPServer((LOOPBACK, 0), type("Named", (Receiver,), {"names": names}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, names
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[int]:
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "file.bin").write_bytes(b"")
    with serving(folder, "echo", sys.executable, Path(service.__file__), folder) as port:
        yield port


@pytest.fixture
def gateway(tmp_path: Path, collector: tuple[int, list[str]], echo: int) -> Iterator[Gateway]:
    """As the document says it, at other ports."""
    folder = tmp_path / "home"
    folder.mkdir()
    home = Home(folder, NOBODY, NOBODY, "", "")
    assert home.run("init").returncode == 0
    (block,) = CONFIG.findall(DOCUMENT.read_text())
    for port, other in ((8080, free_port()), (9001, echo), (4318, collector[0])):
        block = block.replace(f"127.0.0.1:{port}", f"127.0.0.1:{other}")
    with running(home, {**yaml.safe_load(block), "admin": {"address": f"{LOOPBACK}:{free_port()}"}}) as started:
        yield started


def test_the_lines_of_the_document_get_the_answers_that_it_shows(
    gateway: Gateway, collector: tuple[int, list[str]]
) -> None:
    """Every line exits with 0; and the collector has got the spans that the document speaks of."""
    for needed in ("curl", "bash"):
        program(needed)
    environ = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    address, admin = (url.removeprefix("http://") for url in (gateway.url, gateway.admin))
    shown = DOCUMENT.read_text(encoding="utf-8")
    with Shell(gateway.home.folder, address, {}, environ) as shell:
        got = replayed(shown.replace("127.0.0.1:9901", admin), shell).replace(admin, "127.0.0.1:9901")
    if WRITE:
        DOCUMENT.write_text(got, encoding="utf-8")
    else:
        assert got == shown
    assert sorted(collector[1]) == ["GET"] * 2 + ["GET /orders/**"] * 2


def test_the_document_has_every_key() -> None:
    """With its default."""
    table = DOCUMENT.read_text(encoding="utf-8")
    for name, field in Tracing.model_fields.items():
        (row,) = re.findall(rf"^\| `tracing\.{name}` \| (.*?) \|", table, re.M)
        default = (field.json_schema_extra or {}).get("default", field.default)  # type: ignore[union-attr]
        assert row == f"`{default}`" or not default
    assert Settings.model_fields["tracing"].annotation is Tracing


def test_the_document_shows_the_fault_without_the_extra(tmp_path: Path) -> None:
    """As `gateway check` says it."""
    done = python(WITHOUT, written(tmp_path, COLLECTOR))
    (said,) = re.findall(r"config\.yaml:6:9: .*", done.stdout + done.stderr)
    assert f"\n{said}\n" in DOCUMENT.read_text(encoding="utf-8")
