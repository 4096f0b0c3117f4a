"""Pages for operators that show a shell beside a running demo: every line is run, and prints what stands below it.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into them instead.
"""

import os
from pathlib import Path

import pytest
from harness.ports import free_port

from .parts import LOOPBACK, program
from .test_e2e_dialects import WRITE, demo, given
from .transcripts import Shell, replayed
from .world import PROGRAM

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGES = ("concepts", "explain", "quick-start", "reload")


@pytest.mark.timeout(240)  # a page has a dozen commands, each of them an interpreter that starts
@pytest.mark.parametrize("name", PAGES)
def test_a_pages_lines_get_the_answers_that_it_shows(name: str, tmp_path: Path) -> None:
    """Each with exit code 0."""
    for needed in ("curl", "bash"):
        program(needed)
    environ = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    path, admin = DOCS / f"{name}.md", f"{LOOPBACK}:{free_port()}"
    shown = path.read_text(encoding="utf-8")
    with (
        demo(tmp_path, admin=admin) as (process, address),
        Shell(tmp_path, address, given(process), environ, admin) as shell,
    ):
        got = replayed(shown, shell)
    if WRITE:
        path.write_text(got, encoding="utf-8")
    else:
        assert got == shown
