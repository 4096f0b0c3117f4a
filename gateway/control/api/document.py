"""The OpenAPI 3.1 document: made of the operations and their models, so that it says what is checked."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.control.api import answers, asks, own
from gateway.control.api.operation import Operation
from gateway.identity.authority import FRESH, RULES, Rule, Who
from gateway.identity.connection_string import SLUG

Json = dict[str, Any]  # a JSON document is what it is

PROBLEM: Final = "application/problem+json"
REF: Final = "#/components/schemas/{model}"
TAGS: Final = {
    "tenants": "Tenants and who owns them.",
    "accounts": "Accounts of people and programs.",
    "memberships": "Roles that accounts hold in tenants.",
    "invitations": "Asking somebody into a tenant, by mail.",
    "credentials": "Sessions, API keys and connection strings of an account.",
    "keys": "What signs tokens and connection strings.",
    "audit": "What was done, by whom.",
    "own account": "The caller's own profile, sessions and connection strings: the account endpoints of this mount.",
}
ABOUT: Final = (
    "Accounts, tenants, roles, invitations, credentials and keys of this gateway. Calls come with the bearer token of "
    "a login here; API keys, connection strings and tokens of other issuers are refused. Lists are pages: `next` of "
    "one is `after` of the following."
)
_WHO: Final[Mapping[Who, str]] = {
    "staff": "staff",
    "manager": "managers",
    "owner": "the tenant's owners",
    "delegate": "its tenant-managers",
    "self": "the account's holder",
    "person": "whoever has logged in",
}
_REFUSALS: Final = {
    400: "The call cannot be read.",
    401: "No valid credential, a second factor is pending, or the login is too old for this.",
    403: "The caller may not do that.",
    404: "There is no such thing, as far as the caller may know.",
    409: "It clashes with what is there.",
    413: "The body is too large.",
    415: "The body must be JSON.",
    422: "A value is not acceptable; `errors` names each place.",
    429: "Too many attempts.",
    503: "The store cannot be reached.",
}
_MAILS: Final = frozenset({"invite", "acceptInvitation", "sendReset"})
_PARAMETER = re.compile(r"\{(\w+)\}").findall


def document(operations: Sequence[Operation], mount: str, version: str) -> Json:
    """version: of the API, a path below the mount."""
    paths: dict[str, Json] = {}
    for one in operations:
        paths.setdefault(f"{mount}{version}{one.path}", {})[one.method.lower()] = _operation(one)
    for endpoint in own.ENDPOINTS:
        paths.setdefault(f"{mount}{endpoint.path}", {})[endpoint.method.lower()] = _own(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gateway account and admin API", "version": "1.0.0", "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": _schemas(operations),
        },
    }


def _schemas(operations: Sequence[Operation]) -> Json:
    """Of whatever a body or an answer is; those of queries stand with their parameters."""
    kinds: list[type[BaseModel]] = [answers.Problem, *own.MODELS]
    for one in operations:
        kinds += [kind for kind in (one.body, one.answer) if kind is not None]
    named = {kind.__name__: kind for kind in kinds}
    pairs: list[tuple[type[BaseModel], Literal["validation"]]] = [(named[name], "validation") for name in sorted(named)]
    _, found = models_json_schema(pairs, ref_template=REF)
    return {name: _untitled(schema) for name, schema in found["$defs"].items()}


def _untitled(schema: Json) -> Json:
    """Without the titles that are made of members' names: they say nothing more."""
    for member in schema.get("properties", {}).values():
        member.pop("title", None)
    return schema


def _operation(one: Operation) -> Json:
    rule = RULES[one.name]
    said: Json = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "description": " ".join(text for text in (one.description, _may(rule)) if text),
        "parameters": [*_of_path(one.path), *(_of_query(one.query) if one.query is not None else ())],
        "responses": _answers(one.status, one.answer) | _refusals(_codes(one), answers.Problem, PROBLEM),
    }
    if one.body is not None:
        said["requestBody"] = {"required": True, "content": _content(one.body)}
    return said


def _own(endpoint: own.Own) -> Json:
    said: Json = {
        "operationId": endpoint.name,
        "tags": ["own account"],
        "summary": endpoint.summary,
        "parameters": _of_path(endpoint.path),
        "responses": _answers(endpoint.status, endpoint.answer, many=endpoint.many) | _own_refusals(endpoint),
    }
    if endpoint.body is not None:
        said["requestBody"] = {"required": True, "content": _content(endpoint.body)}
    return said


def _own_refusals(endpoint: own.Own) -> Json:
    """In the words of its API, but for what cannot even be read: that is the gateway's."""
    found = _refusals((400, 401, 403, 404, 409, 413, 415, 422, 429, 503), endpoint.fault, endpoint.fault_type)
    found["400"]["content"] |= _content(answers.Problem, PROBLEM)
    return found


def _may(rule: Rule) -> str:
    who = ", ".join(text for name, text in _WHO.items() if name in rule.who)
    fresh = f" Within {FRESH / 60:g} minutes of a login." if rule.fresh else ""
    return f"For {who}.{fresh}{' Never on the own account.' if rule.others else ''}"


def _codes(one: Operation) -> tuple[int, ...]:
    """What an operation may be refused with."""
    found = {400, 401, 403, 503}
    if "{" in one.path or one.body in (asks.NewTenant, asks.InvitationToken):
        found.add(404)
    if one.changes:
        found.add(409)
    if one.body is not None:
        found |= {413, 415}
    if one.body is not None or one.query is not None:
        found.add(422)
    if one.name in _MAILS:
        found.add(429)
    return tuple(sorted(found))


def _answers(status: int, kind: type[BaseModel] | None, *, many: bool = False) -> Json:
    if kind is None:
        return {"204": {"description": "Done."}}
    content = _content(kind)
    if many:
        content["application/json"]["schema"] = {"type": "array", "items": content["application/json"]["schema"]}
    return {str(status): {"description": "Done." if status == 200 else "Made.", "content": content}}


def _refusals(codes: Sequence[int], kind: type[BaseModel], media: str) -> Json:
    return {str(code): {"description": _REFUSALS[code], "content": _content(kind, media)} for code in codes}


def _content(kind: type[BaseModel], media: str = "application/json") -> Json:
    return {media: {"schema": {"$ref": REF.format(model=kind.__name__)}}}


def _of_path(path: str) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{SLUG}$"}
            if name == "role"
            else {"type": "string", "format": "uuid"},
        }
        for name in _PARAMETER(path)
    ]


def _of_query(kind: type[BaseModel]) -> list[Json]:
    """A query has no null: what may be absent is absent."""
    found = []
    for name, schema in kind.model_json_schema()["properties"].items():
        forms = [form for form in schema.pop("anyOf", []) if form != {"type": "null"}]
        text = schema.pop("description", "")
        schema.pop("title", None)
        if schema.get("default", 0) is None:
            del schema["default"]
        plain = {**schema, **(forms[0] if forms else {})}
        found.append(
            {"name": name, "in": "query", "required": False, "schema": plain} | ({"description": text} if text else {})
        )
    return found
