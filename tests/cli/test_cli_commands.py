"""The commands that change accounts, grants and keys: shapes, exit codes, and what is said on which stream."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import jwt
import pytest

from gateway.cli import COMMANDS, main
from gateway.identity import connection_string

from .conftest import Ask, Run

NOBODY = "00000000-0000-4000-8000-000000000000"
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_creating_an_account_answers_its_id(ask: Ask) -> None:
    """Four fields."""
    found = ask("account", "create", "--email", "Ada@Example.org", "--username", "ada")
    assert ID.fullmatch(found.pop("id"))
    assert found == {"email": "Ada@example.org", "username": "ada", "status": "active"}


def test_a_password_is_read_from_standard_input(ask: Ask) -> None:
    """One line, without its end."""
    found = ask("account", "create", "--email", "a@b.org", "--password-stdin", text="correct horse\n")
    assert found["status"] == "active"
    assert b"correct horse" not in Path("var/gateway.db").read_bytes()


def test_a_short_password_is_refused(run: Run) -> None:
    """With the rule, not the password."""
    result = run("account", "create", "--email", "a@b.org", "--password-stdin", text="s3cret\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "8 to 128" in result.stderr
    assert "s3cret" not in result.stderr


def test_a_password_that_is_not_text_is_misuse(run: Run) -> None:
    """Bytes that are not UTF-8."""
    result = run("account", "create", "--email", "a@b.org", "--password-stdin", text=b"\xff" * 10)
    assert result.exit_code == 2


def test_staff_and_manager_exclude_each_other(run: Run) -> None:
    """One kind of account at a time."""
    assert run("account", "create", "--email", "a@b.org", "--staff", "--manager").exit_code == 2


@pytest.mark.parametrize(
    ("words", "flags"),
    [((), (False, False)), (("--staff",), (True, True)), (("--manager",), (False, True))],
)
def test_staff_are_managers_too(ask: Ask, words: tuple[str, ...], flags: tuple[bool, bool]) -> None:
    """As readers of the profile expect."""
    made = ask("account", "create", "--email", "a@b.org", *words)
    found = ask("account", "show", made["id"])
    assert (found["isStaff"], found["isManager"]) == flags


def test_a_taken_address_is_no(run: Run, ada: str) -> None:
    """Exit code 1, a line on stderr, nothing on stdout."""
    result = run("account", "create", "--email", "ADA@example.org")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "gateway: the e-mail address is taken\n")


def test_accounts_are_listed(ask: Ask, ada: str) -> None:
    """An array."""
    assert [found["id"] for found in ask("account", "list")] == [ada]


def test_disabling_and_enabling_answer_the_status(ask: Ask, ada: str) -> None:
    """The account as it is now."""
    assert ask("account", "disable", ada)["status"] == "disabled"
    assert ask("account", "show", ada)["status"] == "disabled"
    assert ask("account", "enable", ada)["status"] == "active"


@pytest.mark.parametrize(
    "words",
    [("account", "show"), ("account", "disable"), ("account", "enable"), ("tenant", "show"), ("grant", "revoke")],
)
def test_an_unknown_id_is_no(run: Run, words: tuple[str, ...]) -> None:
    """Exit code 1."""
    result = run(*words, NOBODY)
    assert (result.exit_code, result.stdout) == (1, "")


def test_an_id_that_is_none_is_misuse(run: Run) -> None:
    """Exit code 2."""
    assert run("account", "show", "ada").exit_code == 2


def test_an_id_in_another_spelling_is_the_same(ask: Ask, ada: str) -> None:
    """Capitals, no hyphens."""
    assert ask("account", "show", ada.upper().replace("-", ""))["id"] == ada


def test_a_tenant_has_an_account_of_its_own(ask: Ask, ada: str) -> None:
    """Three fields; show gives the same."""
    made = ask("tenant", "create", "Acme", "--owner", ada)
    assert made.keys() == {"id", "name", "accountId"}
    assert ask("tenant", "show", made["id"]) == made
    assert ask("tenant", "list") == [made]


def test_a_role_is_assigned_listed_and_removed(ask: Ask, held: tuple[str, str, str]) -> None:
    """The list is what counts."""
    account, tenant, role = held
    (found,) = ask("role", "list", "--account", account)
    assert (found["tenantId"], found["role"], found["permission"]) == (tenant, role, "write")
    ask("role", "remove", "--account", account, "--tenant", tenant, "--role", role, "--permission", "write")
    assert ask("role", "list", "--account", account) == []


def test_removing_what_is_not_held_is_no(run: Run, held: tuple[str, str, str]) -> None:
    """The permission counts."""
    account, tenant, role = held
    words = ("--account", account, "--tenant", tenant, "--role", role, "--permission", "read")
    assert run("role", "remove", *words).exit_code == 1


def test_a_token_names_its_account_and_grant(ask: Ask, ada: str) -> None:
    """Two fields; the token's session is the grant that the list shows."""
    found = ask("token", "issue", "--account", ada, "--lifetime", "1h")
    claims = jwt.decode(found["token"], options={"verify_signature": False})
    assert found.keys() == {"token", "expiresAt"}
    assert (claims["sub"], claims["email"], claims["exp"] - claims["iat"]) == (ada, "ada@example.org", 3600)
    assert [grant["id"] for grant in ask("grant", "list", "--account", ada)] == [claims["sid"]]


