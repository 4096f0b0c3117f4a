"""`gateway init` and `gateway migrate`: what is made, what is kept."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.store.revision import NEWEST
from gateway.store.seal import master_key

from .conftest import Ask, Run


def mode(path: str) -> int:
    return os.stat(path).st_mode & 0o777


def test_init_makes_all_that_a_gateway_needs(ask: Ask) -> None:
    """The database has its tables and keys: the next command works."""
    assert len(ask("keys", "list")) == 3


@pytest.mark.parametrize("path", ["var/master.key", "var/admin.token", "var/gateway.db"])
def test_secrets_are_their_owners(run: Run, path: str) -> None:
    """Nobody else may read them."""
    assert (mode(path), mode("var")) == (0o600, 0o700)


def test_the_master_key_is_32_bytes(run: Run) -> None:
    """In base64."""
    assert len(master_key(Path("var/master.key").read_text())) == 32


def test_init_again_keeps_everything(ask: Ask, ada: str) -> None:
    """Byte for byte, and says so."""
    paths = [Path("var/master.key"), Path("var/admin.token"), Path("config.yaml")]
    before = [path.read_bytes() for path in paths]
    found = ask("init")
    assert (found["created"], found["kept"]) == ([], [str(path) for path in paths])
    assert [path.read_bytes() for path in paths] == before
    assert [account["id"] for account in ask("account", "list")] == [ada]


def test_init_makes_the_folder(tmp_path: Path) -> None:
    """With `--dir`."""
    result = CliRunner().invoke(main, ["init", "--dir", str(tmp_path / "new")])
    assert result.exit_code == 0
    assert sorted(os.listdir(tmp_path / "new")) == ["config.yaml", "var"]


def test_init_with_a_lost_master_key_is_told(run: Run) -> None:
    """A new key cannot open the old keys."""
    Path("var/master.key").unlink()
    result = run("init")
    assert result.exit_code == 3
    assert "secrets.master_key" in result.stderr


def test_migrate_makes_the_database(ask: Ask) -> None:
    """And the first keys."""
    Path("var/gateway.db").unlink()
    assert ask("migrate") == {"from": None, "to": NEWEST, "keysMade": True}


def test_migrate_again_changes_nothing(ask: Ask) -> None:
    """It may run at every start."""
    assert ask("migrate") == {"from": NEWEST, "to": NEWEST, "keysMade": False}


def test_a_master_key_of_another_size_is_misuse(run: Run) -> None:
    """With the rule, without the key."""
    Path("var/master.key").write_text("c2hvcnQ=")
    result = run("account", "list")
    assert result.exit_code == 2
    assert "32 bytes" in result.stderr
    assert "c2hvcnQ" not in result.stderr
