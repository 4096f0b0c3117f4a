"""The built-in application's endpoints, over a real socket."""

import json
from collections.abc import Mapping

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from harness.kept import Kept
from pytest_aiohttp.plugin import AiohttpClient

from control.callers import OTHER, TENANT, Knowing
from gateway.access.authorize import narrowed, owned
from gateway.control import application
from gateway.identity.model import Principal

PROFILE = "/_adm/beginners/profile"
JWKS = "/.well-known/jwks.json"


def render(principal: Principal, with_urls: bool) -> bytes:
    roles = [f"{licence.tenant_id[-1]}:{licence.role}" for licence in narrowed(principal)]
    tenants = [ownership.tenant_id[-1] for ownership in owned(principal)]
    return json.dumps({"roles": roles, "tenants": tenants, "urls": with_urls}).encode()


async def public_keys() -> Mapping[str, object]:
    return {"keys": [{"kid": "one"}]}


@pytest.fixture
def authenticator() -> Knowing:
    return Knowing()


@pytest.fixture
def log() -> Kept:
    return Kept()


@pytest.fixture
async def client(aiohttp_client: AiohttpClient, authenticator: Knowing, log: Kept) -> TestClient:  # type: ignore[type-arg]
    return await aiohttp_client(
        application.build(
            authenticator=authenticator, render_profile=render, public_keys=public_keys, now=lambda: 1.0, log=log
        )
    )


async def ask(
    client: TestClient, credential: str | None = "whole", path: str = PROFILE, **headers: str
) -> ClientResponse:  # type: ignore[type-arg]
    """GET with a bearer token; `x_y` in a keyword is the header x-y."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if credential is not None:
        fields["Authorization"] = f"Bearer {credential}"
    return await client.get(path, headers=fields)


@pytest.mark.parametrize(("credential", "path"), [("whole", PROFILE), (None, PROFILE), (None, JWKS), (None, "/none")])
async def test_no_answer_names_the_server_software(client, credential: str | None, path: str) -> None:
    """Its version would tell an attacker what to try."""
    assert "Server" not in (await ask(client, credential, path)).headers


async def test_a_caller_sees_the_whole_profile_by_default(client) -> None:
    """Every licence, every ownership, as records."""
    answer = await ask(client)
    assert await answer.json() == {"roles": ["a:manager", "a:reader", "b:reader"], "tenants": ["a", "b"], "urls": False}


@pytest.mark.parametrize(("text", "urls"), [("true", True), ("false", False)])
async def test_with_url_chooses_the_form(client, text: str, urls: bool) -> None:
    """withUrl=true gives licences as URLs."""
    answer = await ask(client, path=f"{PROFILE}?withUrl={text}")
    assert (await answer.json())["urls"] is urls


async def test_a_with_url_that_is_no_boolean_is_refused(client) -> None:
    """A value that is not understood is not taken for the default."""
    answer = await ask(client, path=f"{PROFILE}?withUrl=yes")
    assert (answer.status, (await answer.json())["code"]) == (400, "bad_parameter")


async def test_the_tenant_header_narrows_licences_and_ownerships(client) -> None:
    """What lies in other tenants is left out."""
    answer = await ask(client, x_mycelium_tenant_id=OTHER.upper())
    assert await answer.json() == {"roles": ["b:reader"], "tenants": ["b"], "urls": False}


async def test_a_tenant_header_that_is_no_uuid_is_refused(client) -> None:
    """Ignoring it would show more than was asked for."""
    answer = await ask(client, x_mycelium_tenant_id="acme")
    assert (answer.status, (await answer.json())["code"]) == (400, "bad_parameter")


async def test_a_connection_string_shows_its_own_tenant_and_role_only(client) -> None:
    """The profile says no more than the credential may do."""
    answer = await ask(client, None, x_mycelium_connection_string="acc=1;r=reader")
    assert await answer.json() == {"roles": ["a:reader"], "tenants": [], "urls": False}


async def test_a_connection_string_of_one_tenant_shows_nothing_of_another(client) -> None:
    """The header cannot widen what the credential fixes."""
    answer = await ask(client, None, x_mycelium_connection_string="acc=1;r=reader", x_mycelium_tenant_id=OTHER)
    assert await answer.json() == {"roles": [], "tenants": [], "urls": False}


async def test_the_connection_string_comes_before_the_bearer(client) -> None:
    """The order is the edge's."""
    answer = await ask(client, "whole", x_mycelium_connection_string="wrong")
    assert (answer.status, (await answer.json())["code"]) == (401, "invalid_credential")


@pytest.mark.parametrize(
    ("credential", "status", "code"),
    [
        (None, 401, "no_credential"),
        ("unknown", 401, "invalid_credential"),
        ("revoked", 401, "revoked_credential"),
        ("pending", 401, "mfa_required"),
        ("stranger", 403, "no_account"),
        ("down", 503, "store_unavailable"),
        ("bug", 500, "internal_error"),
    ],
)
async def test_a_refusal_is_a_problem_with_its_code(client, credential: str | None, status: int, code: str) -> None:
    """Status, media type, code and the edge's request id."""
    answer = await ask(client, credential, x_gateway_request_id="the-id")
    body = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["status"], body["code"], body["request_id"]) == (status, status, code, "the-id")


