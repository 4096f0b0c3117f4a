"""`docs/headers.md`: its session is run as it is shown, and each configuration in it loads.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into it instead.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from harness.ports import free_port

from gateway.app.checks import read

from .parts import LOOPBACK, Process, program, until
from .transcripts import SHOWN, Shell, replayed
from .world import PROGRAM, ask

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/headers.md"
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"
ENVIRON = {
    "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
    **{k: v for k, v in os.environ.items() if k == "PYTHONPATH"},
}


def block(kind: str, begins: str = "") -> str:
    """The only block of the kind that begins so."""
    (found,) = re.findall(rf"^```{kind}\n({re.escape(begins)}.*?)^```$", PAGE.read_text(), re.M | re.S)
    return str(found)


def placed(text: str, gateway: int, echo: int) -> str:
    """At ports that are free."""
    moved = text.replace(SHOWN, f"{LOOPBACK}:{gateway}").replace(f"{LOOPBACK}:9901", f"{LOOPBACK}:{free_port()}")
    return moved.replace("9001", str(echo))


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """The folder as the page has its reader make it, both programs running; the gateway's port."""
    gateway, echo = free_port(), free_port()
    with Shell(tmp_path, SHOWN, {}, ENVIRON) as shell:
        for line in block("sh").splitlines():
            shell.answer(line)
    (tmp_path / "config.yaml").write_text(placed(block("yaml", "# config.yaml"), gateway, echo))
    (tmp_path / "echo.py").write_text(placed(block("python"), gateway, echo))
    with (
        Process([sys.executable, "echo.py"], tmp_path, "echo"),
        Process([PROGRAM, "serve"], tmp_path, "gateway") as process,
    ):

        def answers() -> bool:
            try:
                return ask(f"http://{LOOPBACK}:{gateway}/orders/1").status == 200
            except OSError:
                return False

        until(lambda: answers() or process.ended(), "the gateway and the service")
        assert not process.ended(), process.complained()
        yield tmp_path, gateway
        assert process.stop() == 0


def test_the_sessions_lines_get_the_answers_that_the_page_shows(prepared: tuple[Path, int]) -> None:
    """Every line exits with 0, and prints what stands below it, but for ids."""
    for needed in ("curl", "bash"):
        program(needed)
    folder, port = prepared
    shown = PAGE.read_text(encoding="utf-8")
    with Shell(folder, f"{LOOPBACK}:{port}", {}, ENVIRON) as shell:
        got = replayed(shown, shell)
    if WRITE:
        PAGE.write_text(got, encoding="utf-8")
    else:
        assert got == shown


# The blocks that are a part of a route, and those that are a whole.
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
BEFORE = "upstreams: { orders: { endpoints: [http://127.0.0.1:9001] } }\n"
ROUTE = "routes:\n  - path: /x/**\n    upstream: orders\n    access: public\n"


@pytest.mark.parametrize("text", BLOCKS, ids=range(len(BLOCKS)))
def test_each_configuration_of_the_page_loads(tmp_path: Path, text: str) -> None:
    """As it stands, or as a part of a route; certificates apart."""
    (tmp_path / "orders.key").write_text("k")
    (tmp_path / "config.yaml").write_text(whole(text))
    read(tmp_path / "config.yaml", {})


def whole(text: str) -> str:
    if text.startswith("    "):
        return BEFORE + ROUTE + text
    if text.startswith("listen:"):  # what is not about the certificate: there is none here
        said = yaml.safe_load(text)
        assert said["listen"]["security_headers"] == {"hsts": "365d", "hsts_subdomains": False}
        return ""
    return text if "upstreams:" in text or text.startswith("login:") else BEFORE + text


def test_the_page_shows_every_way_of_writing_a_configuration() -> None:
    """So that the table above is not of nothing."""
    assert len(BLOCKS) == 7