@pytest.mark.parametrize("lifetime", ["0s", "3651d"])
def test_a_lifetime_out_of_bounds_is_no(run: Run, ada: str, lifetime: str) -> None:
    """Both sides."""
    assert run("token", "issue", "--account", ada, "--lifetime", lifetime).exit_code == 1


@pytest.mark.parametrize("lifetime", ["", "1", "h", "1y", "-1h", "1.5h"])
def test_a_lifetime_out_of_form_is_misuse(run: Run, ada: str, lifetime: str) -> None:
    """With the form to write."""
    assert run("token", "issue", "--account", ada, "--lifetime", lifetime).exit_code == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("2035-01-01T00:00:00Z", "2035-01-01T00:00:00Z"),
        ("2035-01-01T02:00:00+02:00", "2035-01-01T00:00:00Z"),
        ("2035-01-01t00:00:00.9z", "2035-01-01T00:00:00Z"),
    ],
)
def test_a_connection_string_tells_its_expiry(ask: Ask, held: tuple[str, str, str], said: str, told: str) -> None:
    """In UTC and whole seconds, the same in the string and beside it."""
    account, tenant, role = held
    words = ("--account", account, "--tenant", tenant, "--role", role)
    found = ask("connection-string", "create", *words, "--expires-at", said)
    assert found.keys() == {"connectionString", "expiresAt"}
    assert found["expiresAt"] == told
    assert f"acc={account};tid={tenant};r={role};edt={told};sig=" in found["connectionString"]


def test_a_connection_string_may_be_given_a_lifetime(ask: Ask, held: tuple[str, str, str]) -> None:
    """Thirty days from now."""
    account, tenant, role = held
    words = ("--account", account, "--tenant", tenant, "--role", role)
    raw = ask("connection-string", "create", *words, "--expires-at", "30d")["connectionString"]
    (grant,) = ask("grant", "list", "--account", account)
    assert connection_string.parse(raw.encode()).roles == (role,)
    assert grant["kind"] == "connection"


@pytest.mark.parametrize("at", ["", "tomorrow", "2035-01-01", "2035-01-01T00:00:00", "2035-02-30T00:00:00Z"])
def test_an_expiry_out_of_form_is_misuse(run: Run, held: tuple[str, str, str], at: str) -> None:
    """A time without an offset is nobody's time."""
    account, tenant, role = held
    words = ("--account", account, "--tenant", tenant, "--role", role)
    assert run("connection-string", "create", *words, "--expires-at", at).exit_code == 2


def test_a_role_that_is_not_held_is_no(run: Run, held: tuple[str, str, str]) -> None:
    """Exit code 1 and nothing on stdout."""
    words = ("--account", held[0], "--tenant", held[1], "--role", "owner", "--expires-at", "1d")
    result = run("connection-string", "create", *words)
    assert (result.exit_code, result.stdout) == (1, "")


def test_the_other_form_is_issued_by_option(run: Run, ask: Ask, held: tuple[str, str, str]) -> None:
    """`connection_strings.format` says which."""
    with Path("config.yaml").open("a") as config:
        config.write("connection_strings: { format: mycelium }\n")
    words = ("--account", held[0], "--tenant", held[1], "--role", held[2], "--expires-at", "1d")
    raw = ask("connection-string", "create", *words)["connectionString"]
    assert connection_string.parse(raw.encode()).form == "mycelium"


def test_revoking_is_told_in_the_list(ask: Ask, ada: str) -> None:
    """The second time is told too."""
    ask("token", "issue", "--account", ada)
    (grant,) = ask("grant", "list", "--account", ada)
    assert ask("grant", "revoke", grant["id"]) == {"id": grant["id"], "revoked": True, "before": False}
    assert ask("grant", "revoke", grant["id"])["before"] is True
    assert ask("grant", "list", "--account", ada)[0]["revokedAt"] is not None


def test_keys_are_listed_without_their_secrets(ask: Ask) -> None:
    """Three at first."""
    found = ask("keys", "list")
    assert sorted(key["purpose"] for key in found) == ["assertion", "connection_string", "token"]
    assert found[0].keys() == {"id", "kind", "purpose", "algorithm", "state", "createdAt", "liveGrants"}


