"""A folder made by `gateway init`, and the command line run in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main

Run = Callable[..., Result]
Ask = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an initialised folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    assert CliRunner().invoke(main, ["init"]).exit_code == 0

    def call(*words: str, text: str | bytes | None = None) -> Result:
        return CliRunner().invoke(main, words, input=text)

    return call


@pytest.fixture
def ask(run: Run) -> Ask:
    """Runs a command with `--json` that must succeed: what it printed."""

    def call(*words: str, text: str | None = None) -> Any:
        result = run(*words, "--json", text=text)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return call


@pytest.fixture
def ada(ask: Ask) -> str:
    """The id of an account."""
    return str(ask("account", "create", "--email", "ada@example.org")["id"])


@pytest.fixture
def held(ask: Ask, ada: str) -> tuple[str, str, str]:
    """The arguments of an account that is manager in a tenant: `--account`, `--tenant`, `--role` values."""
    tenant = ask("tenant", "create", "Acme")["id"]
    words = ("--account", ada, "--tenant", tenant, "--role", "manager")
    ask("role", "assign", *words, "--permission", "write")
    return ada, tenant, "manager"