@pytest.mark.parametrize(
    ("credential", "challenge"), [(None, "Bearer"), ("unknown", "Bearer"), ("pending", "Bearer"), ("stranger", None)]
)
async def test_only_a_401_carries_a_challenge(client, credential: str | None, challenge: str | None) -> None:
    """RFC 9110 section 11.6.1."""
    assert (await ask(client, credential)).headers.get("WWW-Authenticate") == challenge


async def test_a_store_that_is_down_says_when_to_come_back(client) -> None:
    """Retry-After is what the store's failure carries."""
    assert (await ask(client, "down")).headers["Retry-After"] == "3"


async def test_a_mistake_of_ours_is_one_log_line_that_names_the_template(client, log: Kept) -> None:
    """The answer says nothing of it; the log has the exception and no path."""
    await ask(client, "bug", x_gateway_request_id="the-id")
    ((level, _, fields),) = log.lines
    assert (level, fields["id"], fields["route"], type(fields["exc_info"])) == (
        "error", "the-id", PROFILE, ZeroDivisionError,
    )  # fmt: skip


async def test_a_line_about_a_request_has_both_of_its_ids(client, log: Kept) -> None:
    """The edge has written the header of the trace."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await ask(client, "bug", x_gateway_request_id="the-id", traceparent=parent)
    ((_, _, fields),) = log.lines
    assert (fields["id"], fields["trace"]) == ("the-id", "0af7651916cd43dd8448eb211c80319c")


async def test_a_refusal_is_not_logged_here(client, log: Kept) -> None:
    """The edge writes the access log; a 401 is no event of its own."""
    await ask(client, "unknown")
    assert log.lines == []


async def test_a_second_call_comes_from_the_cache(client, authenticator: Knowing) -> None:
    """recall is asked before verify."""
    await ask(client)
    await ask(client)
    assert authenticator.verified == 1


async def test_two_credentials_of_one_kind_are_refused(client) -> None:
    """Choosing one of them would be a guess (S-27)."""
    answer = await client.get(PROFILE, headers=[("Authorization", "Bearer whole"), ("Authorization", "Bearer other")])
    assert (answer.status, (await answer.json())["code"]) == (400, "duplicate_credential")


@pytest.mark.parametrize("path", [PROFILE, PROFILE + "/", JWKS, JWKS + "/"])
async def test_an_endpoint_has_both_forms_of_its_path(client, path: str) -> None:
    """With and without a slash at the end."""
    assert (await ask(client, path=path)).status == 200


async def test_head_is_answered_without_a_body(client) -> None:
    """GET's route stands for HEAD too."""
    answer = await client.head(PROFILE, headers={"Authorization": "Bearer whole"})
    assert (answer.status, await answer.read()) == (200, b"")


async def test_the_public_keys_need_no_credential(client) -> None:
    """Who verifies our tokens has none of them."""
    assert await (await ask(client, None, JWKS)).json() == {"keys": [{"kid": "one"}]}


@pytest.mark.parametrize(
    ("path", "policy"), [(PROFILE, "no-store"), (JWKS, "public, max-age=60"), ("/nowhere", "no-store")]
)
async def test_only_the_public_keys_may_be_cached(client, path: str, policy: str) -> None:
    """Everything else is somebody's, refusals included."""
    assert (await ask(client, path=path)).headers["Cache-Control"] == policy


@pytest.mark.parametrize("path", [PROFILE, JWKS, "/nowhere"])
async def test_no_answer_is_sniffed(client, path: str) -> None:
    """A browser takes the media type as it is told."""
    assert (await ask(client, path=path)).headers["X-Content-Type-Options"] == "nosniff"


async def test_an_unknown_path_is_a_problem(client) -> None:
    """Not aiohttp's own page."""
    answer = await ask(client, path="/nowhere")
    assert (answer.status, (await answer.json())["code"]) == (404, "no_route")


async def test_another_method_is_told_which_are_allowed(client) -> None:
    """405 with Allow."""
    answer = await client.post(PROFILE)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


@pytest.mark.parametrize(("size", "status"), [(16 * 1024, 200), (16 * 1024 + 1, 413)])
async def test_a_body_is_bounded(client, size: int, status: int) -> None:
    """16 KiB, also where nobody reads it."""
    answer = await client.get(PROFILE, data=b"x" * size, headers={"Authorization": "Bearer whole"})
    assert answer.status == status


def test_the_mount_moves_the_profile_and_not_the_keys() -> None:
    """login.mycelium.mount is a prefix of the dialect's endpoints alone."""
    assert {path for _, path in application.endpoints("/id/")} == {
        "/id/beginners/profile", "/id/beginners/profile/", JWKS, JWKS + "/",
    }  # fmt: skip


async def test_every_listed_endpoint_is_served(client) -> None:
    """The list that the route table reserves is the list that answers."""
    statuses = [(await client.request(method, path)).status for method, path in application.ENDPOINTS]
    assert {404, 405}.isdisjoint(statuses)


def test_the_tenants_of_these_tests_differ() -> None:
    """Else the narrowing tests would show nothing."""
    assert TENANT != OTHER
