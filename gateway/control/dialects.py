"""Login APIs on the built-in application: requests become calls, replies become responses.

What all of them share is here: which body is read, who calls, what every answer carries. What they mean is `login`.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar, assert_never
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from gateway.control.answers import read_bounded, template, trace_id
from gateway.control.caller import Callers
from gateway.errors import DependencyFailed, GatewayError, RequestRejected
from gateway.identity.audit import account, acting, asked_by
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.login.dialect import Body, Call, Dialect, Endpoint, Reply
from gateway.ops.logs import Log
from gateway.ops.outages import Outages

_T = TypeVar("_T")

Prepare = Callable[[], Awaitable[None]]

MAX_DEPTH = 8  # of a JSON body; ours are two deep
MAX_FIELDS = 16  # of a form; ours have two
_CROSS_SITE = ("cross-site", "same-site")  # Sec-Fetch-Site of a form that another site's page sends (S-38)


def add(
    application: web.Application, dialects: Iterable[Dialect], callers: Callers, prepare: Prepare, log: Log
) -> None:
    """Routes for every endpoint. The seeds' clients send paths with and without a slash at the end.

    prepare: awaited before each call.
    """
    outages = Outages(log)
    for dialect in dialects:
        for endpoint in dialect.endpoints():
            handler = _Served(dialect, endpoint, callers, prepare, log, outages).handle
            for path in (endpoint.path, f"{endpoint.path}/"):
                application.router.add_route(endpoint.method, path, handler)
                if endpoint.method == "GET" and endpoint.safe:
                    application.router.add_route("HEAD", path, handler)


class _Served:
    """One endpoint."""

    def __init__(
        self, dialect: Dialect, endpoint: Endpoint, callers: Callers, prepare: Prepare, log: Log, outages: Outages
    ) -> None:
        self._dialect = dialect
        self._endpoint = endpoint
        self._callers = callers
        self._prepare = prepare
        self._log = log
        self._outages = outages

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """What is wrong with a call is told once it has been metered: the limits are on every answer."""
        caller, unknown = await self._found(request, self._principal(request))
        data, unread = await self._found(request, read_bounded(request))
        metered = await self._dialect.meter(self._endpoint, _origin(request), caller)
        reply, fault = None, metered.over or unknown or unread
        if fault is None:
            reply, fault = await self._found(request, self._replied(request, caller, data or b""))
        if fault is not None:
            reply = self._dialect.fault(fault, self._endpoint, _request_id(request))
        assert reply is not None
        return _response(reply, metered.headers, fault)

    async def _found(self, request: web.Request, awaited: Awaitable[_T]) -> tuple[_T | None, GatewayError | None]:
        """Or why not."""
        try:
            return await awaited, None
        except DependencyFailed as fault:
            self._outages.failed(fault)
            return None, fault
        except GatewayError as fault:
            return None, fault
        except Exception as error:
            ids = {"id": _request_id(request), "trace": trace_id(request)}
            self._log.error("a handler failed", **ids, route=template(request), exc_info=error)
            return None, DependencyFailed("internal_error")

    async def _replied(self, request: web.Request, caller: Principal | None, data: bytes) -> Reply:
        await self._prepare()
        call = self._call(request, caller, data)
        credential = (caller.grant_id or "") if caller is not None else ""
        with acting(asked_by(call.origin, _actor(caller), self._dialect.name, credential)):
            return await self._endpoint.handler(call)

    def _call(self, request: web.Request, caller: Principal | None, data: bytes) -> Call:
        if self._endpoint.exact:
            _require_exact(request, data, self._endpoint.body)
        return Call(
            origin=_origin(request),
            params=dict(request.match_info),
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=self._body(request, data),
            principal=caller,
        )

    async def _principal(self, request: web.Request) -> Principal | None:
        match self._endpoint.caller:
            case "nobody":
                return None
            case "session":
                return await self._callers.principal(request)
            case "pending":
                return await self._callers.principal(request, pending=True)
            case _:
                assert_never(self._endpoint.caller)

    def _body(self, request: web.Request, data: bytes) -> Mapping[str, object]:
        match self._endpoint.body:
            case "none":
                return {}
            case "form":
                if request.headers.get("Sec-Fetch-Site") in _CROSS_SITE:
                    raise RequestRejected("forbidden", "Open the link of the mail itself.")
                return read_form(request.content_type, data)
            case "json":
                return read_json(request.content_type, data)
            case _:
                assert_never(self._endpoint.body)


def _require_exact(request: web.Request, data: bytes, body: Body) -> None:
    """Raises RequestRejected: "bad_parameter", "unsupported_media"."""
    if len(set(request.query)) < len(request.query):  # which of the two counts is a guess
        raise RequestRejected("bad_parameter", "A parameter of the query comes twice.")
    if body == "none" and data:
        raise RequestRejected("bad_parameter", "This call takes no body.")
    if body == "json" and (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise RequestRejected("unsupported_media", "JSON is UTF-8; send Content-Type: application/json.")


def read_json(content_type: str, data: bytes) -> Mapping[str, object]:
    """An object. Raises RequestRejected: "unsupported_media" (which a page of another site cannot avoid without asking
    us first), "bad_parameter"; never with a part of the body in its text."""
    if content_type != "application/json":
        raise RequestRejected("unsupported_media", "Send Content-Type: application/json.")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_refuse)
        deep = _depth(value) > MAX_DEPTH
    except (ValueError, RecursionError):
        raise RequestRejected("bad_parameter", "The body must be a JSON object in UTF-8.") from None
    if not isinstance(value, dict) or deep:
        raise RequestRejected("bad_parameter", "The body must be a JSON object.")
    return value


def read_form(content_type: str, data: bytes) -> Mapping[str, str]:
    """A form's fields; {} for another type. Raises RequestRejected("bad_parameter"), without a part of the body."""
    if content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        fields = parse_qsl(data.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RequestRejected("bad_parameter", f"The form must be UTF-8, and of {MAX_FIELDS} fields at most.") from None
    found = dict(fields)
    if len(found) < len(fields):  # which of the two counts is a guess
        raise RequestRejected("bad_parameter", "A field of the form comes twice.")
    return found


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):  # which of the two counts is a guess
        raise ValueError
    return found


