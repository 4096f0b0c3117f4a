"""What every endpoint of every login API keeps: content types, headers, slashes, and where it stands."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from dialects.desk import NOBODY as NO_ID
from dialects.desk import Desk, opened
from e2e.world import Answer
from harness.people import People

from gateway.app.checks import compile_faults
from gateway.login.dialect import Endpoint
from gateway.settings.load import load

from .adapters import ADAPTERS, MAKERS, MOUNTS, Adapter, someone
from .conftest import ALL

Table = Mapping[str, Sequence[Endpoint]]

each = pytest.mark.parametrize("api", ADAPTERS, ids=lambda api: api.name)
SECURE = {"path": "/secure/**", "access": "protected"}
UNAUTHORIZED = {"success": False, "message": "This action is unauthorized."}
UNAUTHENTICATED = {"success": False, "message": "Unauthenticated."}


def at(endpoint: Endpoint) -> str:
    """A path of it."""
    return "/".join(NO_ID if part.startswith("{") else part for part in endpoint.path.split("/"))


def ask(desk: Desk, endpoint: Endpoint, end: str = "", **more: Any) -> Answer:
    desk.hand.rest()
    return desk.ask(endpoint.method, at(endpoint) + end, **more)


def named(endpoint: Endpoint, end: str = "") -> str:
    return f"{endpoint.method} {endpoint.path}{end}"


@each
def test_every_body_is_json_by_its_content_type(desk: Desk, table: Table, api: Adapter) -> None:
    """Else 415, which a page of another site cannot avoid without asking first."""
    token = api.enter(desk, someone(desk))
    found = {}
    for endpoint in table[api.name]:
        if endpoint.body == "json":
            for kind in ("text/plain", "application/x-www-form-urlencoded"):
                answer = ask(desk, endpoint, body=b"{}", token=token, headers={"Content-Type": kind})
                found[named(endpoint, f" {kind}")] = (answer.status, api.faulty(answer.json()))
    assert found == dict.fromkeys(found, (415, True))
    assert found


@each
def test_a_body_of_more_than_16_kib_is_refused_in_the_apis_own_words(desk: Desk, table: Table, api: Adapter) -> None:
    """By every endpoint, whether it reads one or not."""
    token = api.enter(desk, someone(desk))
    found = {}
    for endpoint in table[api.name]:
        if endpoint.method != "GET" and not endpoint.page:
            answer = ask(desk, endpoint, body=b" " * (16 * 1024 + 1), token=token)
            found[named(endpoint)] = (answer.status, api.faulty(answer.json()))
    assert found == dict.fromkeys(found, (413, True))
    assert found


@each
@pytest.mark.parametrize("body", [b"{", b"[]", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b""])
def test_what_is_no_json_is_refused_in_the_apis_own_words(desk: Desk, table: Table, api: Adapter, body: bytes) -> None:
    """By all that take a body."""
    token = api.enter(desk, someone(desk))
    found = {}
    for endpoint in table[api.name]:
        if endpoint.body == "json":
            answer = ask(desk, endpoint, body=body, token=token)
            found[named(endpoint)] = (answer.status in (400, 422), api.faulty(answer.json()))
    assert found == dict.fromkeys(found, (True, True))


@each
def test_every_answer_is_kept_by_nobody_and_is_what_it_says(desk: Desk, table: Table, api: Adapter) -> None:
    """Good or bad."""
    token = api.enter(desk, someone(desk))
    found = {}
    for endpoint in table[api.name]:
        for held in (None, token):
            headers = ask(desk, endpoint, body={}, token=held).headers
            found[named(endpoint, f" {held}")] = (headers["Cache-Control"], headers["X-Content-Type-Options"])
            token = token if desk.passes(token) else api.enter(desk, someone(desk))
    assert found == dict.fromkeys(found, ("no-store", "nosniff"))


@each
def test_a_slash_at_the_end_changes_nothing(desk: Desk, table: Table, api: Adapter) -> None:
    """For nobody in particular: the same status, and the same words."""
    for endpoint in table[api.name]:
        plain, slashed = (ask(desk, endpoint, end, body={}) for end in ("", "/"))
        assert (slashed.status, slashed.headers["Content-Type"]) == (plain.status, plain.headers["Content-Type"])
        assert (plain.code, slashed.code) == ("", ""), named(endpoint)  # else it is the edge's own answer


@each
def test_callers_are_asked_for_in_the_apis_own_words(desk: Desk, table: Table, api: Adapter) -> None:
    """By all that want one: without a credential, and with a wrong one."""
    found = {}
    for endpoint in table[api.name]:
        for token in (None, "x" * 43) if endpoint.caller != "nobody" else ():
            answer = ask(desk, endpoint, body={}, token=token)
            challenge = (answer.headers["WWW-Authenticate"] or "")[:6]
            found[named(endpoint, f" {token}")] = (answer.status, challenge, api.faulty(answer.json()))
    assert found == dict.fromkeys(found, (401, "Bearer", True))


# mounts


@each
def test_other_paths_below_a_mount_are_the_operators(desk: Desk, api: Adapter) -> None:
    """They fall through to routes, or are nowhere."""
    path, token = f"{api.mount}/beside/x", api.enter(desk, someone(desk))
    asked = [desk.ask("GET", path, token=token), desk.ask("GET", path), desk.ask("GET", f"{api.mount}/nowhere")]
    assert [answer.status for answer in asked] == [200, 401, 404]


def test_a_route_speaks_mployrs_errors(desk: Desk) -> None:
    """Seed 2: `GET /v1/people`, below the mount, with both of its bodies."""
    token = ADAPTERS[1].enter(desk, someone(desk))
    asked = [("/v1/people", token), ("/v1/people", None), ("/v1/people", "x" * 43), ("/v1/payroll", token)]
    answers = [desk.ask("GET", path, token=held) for path, held in asked]
    assert [answer.status for answer in answers] == [200, 401, 401, 403]
    assert [answer.json() for answer in answers[1:]] == [UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHORIZED]


def test_all_five_move_together(people: People, tmp_path: Path, table: Table) -> None:
    """Each works at its new mount, and nothing is left at the old one."""
    login: dict[str, Any] = {name: {**ALL.get(name, {}), "mount": f"/moved/{name}"} for name in MOUNTS}
    login["pipelit"]["keys_mount"] = "/moved/keys"
    with opened(tmp_path, people, login=login, routes=[SECURE]) as desk:
        who = someone(desk)
        tokens = [make(f"/moved/{name}").enter(desk, who) for name, make in MAKERS.items()]
        profiles = [desk.ask("GET", "/moved/mycelium/beginners/profile", token=token) for token in tokens]
        keys = desk.ask("GET", "/moved/keys", token=tokens[3])
        assert ({desk.passes(token) for token in tokens}, keys.status) == ({True}, 200)
        assert ({answer.status for answer in profiles}, len({answer.body for answer in profiles})) == ({200}, 1)
        fixed = {name for name in left(desk, table) if "/auth/telegram/" in name}  # by Mycelium, whatever the mount
        assert set(left(desk, table)) == fixed
        assert desk.ask("GET", "/_adm/beginners/profile", token=tokens[0]).status == 404


def test_nothing_is_served_of_what_is_switched_off(people: People, tmp_path: Path, table: Table) -> None:
    """Mycelium by its switch, the others by not being named; the profile is the gateway's own."""
    with opened(tmp_path, people, login={"mycelium": {"enabled": False}}, routes=[SECURE]) as desk:
        assert left(desk, table) == {}
        assert desk.ask("GET", "/_adm/beginners/profile").status == 401