def test_a_mac_rotation_counts_what_hangs_on_the_oldest(run: Run, ask: Ask, held: tuple[str, str, str]) -> None:
    """Refused with a number; with --force the grants end."""
    words = ("--account", held[0], "--tenant", held[1], "--role", held[2], "--expires-at", "1d")
    ask("connection-string", "create", *words)
    assert [ask("keys", "rotate", "--kind", "mac")["id"] for _ in range(2)] == ["2", "3"]
    refused = run("keys", "rotate", "--kind", "mac")
    assert refused.exit_code == 1
    assert "1 live connection strings" in refused.stderr
    assert ask("keys", "rotate", "--kind", "mac", "--force")["id"] == "4"
    assert ask("grant", "list", "--account", held[0])[0]["revokedAt"] is not None


def test_a_signing_rotation_makes_another_key_active(ask: Ask) -> None:
    """Of the configured algorithm."""
    new = ask("keys", "rotate")["id"]
    active = [key["id"] for key in ask("keys", "list") if (key["purpose"], key["state"]) == ("token", "active")]
    assert active == [new]


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_json_may_stand_anywhere(run: Run, ada: str, place: int) -> None:
    """Before the noun, before the verb, after it, after its arguments."""
    words = ["account", "show", ada]
    words.insert(place, "--json")
    assert json.loads(run(*words).stdout)["id"] == ada


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_configuration_may_be_named_anywhere(run: Run, place: int) -> None:
    """Before the noun, before the verb, after it."""
    Path("config.yaml").rename("other.yaml")
    words = ["account", "list"]
    words[place:place] = ["-c", "other.yaml"]
    assert run("account", "list").exit_code == 2
    assert run(*words).exit_code == 0


def test_the_configuration_may_be_in_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no ./config.yaml."""
    Path("config.yaml").rename("other.yaml")
    monkeypatch.setenv("GATEWAY_CONFIG", "other.yaml")
    assert run("account", "list").exit_code == 0


def test_options_before_a_lazy_command_reach_it(run: Run) -> None:
    """`gateway --json -c FILE check`."""
    Path("other.yaml").write_text("nonsense: 1\n")
    result = run("--json", "-c", "other.yaml", "check")
    assert result.exit_code == 1
    assert json.loads(result.stdout)[0]["code"] == "unknown_key"


def test_help_says_of_a_command_what_its_own_says() -> None:
    """Of those that say a lot, the gist."""
    context, found = click.Context(main), {}
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        found[name] = command.get_short_help_str(200)
    assert {name for name in found if found[name] != COMMANDS[name]} == {"diff", "serve"}


def test_help_imports_no_command() -> None:
    """It takes a tenth of the time."""
    code = (
        "import sys; from gateway.cli import main; main(['--help'], standalone_mode=False)\n"
        "print(sorted(name for name in sys.modules if name.startswith(('gateway.store', 'pydantic', 'sqlalchemy'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_text_is_for_people(run: Run, ada: str) -> None:
    """A table with a heading, no braces."""
    lines = run("account", "list").stdout.splitlines()
    assert lines[0].split() == ["id", "email", "username", "status", "name"]
    assert lines[1].split() == [ada, "ada@example.org", "-", "active", "ada@example.org"]


def test_an_empty_list_prints_nothing(run: Run) -> None:
    """On stdout; a word on stderr."""
    result = run("tenant", "list")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "none\n")


def test_a_store_that_is_gone_is_told(run: Run) -> None:
    """Exit code 3."""
    Path("var/gateway.db").rename("var/away.db")
    result = run("account", "list")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "gateway migrate" in result.stderr


def test_a_faulty_configuration_is_misuse(run: Run) -> None:
    """Exit code 2, with the place."""
    Path("config.yaml").write_text("nonsense: 1\n")
    result = run("account", "list")
    assert result.exit_code == 2
    assert "config.yaml:1:1" in result.stderr


def test_a_reload_without_a_gateway_is_a_dependency_down(run: Run) -> None:
    """Exit code 3."""
    text = Path("config.yaml").read_text()
    Path("config.yaml").write_text(text.replace("9901", "1"))
    assert run("reload").exit_code == 3


def test_a_reload_of_a_wrong_configuration_is_a_no(run: Run) -> None:
    """As the gateway itself would answer: exit code 1, with the place."""
    Path("config.yaml").write_text("rutes: []")
    result = run("reload")
    assert result.exit_code == 1
    assert "config.yaml:1:1: unknown key" in result.stderr


def test_the_schema_takes_the_options_that_every_command_takes(run: Run) -> None:
    """They change nothing about it."""
    assert run("schema", "-c", "config.yaml", "--json").stdout == run("schema").stdout != ""
