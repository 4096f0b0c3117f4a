"""`gateway explain`: the decision, its reason, what would be sent and stripped, and no secret in any of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import Ask, Run

ROUTES = """
upstreams:
  orders: { endpoints: [http://127.0.0.1:9001/base] }
routes:
  - { path: /public/**, upstream: orders, access: public }
  - { path: /auth/**, upstream: orders, access: authenticated }
  - path: /orders/**
    methods: [GET, POST]
    upstream: orders
    access: { roles: [{ role: manager, permission: write }] }
    strip_prefix: /orders
    limits: { body: 10B }
  - { path: /mfa/**, upstream: orders, access: { kind: protected, mfa: required } }
  - path: /ruled/**
    upstream: orders
    access: public
    headers: { request: { set: { x-upstream: { file: key } , x-from: gateway }, remove: [cookie] } }
    cors: { origins: [https://app.example] }
"""


@pytest.fixture
def shop(run: Run) -> Run:
    """The command line in a folder with routes."""
    Path("key").write_text("hunter2")
    with Path("config.yaml").open("a") as config:
        config.write(ROUTES)
    return run


@pytest.fixture
def token(shop: Run, ask: Ask, held: tuple[str, str, str]) -> str:
    """A manager's."""
    return str(ask("token", "issue", "--account", held[0])["token"])


@pytest.fixture
def string(shop: Run, ask: Ask, held: tuple[str, str, str]) -> str:
    """A manager's."""
    account, tenant, role = held
    words = ("--account", account, "--tenant", tenant, "--role", role, "--expires-at", "1d")
    return str(ask("connection-string", "create", *words)["connectionString"])


def told(run: Run, *words: str, code: int = 0) -> Any:
    """What `--json` prints."""
    result = run("explain", *words, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def sent(found: Any) -> dict[str, str]:
    return {header["name"]: header["value"] for header in found["headers"]}


def test_the_json_has_the_documented_members(shop: Run) -> None:
    """Ten, and three of every step."""
    found = told(shop, "GET", "/public/x")
    decided = ["decision", "code", "route", "access", "credential"]
    assert list(found) == [*decided, "sent", "headers", "stripped", "steps", "logged"]
    assert {tuple(step) for step in found["steps"]} == {("check", "outcome", "detail")}


def test_a_public_request_would_be_forwarded(shop: Run) -> None:
    """Exit code 0 and no code."""
    found = told(shop, "GET", "/public/x")
    assert (found["decision"], found["code"]) == ("forwarded", None)
    assert found["credential"] == {"kind": "none", "outcome": "absent"}


def test_a_credential_on_a_public_route_is_ignored(shop: Run) -> None:
    """Even one that is wrong."""
    found = told(shop, "GET", "/public/x", "--bearer", "nobody")
    assert (found["decision"], found["credential"]) == ("forwarded", {"kind": "opaque", "outcome": "ignored"})


def test_a_bearer_token_is_verified(shop: Run, token: str) -> None:
    """Against the store, without a running gateway."""
    found = told(shop, "GET", "/orders/1", "--bearer", token)
    assert (found["decision"], found["credential"]) == ("forwarded", {"kind": "jwt", "outcome": "verified"})
    assert "x-mycelium-profile" in sent(found)


def test_a_connection_string_is_verified(shop: Run, string: str) -> None:
    """It fixes the tenant, which the upstream is told."""
    found = told(shop, "GET", "/orders/1", "--connection-string", string)
    assert found["credential"] == {"kind": "connection_string", "outcome": "verified"}
    assert "x-mycelium-tenant-id" in sent(found)


def test_every_step_is_told_in_order(shop: Run, token: str) -> None:
    """Eight checks."""
    found = told(shop, "GET", "/orders/1", "--bearer", token)
    checks = [(step["check"], step["outcome"]) for step in found["steps"]]
    names = ("request", "route", "limits", "path", "credential", "access", "body", "headers")
    assert checks == [(name, "ok") for name in names]


def test_the_route_is_told_with_its_place(shop: Run) -> None:
    """file:line of the route's path."""
    place = told(shop, "GET", "/auth/x", code=1)["route"]["place"]
    name, _, line = place.rpartition(":")
    assert Path(name).read_text().splitlines()[int(line) - 1].split()[3] == "/auth/**,"


def test_the_access_rule_is_told(shop: Run) -> None:
    """As it is configured."""
    found = told(shop, "GET", "/orders/1", code=1)
    assert found["access"] == {
        "kind": "roles",
        "roles": [{"role": "manager", "permission": "write"}],
        "mfa": False,
        "scopes": [],
        "issuers": [],
    }


@pytest.mark.parametrize(
    ("words", "code", "check"),
    [
        (("GET", "/public/a//b"), "ambiguous_path", "request"),
        (("GET", "/public/x", "-H", "a_b: c"), "bad_header_name", "request"),
        (("GET", "/public/x", "-H", "Host: a b"), "bad_host", "request"),
        (("GET", "http://user@example.org/public/x"), "bad_host", "request"),
        (("get", "/public/x"), "malformed_request", "request"),
        (("TRACE", "/public/x"), "method_refused", "request"),
        (("GET", "/public/x", "-H", f"X-A: {'a' * 8200}"), "head_too_large", "request"),
        (("GET", "/" + "a" * 8200), "target_too_long", "request"),
        (("GET", "/nowhere"), "no_route", "route"),
        (("DELETE", "/orders/1"), "method_not_allowed", "route"),
        (("GET", "/public/a%2Fb"), "ambiguous_path", "path"),
        (("GET", "/auth/x"), "no_credential", "credential"),
        (("GET", "/auth/x", "--bearer", "nobody"), "invalid_credential", "credential"),
        (("GET", "/auth/x", "--connection-string", "acc=1"), "invalid_credential", "credential"),
        (("GET", "/auth/x", "--bearer", "a.b"), "invalid_credential", "credential"),
    ],
)
def test_a_refusal_names_its_code_and_its_check(shop: Run, words: tuple[str, ...], code: str, check: str) -> None:
    """Exit code 1; nothing follows the check that refused."""
    found = told(shop, *words, code=1)
    last = found["steps"][-1]
    assert (found["decision"], found["code"]) == ("refused", code)
    assert (last["check"], last["outcome"]) == (check, "refused")
    assert found["headers"] == found["stripped"] == []


def test_a_caller_without_the_role_is_refused_at_the_access_rule(shop: Run, ask: Ask) -> None:
    """The credential itself is good."""
    other = ask("account", "create", "--email", "bob@example.org")["id"]
    bearer = ask("token", "issue", "--account", other)["token"]
    found = told(shop, "GET", "/orders/1", "--bearer", bearer, code=1)
    assert (found["code"], found["credential"]["outcome"]) == ("role_missing", "verified")
    assert found["steps"][-1]["check"] == "access"


def test_a_missing_second_factor_is_refused_at_the_access_rule(shop: Run, token: str) -> None:
    """mfa: required."""
    assert told(shop, "GET", "/mfa/1", "--bearer", token, code=1)["code"] == "mfa_not_proven"


def test_a_revoked_grant_is_seen(shop: Run, ask: Ask, token: str, ada: str) -> None:
    """The store is read as it is now."""
    ask("grant", "revoke", ask("grant", "list", "--account", ada)[0]["id"])
    assert told(shop, "GET", "/auth/x", "--bearer", token, code=1)["code"] == "revoked_credential"


@pytest.mark.parametrize(("length", "code"), [(10, 0), (11, 1)])
def test_a_declared_body_is_measured(shop: Run, token: str, length: int, code: int) -> None:
    """Both sides of the route's limit."""
    found = told(shop, "POST", "/orders/1", "--bearer", token, "-H", f"Content-Length: {length}", code=code)
    assert found["code"] == (None if code == 0 else "body_too_large")


def test_what_is_stripped_is_named(shop: Run, token: str) -> None:
    """Credentials, the reserved namespace, hop-by-hop fields."""
    words = ("-H", "X-Mycelium-Profile: me", "-H", "Connection: x-mine", "-H", "X-Mine: 1", "-H", "Accept: */*")
    found = told(shop, "GET", "/auth/x", "--bearer", token, *words)
    assert found["stripped"] == ["x-mycelium-profile", "connection", "x-mine", "authorization"]
    assert sent(found)["accept"] == "*/*"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_secret_is_shown(shop: Run, token: str, string: str, form: tuple[str, ...]) -> None:
    """Not the credentials, not cookies, not the query, and no usable assertion."""
    credentials = ("--bearer", token, "--connection-string", string)
    headers = ("-H", "Cookie: s=not-shown", "-H", "X-Api-Key: not-shown")
    result = shop("explain", "GET", "/orders/1?access_token=not-shown", *credentials, *headers, *form)
    assert result.exit_code == 0
    assert [word for word in (token, string, "not-shown") if word in result.stdout + result.stderr] == []
    assert "eyJhbGciOi..." in result.stdout
    assert re.search(r"eyJ[\w-]+\.[\w-]", result.stdout) is None


def test_a_connection_string_is_not_shown_whatever_its_header_is_called(shop: Run, string: str) -> None:
    """Also where it goes on, to our own application."""
    with Path("config.yaml").open("a") as config:
        config.write("connection_strings: { header: x-acme }\n")
    result = shop("explain", "GET", "/_adm/beginners/profile", "--connection-string", string)
    assert "x-acme: (" in result.stdout
    assert string not in result.stdout


def test_people_get_the_profile_decoded(shop: Run, token: str, ada: str) -> None:
    """JSON instead of base64."""
    lines = shop("explain", "GET", "/orders/1", "--bearer", token).stdout.splitlines()
    (profile,) = (line for line in lines if line.startswith("  x-mycelium-profile: "))
    assert json.loads(profile.partition(": ")[2])["accId"] == ada


def test_people_get_the_decision_first(shop: Run) -> None:
    """With the status that a client would see."""
    assert shop("explain", "GET", "/auth/x").stdout.splitlines()[0].startswith("refused: 401 no_credential")


def test_the_upstream_target_is_told_without_the_query(shop: Run, token: str) -> None:
    """The prefix stripped."""
    out = shop("explain", "GET", "/orders/1?a=b", "--bearer", token).stdout
    assert "GET /base/1?... to orders" in out


@pytest.mark.parametrize(
    ("words", "host"),
    [
        (("/public/x",), "localhost:8080"),
        (("http://shop.example:81/public/x",), "shop.example:81"),
        (("/public/x", "-H", "Host: other.example"), "other.example"),
        (("http://shop.example/public/x", "-H", "host: other.example"), "other.example"),
    ],
)
def test_the_host_comes_from_the_address(shop: Run, words: tuple[str, ...], host: str) -> None:
    """The public URL's by default; a Host given with -H counts before both."""
    assert sent(told(shop, "GET", *words))["host"] == host


@pytest.mark.parametrize("words", [("GET", "public"), ("GET", "/x", "-H", "nothing"), ("GET", "/x\nb"), ("GET",)])
def test_what_is_no_request_is_misuse(shop: Run, words: tuple[str, ...]) -> None:
    """Exit code 2, nothing on stdout."""
    result = shop("explain", *words)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_configuration_with_faults_is_misuse(run: Run) -> None:
    """Exit code 2, with the place."""
    Path("config.yaml").write_text("nonsense: 1\n")
    result = run("explain", "GET", "/x")
    assert result.exit_code == 2
    assert "config.yaml:1:1" in result.stderr


def test_a_store_that_is_gone_is_a_dependency_down(shop: Run) -> None:
    """Exit code 3."""
    Path("var/gateway.db").rename("var/away.db")
    assert shop("explain", "GET", "/public/x").exit_code == 3


def test_our_own_endpoints_authenticate_by_themselves(shop: Run, token: str) -> None:
    """The credential goes on to the built-in application; the place is in no file."""
    found = told(shop, "GET", "/_adm/beginners/profile", "--bearer", token)
    assert found["credential"] == {"kind": "jwt", "outcome": "passed_on"}
    assert found["route"]["place"] is None


@pytest.fixture
def asked(shop: Run) -> Run:
    """With data planes that may ask, from this machine."""
    with Path("config.yaml").open("a") as config:
        config.write("decide: { peers: [127.0.0.1/32] }\n")
    return shop


def question(target: str) -> tuple[str, ...]:
    said = ("-H", "X-Original-Method: GET", "-H", f"X-Original-URI: {target}")
    return ("explain", "GET", "/_gateway/decide/nginx", *said, "--json")


def test_a_question_of_a_data_plane_is_explained_as_what_it_asks_about(asked: Run, token: str) -> None:
    """The route, the rule and the headers are those of the request that the data plane holds."""
    done = asked(*question("/orders/7"), "--bearer", token)
    found = json.loads(done.output)
    assert (done.exit_code, found["decision"], found["route"]["path"]) == (0, "forwarded", "/orders/**")
    assert {"x-mycelium-profile", "x-mycelium-assertion"} <= {header["name"] for header in found["headers"]}


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/orders/7", "no_credential"),
        ("//orders", "ambiguous_path"),
        ("/elsewhere", "no_route"),
        ("", "malformed_request"),
        ("/_gateway/decide/nginx", "no_route"),
    ],
)
def test_a_question_that_is_refused_says_why(asked: Run, target: str, code: str) -> None:
    """With the reason that the log would have."""
    done = asked(*question(target))
    assert (done.exit_code, json.loads(done.output)["code"]) == (1, code)


def test_headers_are_shown_as_the_rules_leave_them(shop: Run) -> None:
    """But for the secret, whatever the name of its header."""
    result = shop("explain", "GET", "/ruled/x", "-H", "X-From: me", "-H", "Cookie: a=b", "--json")
    found = json.loads(result.stdout)
    assert "hunter2" not in result.stdout
    assert (sent(found)["x-upstream"], sent(found)["x-from"]) == ("(7 bytes)", "gateway")
    assert found["stripped"] == ["x-from", "cookie"]


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (None, "no page of another origin asks"),
        ("https://app.example", "a page of this origin may read the answer"),
        ("https://evil.example", "a page of this origin cannot read the answer"),
    ],
)
def test_whether_a_page_may_read_the_answer_is_told(shop: Run, origin: str | None, said: str) -> None:
    """A step of its own, where the route has cors."""
    words = () if origin is None else ("-H", f"Origin: {origin}")
    steps = {step["check"]: step["detail"] for step in told(shop, "GET", "/ruled/x", *words)["steps"]}
    assert steps["cors"] == said


