"""The gateway's own answers on the data plane: refusals and failures, in the route's error form."""

import json
from collections.abc import Callable
from typing import Final

from gateway.edge.generation import Lane
from gateway.errors import GatewayError
from gateway.pipeline import Injected
from gateway.wire.message import Request
from gateway.wire.problems import PROBLEMS, body, told

_KEPT: Final = {True: b"connection: keep-alive\r\n", False: b"connection: close\r\n"}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# after these the bytes that follow cannot be trusted, or are more than anybody wants to read
CLOSING: Final = frozenset((400, 408, 413, 414, 417, 431))

_PHRASES: Final = {
    400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed",
    408: b"Request Timeout", 413: b"Content Too Large", 414: b"URI Too Long", 417: b"Expectation Failed",
    429: b"Too Many Requests", 431: b"Request Header Fields Too Large", 500: b"Internal Server Error",
    502: b"Bad Gateway", 503: b"Service Unavailable", 504: b"Gateway Timeout",
}  # fmt: skip


def refusal(
    fault: GatewayError,
    lane: Lane,
    request: Request | None,
    request_id: bytes,
    keep_alive: bool,
    allow: bytes = b"",
    own: bytes = b"",
    bodiless: bool = False,
) -> bytes:
    """A whole response. Nothing of the request is in it. HEAD gets the head alone. request: None if it was not read.

    own: more whole field lines. bodiless: as much was read of it as that it is a HEAD (RFC 9110 section 9.3.2).
    """
    said, status = PROBLEMS[fault.code].status, status_of(fault, lane)
    form = lane.errors if said in _OF_DIALECTS else "problem"
    content = _FORMS[form](fault, request_id.decode("ascii"))
    silent = bodiless or (request is not None and request.method == b"HEAD")
    if silent and lane.adapter is not None:
        content = b""  # whether it was asked by HEAD or about it, there is no body
    lines = [
        b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n"
        % (status, _PHRASES[status], _TYPES[form], len(content)),
        b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n",
        b"x-mycelium-request-id: ",
        request_id,
        b"\r\n",
        own,
    ]
    if status == 401:
        lines.append(_challenge(fault))
    if lane.adapter is not None:
        lines.append(b"x-gateway-code: %s\r\n" % fault.code.encode("ascii"))
    if fault.code == "method_not_allowed":
        lines.append(b"allow: %s\r\n" % allow)
    if fault.code == "bad_upgrade":
        lines.append(b"sec-websocket-version: 13\r\n")
    if fault.retry_after is not None:
        lines.append(b"retry-after: %d\r\n" % fault.retry_after)
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    elif request is not None and not request.minor:
        lines.append(b"connection: keep-alive\r\n")
    lines.append(b"\r\n")
    if not silent:
        lines.append(content)
    return b"".join(lines)


def status_of(fault: GatewayError, lane: Lane) -> int:
    """What goes out, which is not always what PROBLEMS says: to nginx everything but 2xx, 401 and 403 is an error of
    ours, and it answers 500 for it."""
    status = PROBLEMS[fault.code].status
    if lane.adapter is not None and lane.adapter.few and status != 401:
        return 403
    return status


def permitted(lines: bytes, request: Request, request_id: bytes, keep_alive: bool) -> bytes:
    """To a browser's preflight: yes. lines: whole field lines that say to what."""
    return b"".join(
        (
            b"HTTP/1.1 204 No Content\r\n",
            b"" if keep_alive and request.minor else _KEPT[keep_alive],
            lines,
            b"x-mycelium-request-id: ",
            request_id,
            b"\r\n\r\n",
        )
    )


def granted(injected: Injected, request: Request, request_id: bytes, trace: bytes, keep_alive: bool) -> bytes:
    """To a data plane that asks: the request may go on, with these headers in the place of the client's.

    trace: whole field lines.
    """
    return b"".join(
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncache-control: no-store\r\n",
            b"" if keep_alive and request.minor else _KEPT[keep_alive],
            injected.head,
            injected.absent,
            trace,
            b"x-mycelium-request-id: ",
            request_id,
            b"\r\n\r\n",
        )
    )


def _challenge(fault: GatewayError) -> bytes:
    # RFC 6750 section 3.1: no error attribute where no credential was sent
    if fault.code == "no_credential":
        return b"www-authenticate: Bearer\r\n"
    return b'www-authenticate: Bearer error="invalid_token"\r\n'


def _problem(fault: GatewayError, request_id: str) -> bytes:
    return body(fault.code, told(fault), request_id)


def _mployr(fault: GatewayError, request_id: str) -> bytes:
    """Seed 2's envelope, with its texts; it has no place for a reason code or a request id."""
    status = PROBLEMS[fault.code].status
    said: dict[str, object] = {"success": False, "message": _MPLOYR[status]}
    if status == 429:
        said["retry_after"] = fault.retry_after or 1
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


_OF_DIALECTS: Final = frozenset((401, 403, 429))  # the rest of the statuses no dialect has a form for
_MPLOYR: Final = {401: "Unauthenticated.", 403: "This action is unauthorized.", 429: "Too Many Requests"}
_FORMS: Final[dict[str, Callable[[GatewayError, str], bytes]]] = {"problem": _problem, "mployr": _mployr}
_TYPES: Final = {"problem": b"application/problem+json", "mployr": b"application/json"}
