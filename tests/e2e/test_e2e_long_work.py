"""`docs/keys.md` and `docs/import.md`, run as they are shown: what stands below each command is what it prints.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into them instead.
"""

import os
import re
from pathlib import Path

import pytest

from .transcripts import SHOWN, Shell, replayed
from .world import PROGRAM

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"
FILE = re.compile(r"^```json\n(.*?)^```$", re.M | re.S)


@pytest.mark.timeout(300)  # fifteen programs, which take a minute on a machine with other work
@pytest.mark.parametrize("name", ["keys.md", "import.md"])
def test_the_document_is_right(name: str, tmp_path: Path) -> None:
    """In an empty folder, with the file that it shows."""
    shown = (DOCS / name).read_text()
    for text in FILE.findall(shown):
        (tmp_path / "people.jsonl").write_text(text)
    environ = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    environ.pop("GATEWAY_CONFIG", None)
    with Shell(tmp_path, SHOWN, {}, environ) as shell:
        got = replayed(shown, shell)
    if WRITE:
        (DOCS / name).write_text(got)
    else:
        assert got == shown