def left(desk: Desk, table: Table) -> dict[str, int]:
    """What answers otherwise than what is nowhere."""
    every = [(endpoint, end) for endpoints in table.values() for endpoint in endpoints for end in ("", "/")]
    found = {named(endpoint, end): ask(desk, endpoint, end, body={}).status for endpoint, end in every}
    return {name: status for name, status in found.items() if status != 404}


# what a configuration must not say


def faults(folder: Path, login: Mapping[str, Any], routes: Sequence[str] = ()) -> list[tuple[str, int, str]]:
    """(code, line, message) of each. A line of the file for each mount, and for each route's path."""
    said = {
        "public_url": "http://gateway.test", "upstreams": {"u": {"endpoints": ["http://127.0.0.1:1"]}},
        "log": {"access": "./access.log"}, "login": login,
        "routes": [{"path": path, "upstream": "u", "access": "public"} for path in routes or ["/x-other"]],
    }  # fmt: skip
    (folder / "config.yaml").write_text(json.dumps(said, indent=1))
    return [(fault.code, fault.line, fault.message) for fault in compile_faults(load(folder / "config.yaml", {}))]


def line_of(folder: Path, name: str, key: str = "mount") -> int:
    """Where the configuration says it."""
    lines = (folder / "config.yaml").read_text().splitlines()
    start = lines.index(f'  "{name}": {{')
    return next(number for number, line in enumerate(lines[start:], start + 1) if f'"{key}":' in line)


