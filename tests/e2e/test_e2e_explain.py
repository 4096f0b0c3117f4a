"""A running gateway explains requests, those of its log too, and counts, remembers and makes nothing by it."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from . import several, world
from .parts import until
from .world import Gateway, Home

FORWARDED, UNKNOWN = "forwarded", "unknown"


@pytest.fixture(params=["a file", "a stream", "two workers"])
def gateway(request: pytest.FixtureRequest, home: Home, service: int) -> Iterator[Gateway]:
    """Its log is a file that can be searched, or a stream, of which it knows the last lines."""
    said = several.said(service) if request.param == "two workers" else world.configuration({"app": service})
    if request.param != "a file":
        said["log"]["access"] = "stdout"
    with world.running(home, said) as running:
        yield running


@pytest.fixture
def shop(home: Home, service: int) -> Iterator[Gateway]:
    with world.running(home, world.configuration({"app": service})) as running:
        yield running


def explained(gateway: Gateway, headers: dict[str, str] | None = None, **query: str) -> world.Answer:
    token = several.admin_token(gateway)
    return world.ask(f"{gateway.admin}/explain?{urlencode(query)}", headers={**token, **(headers or {})})


def logged(gateway: Gateway, request_id: str) -> Any:
    """The explanation, once the line is written."""

    def found() -> Any:
        answer = explained(gateway, id=request_id)
        return answer.json() if answer.status == 200 else None

    return until(found, f"the line of {request_id}", 5)


def test_a_refused_request_is_explained_by_its_id(gateway: Gateway) -> None:
    """With what was told then, and what would be now: the role has been given meanwhile."""
    home = gateway.home
    answer = gateway.ask("/manager/app/echo?secret=1", headers=home.bob.headers)
    found = logged(gateway, answer.headers["x-mycelium-request-id"])
    assert (answer.status, found["code"], found["logged"]["reason"]) == (403, "role_missing", "role_missing")
    assert (found["decision"], found["route"]["path"]) == ("refused", "/manager/app/**")
    assert found["route"]["place"].partition(":")[0].endswith("config.yaml")
    assert "secret" not in json.dumps(found)
    words = ("--account", home.bob.account, "--tenant", home.tenant, "--role", "manager", "--permission", "write")
    home.told("role", "assign", *words)
    now = logged(gateway, answer.headers["x-mycelium-request-id"])
    assert (now["decision"], now["credential"], now["logged"]["status"]) == (
        FORWARDED,
        {"kind": "none", "outcome": "verified"},
        403,
    )


def test_a_request_without_a_credential_is_explained_by_its_id(gateway: Gateway) -> None:
    """The log tells that it had none."""
    answer = gateway.ask("/app/echo")
    found = logged(gateway, answer.headers["x-mycelium-request-id"])
    assert (found["code"], found["logged"]["status"]) == ("no_credential", 401)


def test_a_wrong_credential_is_not_in_the_log(gateway: Gateway) -> None:
    """The rule is told, and that it depends."""
    answer = gateway.ask("/app/echo", headers={"Authorization": "Bearer nobody"})
    found = logged(gateway, answer.headers["x-mycelium-request-id"])
    assert (found["decision"], found["code"], found["logged"]["reason"]) == (UNKNOWN, None, "invalid_credential")
    assert [step["check"] for step in found["steps"]] == ["request", "route", "limits", "path", "credential"]


def test_an_id_that_nobody_knows_is_not_found(gateway: Gateway) -> None:
    """404, with what to do."""
    answer = explained(gateway, id="7a9b0fae-0000-4000-8000-000000000000")
    assert (answer.status, answer.json()["code"]) == (404, "not_found")


def test_a_request_is_explained_with_its_credential(gateway: Gateway) -> None:
    """Each header is given by another; the connection string goes before the token."""
    ada = gateway.home.ada
    bearer = {"X-Explain-Authorization": ada.headers["Authorization"]}
    found = explained(gateway, bearer, method="GET", url="/manager/app/echo").json()
    assert (found["decision"], found["credential"]["outcome"]) == (FORWARDED, "verified")
    string = {**bearer, "x-explain-x-mycelium-connection-string": "acc=1"}
    found = explained(gateway, string, method="GET", url="/manager/app/echo").json()
    assert (found["code"], found["credential"]["kind"]) == ("invalid_credential", "connection_string")


@pytest.mark.parametrize(
    "query",
    [{}, {"method": "GET"}, {"url": "/"}, {"method": "GET", "url": "/", "id": "1"}, {"id": "1", "more": "1"},
     {"method": "GET", "url": "nowhere"}, {"method": "G\r\nX: 1", "url": "/"}],
)  # fmt: skip
def test_what_is_no_question_is_told(shop: Gateway, query: dict[str, str]) -> None:
    """400, and nothing is asked."""
    answer = explained(shop, **query)
    assert (answer.status, answer.json()["code"]) == (400, "bad_parameter")


def test_only_an_operator_may_ask(shop: Gateway) -> None:
    """It tells rules, and whether credentials are good."""
    assert world.ask(f"{shop.admin}/explain?method=GET&url=/").status == 401


def test_an_explanation_leaves_no_trace(shop: Gateway) -> None:
    """No count, no remembered credential; what was revoked is seen at once."""
    before = world.ask(f"{shop.admin}/metrics").body
    headers = {"X-Explain-Authorization": shop.home.ada.headers["Authorization"]}
    assert explained(shop, headers, method="GET", url="/app/echo").json()["decision"] == FORWARDED
    told = ("gateway_credential", "gateway_requests")

    def counts(text: bytes) -> list[str]:
        return [line for line in text.decode().splitlines() if line.startswith(told)]

    assert counts(world.ask(f"{shop.admin}/metrics").body) == counts(before)
    shop.home.told("account", "disable", shop.home.ada.account)
    found = explained(shop, headers, method="GET", url="/app/echo").json()
    assert found["code"] == "revoked_credential"


def test_a_reload_is_followed(shop: Gateway) -> None:
    """It is the running configuration that is explained, at its new place."""
    assert explained(shop, method="GET", url="/more").json()["code"] == "no_route"
    said = {**shop.said, "routes": [*shop.said["routes"], {"path": "/more", "upstream": "app", "access": "public"}]}
    shop.configure(said)
    assert explained(shop, method="GET", url="/more").json()["code"] == "no_route"
    shop.home.told("reload")
    assert explained(shop, method="GET", url="/more").json()["decision"] == FORWARDED


def test_the_command_line_explains_a_logged_request(gateway: Gateway) -> None:
    """From the file, or from the running gateway: exit code and text are those of its decision."""
    request_id = gateway.ask("/app/echo").headers["x-mycelium-request-id"]
    logged(gateway, request_id)
    done: subprocess.CompletedProcess[str] = gateway.home.run("explain", "--id", request_id)
    assert done.returncode == 1, done.stderr
    then, now, *_ = done.stdout.splitlines()
    assert then.startswith("then        401 no_credential at 2")
    assert now.startswith("refused: 401 no_credential")


def test_the_command_line_says_what_it_lacks(shop: Gateway) -> None:
    """A log without the id is not a dependency that is down."""
    done = shop.home.run("explain", "--id", "7a9b0fae-0000-4000-8000-000000000000")
    assert (done.returncode, "has no line with the id" in done.stderr) == (1, True)
    for words in (("--id", "1", "GET", "/"), (), ("GET",), ("GET", "/", "--log", "config.yaml")):
        assert shop.home.run("explain", *words).returncode == 2
