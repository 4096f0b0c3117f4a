"""What explaining a request found, as values and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.errors import GatewayError
from gateway.ops.logged import Logged
from gateway.routes.model import Access, Route

Check = Literal["request", "route", "cors", "limits", "path", "credential", "access", "body", "headers"]
CHECKS: Final[tuple[Check, ...]] = (
    "request",
    "route",
    "cors",
    "limits",
    "path",
    "credential",
    "access",
    "body",
    "headers",
)


@dataclass(frozen=True, slots=True)
class Step:
    check: Check
    outcome: Literal["ok", "refused", "failed", "skipped"]
    detail: str


@dataclass(frozen=True, slots=True)
class Credential:
    """kind: as `wire.credentials` tells them apart, `none`, `malformed`, or `unknown`: there was one.

    outcome: `verified`, a reason code, `ignored` (the route is public), `passed_on` (to our own application), `absent`,
    or `not_reached`.
    """

    kind: str = "none"
    outcome: str = "not_reached"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the upstream would get. target: without the query. fields: secrets shortened. stripped: names."""

    upstream: str
    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    stripped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """fault: why it would be refused, None if it would be forwarded. route, sent: None where it did not get so far.

    number: of the route among those of the configuration, from 0; None for a built-in one. answered: a preflight, to
    which the gateway says yes itself.
    """

    steps: tuple[Step, ...]
    fault: GatewayError | None = None
    route: Route | None = None
    number: int | None = None
    credential: Credential = Credential()
    sent: Sent | None = None
    answered: bool = False


def as_fields(found: Explanation, places: Sequence[str], logged: Logged | None = None) -> dict[str, object]:
    """What `--json` and the admin listener tell. places: `file:line` of each route. logged: as it was decided then."""
    route, sent = found.route, found.sent
    return {
        "decision": _decision(found),
        "code": None if found.fault is None else found.fault.code,
        "route": None if route is None else _route(route, None if found.number is None else places[found.number]),
        "access": None if route is None else _access(route.access),
        "credential": {"kind": found.credential.kind, "outcome": found.credential.outcome},
        "sent": None if sent is None else {"method": sent.method, "target": sent.target, "upstream": sent.upstream},
        "headers": [] if sent is None else [{"name": name, "value": value} for name, value in sent.fields],
        "stripped": [] if sent is None else list(sent.stripped),
        "steps": [{"check": step.check, "outcome": step.outcome, "detail": step.detail} for step in found.steps],
        "logged": None if logged is None else logged.as_json(),
    }


def _decision(found: Explanation) -> str:
    if found.fault is not None:
        return "refused"
    if found.answered:
        return "answered"
    return "forwarded" if found.sent is not None else "unknown"


def _route(route: Route, place: str | None) -> Mapping[str, object]:
    return {"path": route.path, "upstream": route.upstream, "place": place}


def _access(access: Access) -> Mapping[str, object]:
    return {
        "kind": access.kind.value,
        "roles": [{"role": rule.role, "permission": "write" if rule.write else "read"} for rule in access.roles],
        "mfa": access.mfa,
        "scopes": sorted(access.scopes),
        "issuers": sorted(access.issuers),
    }
