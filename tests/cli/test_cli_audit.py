"""`gateway audit`, and that every command which changes something is told."""

import json
import os
import pwd
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from gateway.cli import main
from gateway.identity.audit import KINDS

from .conftest import Ask, Run

ME = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
HEAD = re.compile(r"\d+:[0-9a-f]{64}")
ADDRESS = "ada@example.org"


def rows(ask: Ask, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask("audit", "list", *words)
    return found


def tamper(statement: str) -> None:
    with closing(sqlite3.connect("var/gateway.db")) as connection:
        connection.execute(statement)
        connection.commit()


def made(ask: Ask) -> str:
    return str(ask("account", "create", "--email", ADDRESS)["id"])


def held(ask: Ask) -> tuple[str, ...]:
    tenant = ask("tenant", "create", "Acme")["id"]
    words = ("--account", made(ask), "--tenant", tenant, "--role", "manager")
    ask("role", "assign", *words, "--permission", "write")
    return words


def enable(ask: Ask) -> None:
    account = made(ask)
    ask("account", "disable", account)
    ask("account", "enable", account)


def revoke(ask: Ask) -> None:
    account = made(ask)
    ask("token", "issue", "--account", account)
    ask("grant", "revoke", ask("grant", "list", "--account", account)[0]["id"])


def brought(ask: Ask) -> Any:
    Path("people.jsonl").write_text(json.dumps({"email": ADDRESS}) + "\n")
    Path("people.jsonl").chmod(0o600)
    return ask("account", "import", "people.jsonl")


# Each command that changes the store, and what the trail calls it.
COMMANDS: dict[str, tuple[str, Callable[[Ask], Any]]] = {
    "account create": ("account_created", made),
    "account import": ("account_imported", brought),
    "account disable": ("account_disabled", lambda ask: ask("account", "disable", made(ask))),
    "account enable": ("account_enabled", enable),
    "account reset-mfa": ("factor_removed", lambda ask: ask("account", "reset-mfa", made(ask))),
    "account require-mfa": ("mfa_required", lambda ask: ask("account", "require-mfa", made(ask))),
    "account allow-no-mfa": (
        "mfa_not_required", lambda ask: ask("account", "allow-no-mfa", ask("account", "require-mfa", made(ask))["id"]),
    ),
    "account set-password": (
        "password_changed",
        lambda ask: ask("account", "set-password", made(ask), "--password-stdin", text="correct horse battery\n"),
    ),
    "account send-reset": ("reset_sent", lambda ask: ask("account", "send-reset", made(ask))),
    "tenant create": ("tenant_created", lambda ask: ask("tenant", "create", "Acme")),
    "role assign": ("role_assigned", held),
    "role remove": ("role_removed", lambda ask: ask("role", "remove", *held(ask))),
    "token issue": ("token_issued", lambda ask: ask("token", "issue", "--account", made(ask))),
    "connection-string create": (
        "connection_string_issued",
        lambda ask: ask("connection-string", "create", *held(ask), "--expires-at", "30d"),
    ),
    "grant revoke": ("grant_revoked", revoke),
    "keys rotate": ("key_rotated", lambda ask: ask("keys", "rotate")),
    "migrate": ("store_migrated", lambda _: None),  # `init` did
}  # fmt: skip
QUIET = {"list", "show", "verify", "head", "kinds"}
ELSEWHERE = {
    "check",
    "diff",
    "explain",
    "schema",
    "serve",
    "init",
    "reload",
    "upgrade",
}  # ask a gateway, or change no store


def test_every_command_is_told_or_changes_nothing() -> None:
    """A command that is added is looked at."""
    found = set()
    context = click.Context(main)
    for name in main.list_commands(context):
        parts = getattr(main.get_command(context, name), "commands", None)
        found |= {f"{name} {part}" for part in parts if part not in QUIET} if parts else {name} - ELSEWHERE
    assert found == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_told(ask: Ask, command: str) -> None:
    """By the user of the system who gave it; and the chain is whole, with nothing left waiting."""
    kind, work = COMMANDS[command]
    work(ask)
    assert [row["actor"] for row in rows(ask, "--kind", kind)][-1] == ME
    verdict = ask("audit", "verify")
    assert (verdict["whole"], verdict["waiting"]) == (True, 0)


def test_a_secret_of_the_command_line_is_not_in_the_trail(ask: Ask) -> None:
    """Nor in the database at all, but where it is sealed."""
    token = ask("token", "issue", "--account", made(ask))["token"]
    text = json.dumps(rows(ask, "--all"))
    assert token not in text
    assert ADDRESS not in text


def test_a_list_is_a_table_for_people(run: Run, ask: Ask) -> None:
    """Names above, and what is not known as a line."""
    made(ask)
    lines = run("audit", "list", "--limit", "1").stdout.splitlines()
    assert lines[0].split() == ["id", "at", "kind", "outcome", "actor", "account", "ip", "subject"]
    assert lines[1].split()[2:5] == ["account_created", "done", ME]


def test_an_empty_list_says_so(run: Run, ask: Ask) -> None:
    """On the other stream; in JSON it is an empty list."""
    result = run("audit", "list", "--kind", "bot_configured")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "none\n")
    assert rows(ask, "--kind", "bot_configured") == []


