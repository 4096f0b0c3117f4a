"""What a login API is to the application that serves it: a table of endpoints, and how it words its faults.

A dialect parses a `Call`, asks the identity core and renders a `Reply`. It knows no HTTP library: `control.dialects`
reads the calls from requests, finds out who calls, and sends the replies.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.errors import GatewayError, RequestRejected
from gateway.identity.model import Principal
from gateway.identity.origin import Origin

Body = Literal["none", "json", "form"]
"""none: whatever is sent is not looked at. json: an object, 415 for another type. form: a page's own, its
fields as texts; {} for another type."""

Caller = Literal["nobody", "session", "pending"]
"""nobody: credentials are ignored. session: any live caller. pending: also one whose second factor is still to come."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. params: of the path template. headers: by lower-case name. body: the JSON object
    or the form's fields, {} where none is read.

    principal: the caller where the endpoint asks for one.
    """

    origin: Origin
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] = field(default_factory=dict, repr=False)
    principal: Principal | None = None

    @property
    def caller(self) -> Principal:
        """Of an endpoint that asks for one."""
        if self.principal is None:
            raise RequestRejected("no_credential")
        return self.principal

    def text(self, name: str) -> str:
        """A member of the body. Raises RequestRejected("bad_parameter"), without the value."""
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise RequestRejected("bad_parameter", f"{name} must be a text.")
        return value


@dataclass(frozen=True, slots=True)
class Reply:
    """body: empty for none. headers: besides those that every answer of ours has."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def replied(value: object, status: int = 200) -> Reply:
    """JSON, compact, with a line end for terminals."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"
    return Reply(status, text.encode("utf-8", "backslashreplace"))


NO_CONTENT = Reply(204)

Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """path: the whole template, mount included; `{name}` is one segment. safe: a GET that HEAD may stand for."""

    method: str
    path: str
    handler: Handler
    caller: Caller = "session"
    body: Body = "none"
    safe: bool = True
    page: bool = False  # answers with HTML, its faults too
    exact: bool = False  # refuses what it would not look at, or could read in two ways


@dataclass(frozen=True, slots=True)
class Metered:
    """headers: of the answer, whatever it is. over: the limit is reached, and the call is not made."""

    headers: Mapping[str, str] = field(default_factory=dict)
    over: RequestRejected | None = None


UNMETERED = Metered()


class Dialect(Protocol):
    """name: as in `grant.dialect`, in logs and in metrics."""

    name: str

    def endpoints(self) -> Sequence[Endpoint]: ...

    def fault(self, fault: GatewayError, endpoint: Endpoint, request_id: str) -> Reply:
        """How this API says it. The caller adds WWW-Authenticate and Retry-After."""

    async def meter(self, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
        """This API's own limit of calls, beside those of guesses: UNMETERED where it has none."""
