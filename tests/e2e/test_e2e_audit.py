"""`docs/audit.md`, tried as it shows it; and what the login APIs' own documents leave in the trail of real processes.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into the document instead.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from gateway.identity.audit import KINDS

from .parts import program
from .test_e2e_dialects import CONFIG, DEMOS, FOLDER, WRITE, demo, given
from .transcripts import Shell, replayed
from .world import PROGRAM

PAGE = FOLDER.parent / "audit.md"
ENVIRON = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
ENVIRON |= {
    name: value for name, value in os.environ.items() if name == "PYTHONPATH"
}  # another checkout than installed

# What each document's reader does, and the trail has of it, under the API's name.
LEFT = {
    "mycelium": {"link_sent", "login_succeeded", "login_waits", "factor_begun", "factor_enrolled"},
    "mployr": {
        "login_begun",
        "login_succeeded",
        "session_renewed",
        "grant_revoked",
        "factor_enrolled",
        "factor_proved",
    },
    "mikrocloud": {"login_begun", "login_succeeded"},
    "pipelit": {
        "setup_done",
        "login_succeeded",
        "factor_enrolled",
        "factor_removed",
        "recovery_code_used",
        "api_key_issued",
        "grant_revoked",
    },
    "navak": {
        "registered",
        "approval_asked",
        "approval_granted",
        "login_succeeded",
        "email_change_asked",
        "grant_revoked",
    },
}


@pytest.mark.timeout(300)  # a dozen processes, each a second and more of a busy machine
def test_the_documents_lines_get_the_answers_that_it_shows(tmp_path: Path) -> None:
    """Every line exits with 0, and prints what stands below it, but for ids, hashes and times."""
    program("curl")
    shown = PAGE.read_text(encoding="utf-8")
    with demo(tmp_path) as (process, address), Shell(tmp_path, address, given(process), ENVIRON) as shell:
        got = replayed(shown, shell)
    if WRITE:
        PAGE.write_text(got, encoding="utf-8")
    else:
        assert got == shown


def test_the_document_has_every_kind() -> None:
    """With the words that the program has for it."""
    table = "".join(f"| `{kind}` | {says} |\n" for kind, says in KINDS.items())
    assert table in PAGE.read_text(encoding="utf-8")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", DEMOS)
def test_a_dialect_leaves_its_trail(name: str, tmp_path: Path) -> None:
    """Of its document's requests; the chain is whole, and no e-mail address is in it."""
    document = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    with (
        demo(tmp_path, *DEMOS[name]) as (process, address),
        Shell(tmp_path, address, given(process), ENVIRON) as shell,
    ):
        replayed(document, shell)
        config = CONFIG.findall(process.printed())[0]
        rows = json.loads(audited("list", "--all", "--json", config=config))
        assert json.loads(audited("verify", "--json", config=config))["whole"] is True
    found = {row["kind"] for row in rows if row["dialect"] == name}
    assert LEFT[name] - found == set()
    asked = [row for row in rows if row["dialect"] == name]
    assert {row["ip"] for row in asked} == {"127.0.0.1"}
    assert all(row["requestId"] for row in asked)
    assert not re.search(r"[\w.]@|correct horse|eyJ", json.dumps(rows))


def audited(*words: str, config: str) -> str:
    done = subprocess.run([PROGRAM, "audit", *words, "-c", config], capture_output=True, text=True, check=True)
    return done.stdout
