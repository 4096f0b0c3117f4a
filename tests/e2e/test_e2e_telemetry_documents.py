"""docs/logs.md and docs/metrics.md: their lines are run, and print what stands below them, but for times and ids.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into them instead.
"""

import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from . import world
from .parts import LOOPBACK, program
from .transcripts import Shell, replayed
from .world import PROGRAM, Gateway, Home

ROOT = Path(__file__).parents[2]
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"
# What differs each time, besides what other documents show.
CHANGING = (
    (re.compile(r'("(?:routing|authentication|first_byte|seconds)": )[\d.e-]+'), r"\g<1>0.000321"),
    (re.compile(r'("time": )"[^"]+"'), r'\1"2026-11-25T19:49:24.042Z"'),
    (re.compile(r'("endpoint": )"http://127\.0\.0\.1:\d+"'), r'\1"http://10.0.0.7:9001"'),
)


class Orders(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"{}\n")

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def gateway(home: Home) -> Iterator[Gateway]:
    """With what the documents speak of: a service that has orders, for callers."""
    with ThreadingHTTPServer((LOOPBACK, 0), Orders) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        said = world.configuration({"orders": server.server_port})
        said["routes"] = [{"path": "/orders/**", "upstream": "orders", "access": "protected"}]
        (home.folder / "config").symlink_to(ROOT / "config")
        try:
            with world.running(home, said) as running:
                yield running
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("name", ["logs", "metrics"])
def test_a_documents_lines_get_the_answers_that_it_shows(name: str, gateway: Gateway) -> None:
    """Every line exits with 0."""
    for needed in ("curl", "jq", "promtool", "bash"):
        program(needed)
    path = ROOT / f"docs/{name}.md"
    shown = path.read_text(encoding="utf-8")
    given = {"TOKEN": lambda: gateway.home.ada.token, "ADMIN": lambda: gateway.admin}
    environ = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    with Shell(gateway.home.folder, gateway.said["listen"]["address"], given, environ) as shell:
        got = replayed(shown, shell)
    for pattern, text in CHANGING:
        got = pattern.sub(text, got)
    if WRITE:
        path.write_text(got, encoding="utf-8")
    else:
        assert got == shown


@pytest.mark.parametrize("name", ["logs", "metrics"])
def test_what_it_links_to_exists(name: str) -> None:
    """Relative to the document."""
    links = re.findall(r"\]\(([^)#]+)", (ROOT / f"docs/{name}.md").read_text())
    assert [link for link in links if "://" not in link and not (ROOT / "docs" / link).exists()] == []