X = {"mount": "/x"}
COLLISIONS = [
    {"mployr": X, "mikrocloud": X},  # POST /x/login, as the next two
    {"mployr": X, "navak": X},
    {"mikrocloud": X, "navak": X},
    {"mployr": X, "pipelit": X},  # GET /x/me
    {"mycelium": X, "mployr": {"mount": "/x/beginners/users"}},
]


@pytest.mark.parametrize("login", COLLISIONS, ids=" and ".join)
def test_two_apis_on_one_method_and_path_are_refused(tmp_path: Path, login: dict[str, Any]) -> None:
    """With both lines: which of them answers must not hang on their order."""
    first, second = login
    (found,) = faults(tmp_path, login)
    assert found[:2] == ("endpoint_overlap", line_of(tmp_path, second))
    assert f"config.yaml:{line_of(tmp_path, first)}:" in found[2]


def test_two_apis_on_one_method_and_path_are_refused_where_it_is_by_the_mount_for_keys(tmp_path: Path) -> None:
    """The line is that of the path which collides, not of the API's other mount."""
    login = {"pipelit": {"mount": "/api/v1/auth", "keys_mount": "/x/sessions"}, "navak": X}
    (found,) = faults(tmp_path, login)
    assert found[:2] == ("endpoint_overlap", line_of(tmp_path, "navak"))
    assert f"config.yaml:{line_of(tmp_path, 'pipelit', 'keys_mount')}:" in found[2]


@pytest.mark.parametrize("path", ["/_adm/beginners/profile", "/.well-known/jwks.json", "/api/v1/auth/me"])
def test_what_is_taken_already_is_no_mount_for_keys(tmp_path: Path, path: str) -> None:
    """By the profile, by the key set, and by the API itself."""
    found = faults(tmp_path, {"pipelit": {"mount": "/api/v1/auth", "keys_mount": path}})
    assert [fault[:2] for fault in found] == [("endpoint_overlap", line_of(tmp_path, "pipelit", "keys_mount"))]


@pytest.mark.parametrize(
    "login",
    [
        {"mikrocloud": X, "pipelit": X},
        {"mycelium": {**X, "enabled": False}, "mployr": {"mount": "/x/beginners/users"}},
    ],
    ids=["different paths", "switched off"],
)
def test_what_does_not_collide_is_let_be(tmp_path: Path, login: dict[str, Any]) -> None:
    """A mount may be shared."""
    assert faults(tmp_path, login) == []


@each
def test_an_operators_route_is_no_endpoints_path(tmp_path: Path, table: Table, api: Adapter) -> None:
    """Whichever it is, with and without a slash: it would never be reached."""
    every = sorted({endpoint.path + end for endpoint in table[api.name] for end in ("", "/")})
    found = faults(tmp_path, ALL, every)
    text = (tmp_path / "config.yaml").read_text().splitlines()
    lines = {line for code, line, _ in found if code == "route_reserved"}
    assert lines == {number for number, line in enumerate(text, 1) if line.startswith('   "path":')}
