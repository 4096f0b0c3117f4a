"""`docs/api.md`: the admin API as its page shows it.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers, and the table of who may, into it instead.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from gateway.app.logins import admin_api

from .parts import program, until
from .test_e2e_dialects import CONFIG, demo
from .transcripts import Shell, replayed
from .world import PROGRAM

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/api.md"
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"
LINK = re.compile(r"^(http\S+/invitations/\S+)$", re.M)
TABLE = re.compile(r"(?<=\| call \| who \|\n\|---\|---\|\n)(?:\|.*\n)*")


def rows() -> str:
    """Of the table, from the document."""
    api = admin_api()
    found = []
    for path, methods in api.document()["paths"].items():  # type: ignore[attr-defined]
        for method, operation in methods.items():
            if operation["tags"] != ["own account"]:
                who = operation["description"][operation["description"].index("For ") + 4 :]
                found.append(f"| `{method.upper()} {path.removeprefix('/_adm/api/v1')}` | {who} |\n")
    return "".join(found)


def test_the_lines_get_the_answers_that_are_shown(tmp_path: Path) -> None:
    """Every line exits with 0, and prints what stands below it, but for tokens, ids and times."""
    for needed in ("curl", "bash"):
        program(needed)
    environ = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    if "PYTHONPATH" in os.environ:
        environ["PYTHONPATH"] = os.environ["PYTHONPATH"]
    shown = PAGE.read_text(encoding="utf-8")
    with demo(tmp_path) as (process, address):
        given: dict[str, Callable[[], str]] = {
            "CONFIG": lambda: CONFIG.findall(process.printed())[0],
            "LINK": lambda: until(lambda: LINK.findall(process.printed() + process.complained()), "the mail")[-1],
        }
        with Shell(tmp_path, address, given, environ) as shell:
            got = replayed(shown, shell)
    if WRITE:
        PAGE.write_text(got, encoding="utf-8")
    else:
        assert got == shown


def test_the_table_of_who_may_is_the_documents() -> None:
    """Row by row."""
    shown = PAGE.read_text(encoding="utf-8")
    assert TABLE.search(shown), "no table"
    if WRITE:
        PAGE.write_text(TABLE.sub(lambda _: rows(), shown), encoding="utf-8")
    else:
        assert TABLE.search(shown)[0] == rows()  # type: ignore[index]
