"""The OpenAPI document: valid, whole, and the same from the gateway and from the command line."""

import json
import re

from click.testing import CliRunner
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from gateway.app.logins import admin_api, paths
from gateway.cli import main
from gateway.login.mycelium.dialect import Mycelium
from gateway.settings.model import Settings

from .desk import BASE, Desk


def served(desk: Desk) -> dict[str, object]:
    answer = desk.ask("GET", "/_adm/openapi.json")
    assert (answer.status, answer.headers.get_content_type()) == (200, "application/json")
    found: dict[str, object] = answer.json()
    return found


def test_it_is_valid_openapi_3_1(desk: Desk) -> None:
    """By the specification's own schema, and its references lead somewhere."""
    found = served(desk)
    assert found["openapi"] == "3.1.0"
    validate(found, cls=OpenAPIV31SpecValidator)


def test_the_command_prints_what_the_gateway_serves(desk: Desk) -> None:
    """For clients that are generated before anything runs."""
    printed = CliRunner().invoke(main, ["schema", "--openapi"])
    assert (printed.exit_code, json.loads(printed.stdout)) == (0, served(desk))


def test_it_has_every_operation_once() -> None:
    """By its id; and each says for whom it is."""
    api = admin_api()
    document = api.document()
    found = {
        operation["operationId"]: (method.upper(), path)
        for path, methods in document["paths"].items()  # type: ignore[attr-defined]
        for method, operation in methods.items()
    }
    assert {one.name: found[one.name] for one in api.operations} == {
        one.name: (one.method, BASE + one.path) for one in api.operations
    }


def test_what_it_says_of_the_own_account_is_there() -> None:
    """Each of these calls is an endpoint of the login API, or the profile's."""
    (login,) = [one for one in paths(Settings(upstreams={}, routes=())) if isinstance(one, Mycelium)]
    reserved = {(one.method, one.path) for one in login.endpoints()} | {("GET", "/_adm/beginners/profile")}
    paths_ = admin_api().document()["paths"]
    own = {
        (method.upper(), path)
        for path, methods in paths_.items()  # type: ignore[attr-defined]
        for method, operation in methods.items()
        if operation["tags"] == ["own account"]
    }
    assert len(own) == 8
    assert own <= reserved


def test_every_name_is_in_camel_case() -> None:
    """As in the rest of the mount; `request_id` is the problem documents'."""
    schemas = admin_api().document()["components"]["schemas"]  # type: ignore[index]
    names = {name for schema in schemas.values() for name in schema.get("properties", {})}
    assert {name for name in names if not re.fullmatch("[a-z]+([A-Z][a-z]+)*", name)} == {"request_id"}


def test_every_call_is_refused_an_unknown_member() -> None:
    """The document says so too: a misspelt one is found before it is sent."""
    document = admin_api().document()
    schemas = document["components"]["schemas"]  # type: ignore[index]
    bodies = {one.body.__name__ for one in admin_api().operations if one.body is not None}
    assert {name for name in bodies if schemas[name]["additionalProperties"] is not False} == set()