@pytest.mark.parametrize(
    ("origin", "decision", "code"),
    [("https://app.example", "answered", None), ("https://evil.example", "refused", "cors_refused")],
)
def test_a_preflight_is_explained(shop: Run, origin: str, decision: str, code: str | None) -> None:
    """It would be answered by the gateway itself, yes or no."""
    words = ("-H", f"Origin: {origin}", "-H", "Access-Control-Request-Method: PUT")
    found = told(shop, "OPTIONS", "/ruled/x", *words, code=0 if code is None else 1)
    assert (found["decision"], found["code"], found["headers"]) == (decision, code, [])
    assert [step["check"] for step in found["steps"]] == ["request", "route", "cors"]


def test_a_preflight_is_explained_to_people(shop: Run) -> None:
    """In the first line."""
    words = ("-H", "Origin: https://app.example", "-H", "Access-Control-Request-Method: PUT")
    assert shop("explain", "OPTIONS", "/ruled/x", *words).stdout.startswith("answered: 204, by the gateway itself\n")


@pytest.mark.parametrize(
    "said", [{"reason": "\x1b]0;x\x07"}, {"time": "\x1b[31m"}, {"route": "\x1b[31m"}, {"path": None}]
)
def test_a_log_of_somebody_else_moves_no_cursor(shop: Run, said: dict[str, object]) -> None:
    """Whatever its lines say."""
    line = {"time": "t", "id": "7a9b0fae", "client": "192.0.2.1", "method": "GET", "route": "/", "path": "/none"}
    Path("other.log").write_text(
        json.dumps({**line, "upstream": None, "status": 404, "reason": "\x1b[31m", **said}) + "\n"
    )
    result = shop("explain", "--id", "7a9b0fae", "--log", "other.log")
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize("path", ["none/x", "/a\nb", "/\ud800"])
def test_a_line_that_no_gateway_wrote_is_told(shop: Run, path: str) -> None:
    """Without a traceback."""
    line = {"time": "t", "id": "7a9b0fae", "client": "192.0.2.1", "method": "GET", "route": "/", "path": path}
    Path("other.log").write_text(json.dumps({**line, "upstream": None, "status": 404, "reason": None}) + "\n")
    result = shop("explain", "--id", "7a9b0fae", "--log", "other.log")
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)


@pytest.mark.parametrize("said", [{"status": 204, "reason": None}, {"status": 403, "reason": "cors_refused"}])
def test_a_preflight_of_the_log_is_not_decided(shop: Run, said: dict[str, object]) -> None:
    """What the browser asked is not in the log: taken for a plain OPTIONS, it would be refused."""
    name = "7a9b0fae-1111-4000-8000-000000000000"
    first = {"time": "2026-01-01T00:00:00.000Z", "id": name, "client": "192.0.2.1", "method": "OPTIONS"}
    rest = {"route": "/ruled/**", "path": "/ruled/x", "upstream": "orders", "endpoint": None}
    Path("access.jsonl").write_text(json.dumps({**first, **rest, **said}, separators=(",", ":")) + "\n")
    found = told(shop, "--id", name, "--log", "access.jsonl")
    assert (found["decision"], found["code"]) == ("unknown", None)
    why = "a browser's preflight, whose headers the log does not have"
    assert found["steps"][-1] == {"check": "cors", "outcome": "skipped", "detail": why}
    lines = shop("explain", "--id", name, "--log", "access.jsonl").stdout.splitlines()
    assert lines[1] == "it depends on what the preflight asked"