def test_filters_narrow_a_list(ask: Ask) -> None:
    """By account, by time, by number, and the page before."""
    account = made(ask)
    ask("account", "disable", account)
    found = rows(ask, "--account", account)
    assert [row["kind"] for row in found] == ["account_created", "account_disabled"]
    assert rows(ask, "--account", account, "--limit", "1") == found[1:]
    assert rows(ask, "--account", account, "--before", str(found[1]["id"])) == found[:1]
    assert rows(ask, "--since", "1h", "--account", account) == found
    assert rows(ask, "--until", "1h", "--account", account) == []
    assert rows(ask, "--since", "2034-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "words", [("--kind", "nonsense"), ("--limit", "0"), ("--since", "yesterday"), ("--account", "ada")]
)
def test_a_filter_that_cannot_be_is_misuse(run: Run, words: tuple[str, str]) -> None:
    """It is said, rather than an empty list."""
    assert run("audit", "list", *words).exit_code == 2


def test_a_broken_trail_is_exit_code_1(run: Run) -> None:
    """With the row and what is wrong with it on the error stream, and all of it in JSON."""
    tamper("UPDATE audit_event SET actor = 'cli:nobody' WHERE seq = 2")
    result = run("audit", "verify", "--json")
    assert result.exit_code == 1
    assert "row 2: changed" in result.stderr
    said = json.loads(result.stdout)
    assert (said["whole"], said["brokenRow"], said["fault"], said["rows"]) == (False, 2, "changed", 1)


def test_a_store_that_is_away_is_exit_code_3(run: Run) -> None:
    """Nobody knows then."""
    Path("var/gateway.db").rename("var/elsewhere")
    assert run("audit", "verify").exit_code == 3


def test_a_broken_trail_stops_no_command(run: Run) -> None:
    """At three in the morning an account is to be disabled, whatever else is wrong."""
    tamper("DELETE FROM audit_anchor")
    assert run("account", "create", "--email", ADDRESS).exit_code == 0
    assert run("audit", "list", "--kind", "account_created").stdout.count("account_created") == 1
    assert run("audit", "verify").exit_code == 1


def test_a_head_is_written_down_and_met(run: Run, ask: Ask) -> None:
    """And another one is not."""
    head = ask("audit", "head")["head"]
    assert HEAD.fullmatch(head)
    made(ask)
    assert run("audit", "verify", "--head", head).exit_code == 0
    assert ask("audit", "verify", "--since", head)["rows"] == 1
    number = head.partition(":")[0]
    result = run("audit", "verify", "--head", f"{number}:{'0' * 64}")
    assert result.exit_code == 1
    assert "does not have this head" in result.stderr


def test_a_head_out_of_form_is_misuse(run: Run) -> None:
    """The text says what it must be."""
    result = run("audit", "verify", "--head", "7")
    assert result.exit_code == 2
    assert "64 hex digits" in result.stderr


def test_the_kinds_are_listed(ask: Ask) -> None:
    """All of them."""
    assert [row["kind"] for row in ask("audit", "kinds")] == list(KINDS)


def test_it_is_a_process_like_any_other(run: Run, ask: Ask) -> None:
    """As an operator calls it, with its exit codes."""
    made(ask)
    program = [sys.executable, "-m", "gateway", "audit"]
    whole = subprocess.run([*program, "verify", "--json"], capture_output=True, text=True, check=False)
    assert (whole.returncode, json.loads(whole.stdout)["whole"]) == (0, True)
    tamper("DELETE FROM audit_event WHERE seq = 3")
    broken = subprocess.run([*program, "verify"], capture_output=True, text=True, check=False)
    assert (broken.returncode, "row 3: missing" in broken.stderr) == (1, True)
