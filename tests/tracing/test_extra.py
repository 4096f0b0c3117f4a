"""OpenTelemetry's libraries are an extra: without it nothing is missing until a collector is named."""

import subprocess
import sys
from pathlib import Path

CONFIG = """
secrets: { master_key: { file: master.key } }
upstreams: { u: { endpoints: [http://127.0.0.1:9001] } }
routes: [{ path: /**, upstream: u, access: public }]
"""
COLLECTOR = CONFIG + "tracing:\n  otlp: http://127.0.0.1:4318\n"

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
sys.argv = ["gateway", "check", "config.yaml"]
from gateway.cli import main
main()
"""

CHECK = """
import sys
sys.argv = ["gateway", "check", "config.yaml"]
from gateway.cli import main
main()
"""

IMPORTED = """
import sys
import gateway.app.gateway, gateway.cli.serve, gateway.app.checks, gateway.app.tracing
print([name for name in sys.modules if name.partition(".")[0] in ("opentelemetry", "google", "requests")])
"""


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)


def written(folder: Path, text: str) -> Path:
    (folder / "config.yaml").write_text(text)
    (folder / "master.key").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    return folder


def test_without_the_extra_a_collector_is_a_fault_at_its_line(tmp_path: Path) -> None:
    """Which says what to install."""
    done = python(WITHOUT, written(tmp_path, COLLECTOR))
    assert done.returncode == 1
    assert "config.yaml:6:9: sending spans takes an extra of the gateway: pip install mycelium-gateway[otel]" in (
        done.stdout + done.stderr
    )


def test_without_the_extra_nothing_else_is_missing(tmp_path: Path) -> None:
    """Traces go on all the same."""
    done = python(WITHOUT, written(tmp_path, CONFIG + "tracing: { accept: trusted, sample: 0.5 }\n"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_of_it_is_loaded_where_no_collector_is_named(tmp_path: Path) -> None:
    """It would be a third of a second, and 20 MB, of every start."""
    done = python(IMPORTED, tmp_path)
    assert done.stdout == "[]\n", done.stderr


def test_certificates_that_cannot_be_used_are_a_fault_at_their_line(tmp_path: Path) -> None:
    """Before a span is lost for it."""
    text = CONFIG + "tracing:\n  otlp: https://127.0.0.1:4318\n  ca: none.pem\n"
    done = python(CHECK, written(tmp_path, text))
    assert done.returncode == 1
    assert "config.yaml:7:7: the certificates cannot be used: No such file or directory" in done.stdout + done.stderr
