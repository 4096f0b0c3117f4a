"""`gateway account import`: what is checked, what is done once however often it is run, and what is never said."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyotp
import pytest
from click.testing import CliRunner, Result
from e2e.parts import until
from harness.postgres import Postgres

from gateway.cli import main
from gateway.identity.arrivals import MAX_ROLES

ARGON2 = "$argon2id$v=19$m=19456,t=2,p=1$TTGe2ePd12hpC/ykP6q8Mg$KfmBiPHbkN/7I08XzMKSstkV2OnuxeCI+AK3IYgObUY"
BCRYPT = "$2b$12$eImiTXuWVxfM37uY4JANjQabcdefghijklmnopqrstuvwxyz01234"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
GOOD: dict[str, Any] = {
    "email": "ada@example.org",
    "username": "ada",
    "name": "Ada Lovelace",
    "status": "active",
    "isStaff": False,
    "isManager": True,
    "passwordHash": ARGON2,
    "totpSecret": SECRET,
    "roles": [{"tenant": "Acme", "role": "manager", "permission": "write"}],
}
Import = Callable[..., Result]


@pytest.fixture(params=["sqlite", "postgresql"])
async def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `gateway init` makes it, with the tenant Acme and two called Twin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        name = f"import_{os.urandom(4).hex()}"
        await server.execute(f"CREATE DATABASE {name}")
        (tmp_path / "config.yaml").write_text(f"store: {{ url: '{server.url(name)}' }}\n")
    return tmp_path


@pytest.fixture
def load(folder: Path) -> Import:
    """Imports these objects, or lines."""
    for words in (["init"], ["tenant", "create", "Acme"], ["tenant", "create", "Twin"], ["tenant", "create", "Twin"]):
        assert CliRunner().invoke(main, words).exit_code == 0

    def call(*lines: dict[str, Any] | str, options: tuple[str, ...] = (), mode: int = 0o600) -> Result:
        path = folder / "people.jsonl"
        path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        path.chmod(mode)
        return CliRunner().invoke(main, ["account", "import", "people.jsonl", "--json", *options])

    return call


def counted(result: Result) -> tuple[int, int, int]:
    said = json.loads(result.stdout)
    return said["created"], said["skipped"], said["conflicts"]


def listed() -> list[dict[str, Any]]:
    return json.loads(CliRunner().invoke(main, ["account", "list", "--json"]).stdout)  # type: ignore[no-any-return]


def test_an_account_comes_with_all_that_it_had(load: Import) -> None:
    """As the other commands show it."""
    result = load(GOOD, {"email": "bob@example.org"})
    assert (result.exit_code, counted(result), result.stderr) == (0, (2, 0, 0), "")
    ada, bob = listed()
    names = ("email", "username", "name", "status", "isStaff", "isManager")
    assert [ada[name] for name in names] == [GOOD[name] for name in names]
    assert (bob["name"], bob["username"], bob["isManager"]) == ("bob@example.org", None, False)
    held = json.loads(CliRunner().invoke(main, ["role", "list", "--account", ada["id"], "--json"]).stdout)
    assert [(one["tenantName"], one["role"], one["permission"]) for one in held] == [("Acme", "manager", "write")]
    removed = CliRunner().invoke(main, ["account", "reset-mfa", ada["id"], "--json"])
    assert json.loads(removed.stdout)["removed"] is True


def test_what_is_imported_is_skipped_the_next_time(load: Import) -> None:
    """With lines that are new between."""
    load(GOOD)
    assert counted(load({"email": "new@example.org"}, GOOD)) == (1, 1, 0)
    assert len(listed()) == 2


CHANGES = {
    "username": "ada2", "name": "Ada", "status": "disabled", "isStaff": True, "isManager": False,
    "passwordHash": ARGON2.replace("KfmB", "KfmC"), "totpSecret": "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU",
    "roles": [{"tenant": "Acme", "role": "reader", "permission": "read"}],
}  # fmt: skip


@pytest.mark.parametrize("field", CHANGES)
def test_what_is_different_is_told_and_stays(load: Import, field: str) -> None:
    """By line and field, without a value; the others are imported. Exit code 1."""
    load(GOOD)
    before = listed()
    result = load({"email": "new@example.org"}, GOOD | {field: CHANGES[field]})
    assert (result.exit_code, counted(result)) == (1, (1, 0, 1))
    assert "people.jsonl:2: the account is here with another" in result.stderr
    assert field in result.stderr
    assert listed()[:1] == before
    assert not [secret for secret in (ARGON2, BCRYPT, SECRET, str(CHANGES["totpSecret"])) if secret in result.stderr]


def test_roles_that_were_given_since_are_no_difference(load: Import) -> None:
    """The gateway goes on living between two imports."""
    load(GOOD)
    ada, tenant = listed()[0]["id"], json.loads(CliRunner().invoke(main, ["tenant", "list", "--json"]).stdout)[0]["id"]
    more = ["role", "assign", "--account", ada, "--tenant", tenant, "--role", "more", "--permission", "read"]
    assert CliRunner().invoke(main, more).exit_code == 0
    assert counted(load(GOOD)) == (0, 1, 0)


def test_a_hash_that_was_made_anew_is_no_difference(load: Import) -> None:
    """Whoever logged in since has one of today's kind in the place of another system's."""
    load(GOOD | {"passwordHash": BCRYPT})
    assert counted(load(GOOD | {"passwordHash": BCRYPT})) == (0, 1, 0)
    set_password = ["account", "set-password", listed()[0]["id"], "--password-stdin"]
    assert CliRunner().invoke(main, set_password, input="correct horse battery").exit_code == 0
    assert counted(load(GOOD | {"passwordHash": BCRYPT})) == (0, 1, 0)
    assert counted(load(GOOD)) == (0, 0, 1)  # one of today's kind, and another


def test_a_username_of_somebody_else_is_a_conflict(load: Import) -> None:
    """Neither gets it twice."""
    load(GOOD)
    result = load({"email": "eve@example.org", "username": "ADA"})
    assert (result.exit_code, counted(result)) == (1, (0, 0, 1))
    assert "people.jsonl:1: the username is another account's" in result.stderr


def test_a_dry_run_changes_nothing(load: Import) -> None:
    """And says what would be done."""
    load(GOOD)
    result = load(GOOD, {"email": "new@example.org"}, options=("--dry-run",))
    assert (counted(result), json.loads(result.stdout)["dryRun"]) == ((1, 1, 0), True)
    assert len(listed()) == 1


BAD: dict[str, tuple[dict[str, Any] | str, str]] = {
    "no JSON": ("{", "not one object of JSON"),
    "a list": ("[]", "not one object of JSON"),
    "a name twice": ('{"email": "a@b.org", "email": "c@d.org"}', "not one object of JSON"),
    "deep": ("[" * 100_000, "not one object of JSON"),
    "no address": ({"name": "Ada"}, 'there is no "email"'),
    "null address": ({"email": None}, 'there is no "email"'),
    "bad address": (GOOD | {"email": "ada"}, "the e-mail address is not valid"),
    "bad username": (GOOD | {"username": "a b"}, "a username has"),
    "bad name": (GOOD | {"name": ""}, "a name has"),
    "unknown": (GOOD | {"passwd": "x"}, '"passwd" is not one of email,'),
    "kind": (GOOD | {"isStaff": "yes"}, '"isStaff" must be true or false'),
    "number": (GOOD | {"name": 7}, '"name" must be text'),
    "status": (GOOD | {"status": "deleted"}, '"status" is active or disabled'),
    "hash": (GOOD | {"passwordHash": "5f4dcc3b5aa765d61d8327deb882cf99"}, "no hash of bcrypt"),
    "cut hash": (GOOD | {"passwordHash": ARGON2[:60]}, "no hash of bcrypt"),
    "dear hash": (GOOD | {"passwordHash": BCRYPT.replace("$12$", "$15$")}, "cost of 4 to 14"),
    "dear argon2": (GOOD | {"passwordHash": ARGON2.replace("m=19456", "m=1000000")}, "too much time or memory"),
    "secret": (GOOD | {"totpSecret": "not base32!"}, '"totpSecret" must be base32'),
    "short secret": (GOOD | {"totpSecret": "JBSWY3DP"}, '"totpSecret" must have 10 to 128 bytes'),
    "role": (GOOD | {"roles": [{"tenant": "Acme", "role": "manager"}]}, 'each of "roles"'),
    "slug": (GOOD | {"roles": [{"tenant": "Acme", "role": "A b", "permission": "read"}]}, "a role is"),
    "permission": (GOOD | {"roles": [{"tenant": "Acme", "role": "a", "permission": "all"}]}, '"permission" is'),
    "tenant": (GOOD | {"roles": [{"tenant": "None", "role": "a", "permission": "read"}]}, "'None': there is none"),
    "twins": (GOOD | {"roles": [{"tenant": "Twin", "role": "a", "permission": "read"}]}, "'Twin': there are several"),
    "many roles": (GOOD | {"roles": GOOD["roles"] * (MAX_ROLES + 1)}, "at most 1000 roles"),
    "long line": (GOOD | {"name": "x" * (256 << 10)}, "longer than 256 KiB"),
}


@pytest.mark.parametrize("folder", ["sqlite"], indirect=True)
@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told_by_line_before_anything_is_done(load: Import, case: str) -> None:
    """With no secret in it, and whatever else the file has."""
    line, told = BAD[case]
    result = load({"email": "first@example.org"}, line, {"email": "last@example.org"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("people.jsonl:2: ")
    assert told in result.stderr
    assert "1 faults, so nothing was imported" in result.stderr
    assert listed() == []
    assert not [secret for secret in (ARGON2, ARGON2[:60], BCRYPT, SECRET, "5f4dcc3b") if secret in result.stderr]


@pytest.mark.parametrize("folder", ["sqlite"], indirect=True)
def test_all_faults_are_told_at_once_and_there_is_an_end(load: Import) -> None:
    """Fifty by line, the rest by number."""
    result = load(*["{"] * 70)
    lines = result.stderr.splitlines()
    assert (len(lines), lines[49].split(" ")[0], lines[50]) == (52, "people.jsonl:50:", "and 20 more")


@pytest.mark.parametrize("folder", ["sqlite"], indirect=True)
@pytest.mark.parametrize("again", [{"email": "ADA@example.org"}, {"email": "eve@example.org", "username": "ADA"}])
def test_what_stands_twice_in_a_file_is_a_fault(load: Import, again: dict[str, Any]) -> None:
    """An address, or a username, however it is written."""
    result = load(GOOD, "", again)
    assert result.exit_code == 2
    assert "people.jsonl:3: the " in result.stderr
    assert "stands in line 1 too" in result.stderr


@pytest.mark.parametrize("folder", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_may_read_gets_a_warning(load: Import, mode: int, warned: bool) -> None:
    """It is imported all the same."""
    result = load(GOOD, mode=mode)
    assert (counted(result), "others may read people.jsonl" in result.stderr) == ((1, 0, 0), warned)


@pytest.mark.parametrize("folder", ["sqlite"], indirect=True)
def test_standard_input_is_read_too(load: Import) -> None:
    """By the name `-`."""
    result = CliRunner().invoke(main, ["account", "import", "-", "--json"], input=json.dumps(GOOD))
    assert counted(result) == (1, 0, 0)
    wrong = CliRunner().invoke(main, ["account", "import", "-"], input="{")
    assert wrong.stderr.startswith("standard input:1: ")


@pytest.mark.parametrize("folder", ["sqlite"], indirect=True)
def test_a_file_that_is_not_there_is_misuse(load: Import) -> None:
    """As is a folder."""
    found = [CliRunner().invoke(main, ["account", "import", name]) for name in ("absent.jsonl", "var")]
    assert [result.exit_code for result in found] == [2, 2]
    assert found[0].stderr == "gateway: absent.jsonl: no such file or directory\n"


def test_no_secret_is_readable_in_the_database(load: Import, folder: Path) -> None:
    """The second factor is sealed like others, and opens: its codes are those of the app."""
    load(GOOD)
    if (folder / "var/gateway.db").exists():
        stored = b"".join(path.read_bytes() for path in folder.glob("var/gateway.db*"))
        assert SECRET.encode() not in stored
        assert base64.b32decode(SECRET) not in stored
    assert counted(load(GOOD)) == (0, 1, 0)  # it was opened to be compared
    assert pyotp.TOTP(SECRET).now().isdigit()


MANY = 1500


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_import_is_finished_by_the_next(load: Import, folder: Path, how: signal.Signals) -> None:
    """Whatever was there when it ended; none is there twice, and none is half."""
    lines = [{"email": f"user{n}@example.org", "username": f"user{n}", "passwordHash": ARGON2} for n in range(MANY)]
    path = folder / "many.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    path.chmod(0o600)
    words = (sys.executable, "-m", "gateway", "account", "import", "many.jsonl", "--json")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: process.poll() is not None or len(listed()) > 0, "that some are there", 60)
        process.send_signal(how)
        _, told = process.communicate(timeout=60)
    there = len(listed())
    assert process.returncode in (0, -how, 128 + how), told
    if process.returncode == 128 + how:
        assert "interrupted; run it again: what is imported is skipped" in told
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"created": MANY - there, "skipped": there, "conflicts": 0}
    assert there % 200 in (0, MANY % 200)
    assert len({account["email"] for account in listed()}) == MANY