def _refuse(_: str) -> None:
    raise ValueError  # NaN and Infinity are not JSON


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _origin(request: web.Request) -> Origin:
    """As the edge saw it; no client can send these fields."""
    headers = request.headers
    return Origin(
        address=headers.get("x-gateway-peer", ""),
        user_agent=headers.get(hdrs.USER_AGENT, ""),
        direct=headers.get("x-gateway-direct") == "1",
        request_id=_request_id(request),
    )


def _actor(caller: Principal | None) -> str:
    """As the audit trail calls whoever asks."""
    if caller is None:
        return "anonymous"
    return account(caller.account.id) if caller.account is not None else f"issuer:{caller.issuer}"


def _request_id(request: web.Request) -> str:
    return request.headers.get("x-gateway-request-id", "")


def _response(reply: Reply, metered: Mapping[str, str], fault: GatewayError | None) -> web.Response:
    headers = {**metered, **reply.headers}
    if reply.status == 401 and not reply.content_type.startswith("text/html"):
        headers.setdefault("WWW-Authenticate", "Bearer")  # RFC 9110 section 11.6.1
    if fault is not None and fault.retry_after is not None:
        headers.setdefault("Retry-After", str(fault.retry_after))
    if reply.body:
        kind = reply.content_type
        plain = "charset" in kind or kind.endswith("json")  # JSON has no such parameter (RFC 8259 section 11)
        headers["Content-Type"] = kind if plain else f"{kind}; charset=utf-8"
    return web.Response(status=reply.status, body=reply.body or None, headers=headers)
