"""How long sessions live, and what ends them: `jwtExpiresIn`, logging out, new passwords, second factors, operators."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from e2e.parts import until
from e2e.world import PROGRAM
from harness.people import People

from .desk import BASE, LINKS, PASSWORD, TOTP, Desk, Person, opened

USERS = f"{BASE}/users"


def lifetime(desk: Desk) -> tuple[int, int]:
    """As a login says it, and as its token does."""
    answer = desk.post(f"{LINKS}/verify", {"token": desk.link(desk.person())}).json()
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    return answer["duration"], claims["exp"] - claims["iat"]


@pytest.mark.parametrize(("said", "seconds"), [({}, 86400), ({"lifetime": "2h"}, 7200), ({"lifetime": "90s"}, 90)])
def test_a_session_lives_as_long_as_is_configured(
    people: People, tmp_path: Path, said: dict[str, str], seconds: int
) -> None:
    """The page's jwtExpiresIn is `tokens.lifetime`; a day by default."""
    with opened(tmp_path, people, tokens=said) as desk:
        assert lifetime(desk) == (seconds, seconds)


def test_a_lifetime_is_the_same_wherever_in_a_second_it_begins(desk: Desk) -> None:
    """Both of its ends are rounded alike."""
    found = set()
    for _ in range(10):
        desk.hand.rest()
        desk.hand.ahead += 0.09
        found.add(lifetime(desk))
    assert found == {(86400, 86400)}


@pytest.mark.parametrize(("seconds", "good"), [(86400 - 60, True), (86400 + 1, False)])
def test_a_session_ends_with_its_lifetime(desk: Desk, seconds: int, good: bool) -> None:
    """By the gateway's clock, though the token was believed a moment ago."""
    token = desk.login()
    assert desk.passes(token)
    desk.hand.ahead += seconds
    assert desk.passes(token) is good


@pytest.mark.parametrize(("seconds", "status"), [(240, 200), (301, 401)])
def test_half_a_session_waits_five_minutes(desk: Desk, seconds: int, status: int) -> None:
    """Then one logs in again."""
    app, token = desk.pending()
    desk.hand.ahead += seconds
    assert desk.post(f"{TOTP}/check-token", {"token": desk.code(app.secret)}, token).status == status


def log_out(desk: Desk, person: Person, token: str) -> None:
    assert desk.post(f"{USERS}/logout", token=token).status == 204


def change_password(desk: Desk, person: Person, token: str) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": "another horse battery"}
    assert desk.ask("PUT", f"{USERS}/password", body, token=token).status == 204


def reset_password(desk: Desk, person: Person, token: str) -> None:
    body = {"email": person.email, "token": desk.reset_code(person), "newPassword": "another horse battery"}
    assert desk.post(f"{USERS}/reset-password", body).status == 204


def enable(desk: Desk, person: Person, token: str) -> None:
    body = {"token": desk.code(desk.begun(token))}
    assert desk.post(f"{TOTP}/validate-app", body, token).status == 200


def end_others(desk: Desk, person: Person, token: str) -> None:
    assert desk.ask("DELETE", f"{BASE}/sessions", token=token).status == 204


# how; whether the session that asked goes on; whether the others do
ENDS = [
    (log_out, False, True),
    (change_password, True, False),
    (reset_password, False, False),
    (enable, True, False),
    (end_others, True, False),
]


@pytest.mark.parametrize(("end", "mine", "others"), ENDS)
def test_what_ends_sessions_ends_them_with_its_answer(
    desk: Desk, end: Callable[[Desk, Person, str], None], mine: bool, others: bool
) -> None:
    """The next request already is refused, though the tokens were believed a moment ago."""
    person = desk.person()
    own, other = desk.login(person), desk.login(person)
    assert (desk.passes(own), desk.passes(other)) == (True, True)
    end(desk, person, own)
    assert (desk.passes(own), desk.passes(other)) == (mine, others)


def test_disabling_a_second_factor_ends_the_other_sessions(desk: Desk) -> None:
    """And keeps the one that asked."""
    person = desk.person()
    app, other = desk.pending(person)
    assert desk.post(f"{TOTP}/check-token", {"token": desk.code(app.secret)}, other).status == 200
    assert (desk.passes(app.token), desk.passes(other)) == (True, True)
    assert desk.post(f"{TOTP}/disable", {"token": desk.code(app.secret)}, app.token).status == 204
    assert (desk.passes(app.token), desk.passes(other)) == (True, False)


@pytest.mark.parametrize("end", [change_password, reset_password, enable])
def test_the_same_ends_connection_strings(desk: Desk, end: Callable[[Desk, Person, str], None]) -> None:
    """All other grants, whatever their form."""
    person = desk.person()
    token = desk.login(person)
    string = desk.string(person, token)
    assert desk.ask("GET", "/roles/x", string=string).status == 200
    end(desk, person, token)
    assert desk.ask("GET", "/roles/x", string=string).status == 401


@pytest.mark.parametrize("action", ["revoke", "delete"])
def test_a_string_that_was_ended_passes_no_more(desk: Desk, action: str) -> None:
    """With the answer to its end."""
    person = desk.person()
    token = desk.login(person)
    string = desk.string(person, token)
    assert desk.ask("GET", "/roles/x", string=string).status == 200
    (found,) = desk.ask("GET", f"{BASE}/tokens", token=token).json()
    path = f"{BASE}/tokens/{found['id']}"
    done = desk.post(f"{path}/revoke", token=token) if action == "revoke" else desk.ask("DELETE", path, token=token)
    assert (done.status, desk.ask("GET", "/roles/x", string=string).status) == (204, 401)


def test_an_account_that_an_operator_disables_ends_within_a_second(desk: Desk) -> None:
    """`gateway account disable` is another process: the gateway looks twice a second."""
    person = desk.person()
    token = desk.login(person)
    assert desk.passes(token)
    folder = desk.host.running.people.folder
    command = [PROGRAM, "account", "disable", person.account, "-c", "config.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    until(lambda: not desk.passes(token), "the end of a disabled account's session")


def test_a_disabled_account_gets_no_session(desk: Desk) -> None:
    """With a link that was mailed before, either."""
    person = desk.person()
    link = desk.link(person)
    desk.host.do(desk.accounts.disable(person.account))
    assert desk.post(f"{LINKS}/verify", {"token": link}).status == 401
