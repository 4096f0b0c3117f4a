"""What the command line does to passwords and to the demand for a second factor."""

import sqlite3
from contextlib import closing
from pathlib import Path

import bcrypt
import pytest

from .conftest import Ask, Run

NOBODY = "00000000-0000-4000-8000-000000000000"


def stored(account_id: str) -> str:
    with closing(sqlite3.connect("var/gateway.db")) as connection:
        rows = connection.execute("SELECT phc FROM password WHERE account_id = ?", (account_id,)).fetchall()
    return str(rows[0][0]) if rows else ""


def waiting() -> list[str]:
    """The kinds of mails that wait."""
    with closing(sqlite3.connect("var/gateway.db")) as connection:
        return [str(row[0]) for row in connection.execute("SELECT template FROM outbox ORDER BY created_at")]


def test_a_bcrypt_hash_is_imported(ask: Ask) -> None:
    """As it is; the first login makes it anew."""
    phc = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    found = ask("account", "create", "--email", "a@b.org", "--password-hash-stdin", text=f"{phc}\n")
    assert stored(found["id"]) == phc


def test_what_is_no_hash_is_not_imported(run: Run, ask: Ask) -> None:
    """Exit code 1, without the text, and no account is made."""
    result = run("account", "create", "--email", "a@b.org", "--password-hash-stdin", text="correct horse\n")
    assert (result.exit_code, "correct horse" in result.stderr) == (1, False)
    assert ask("account", "list") == []


def test_a_password_and_a_hash_exclude_each_other(run: Run) -> None:
    """There is one line."""
    words = ("account", "create", "--email", "a@b.org", "--password-stdin", "--password-hash-stdin")
    assert run(*words, text="x\n").exit_code == 2


@pytest.mark.parametrize("password", ["iloveyou", "lovelace1815", "Ada Byron", "countess9"])
def test_a_weak_password_is_refused_with_the_reason(run: Run, password: str) -> None:
    """Common, or known of the account."""
    names = ("--email", "lovelace@example.org", "--username", "countess", "--name", "Ada Byron")
    result = run("account", "create", *names, "--password-stdin", text=f"{password}\n")
    assert (result.exit_code, result.stdout, password in result.stderr) == (1, "", False)
    assert "a password is not" in result.stderr or "most common" in result.stderr


def test_a_password_is_set(ask: Ask, ada: str) -> None:
    """And its holder is told."""
    found = ask("account", "set-password", ada, "--password-stdin", text="correct horse\n")
    assert (found["id"], stored(ada)[:10], waiting()) == (ada, "$argon2id$", ["password_changed"])


def test_setting_a_password_ends_the_accounts_credentials(ask: Ask, ada: str) -> None:
    """All of them."""
    ask("token", "issue", "--account", ada)
    ask("account", "set-password", ada, "--password-stdin", text="correct horse\n")
    assert [grant["revokedAt"] is None for grant in ask("grant", "list", "--account", ada)] == [False]


def test_a_password_that_is_the_holders_name_is_not_set(run: Run, ada: str) -> None:
    """The account knows it."""
    result = run("account", "set-password", ada, "--password-stdin", text="ada@example.org\n")
    assert (result.exit_code, stored(ada)) == (1, "")


def test_a_password_comes_from_standard_input_alone(run: Run, ada: str) -> None:
    """An argument would be in the shell's history."""
    assert run("account", "set-password", ada).exit_code == 2


def test_a_code_to_set_a_password_is_mailed(ask: Ask, ada: str) -> None:
    """By the running gateway."""
    assert (ask("account", "send-reset", ada)["id"], waiting()) == (ada, ["password_reset"])


def test_nobody_resets_a_disabled_account(run: Run, ask: Ask, ada: str) -> None:
    """Exit code 1, and no mail."""
    ask("account", "disable", ada)
    result = run("account", "send-reset", ada)
    assert (result.exit_code, result.stderr, waiting()) == (1, "gateway: the account is not active\n", [])


def test_a_second_factor_is_required_and_not_any_more(ask: Ask, ada: str) -> None:
    """Twice does no harm."""
    said = [ask("account", name, ada)["mfaRequired"] for name in ("require-mfa", "require-mfa", "allow-no-mfa")]
    assert said == [True, True, False]


@pytest.mark.parametrize("words", [("require-mfa",), ("allow-no-mfa",), ("send-reset",)])
def test_an_unknown_account_is_no(run: Run, words: tuple[str, ...]) -> None:
    """Exit code 1."""
    result = run("account", *words, NOBODY)
    assert (result.exit_code, result.stdout) == (1, "")


def test_no_password_is_in_the_database(ask: Ask, ada: str) -> None:
    """Nor in its log."""
    ask("account", "set-password", ada, "--password-stdin", text="correct horse\n")
    assert not any(b"correct horse" in path.read_bytes() for path in Path("var").glob("gateway.db*"))
