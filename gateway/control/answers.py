"""How our own applications answer: problem JSON, JSON, and the frame around every handler."""

import json
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from gateway.errors import DependencyFailed, GatewayError, RequestRejected
from gateway.ops.logs import Log
from gateway.ops.outages import Outages
from gateway.wire import problems

BODY_LIMIT = 16 * 1024  # bytes: no endpoint takes more than a few fields

# What aiohttp refuses by itself, as rows of our list. A status without a row is ours to be ashamed of: 500.
_REFUSALS = {404: "no_route", 405: "method_not_allowed"}


async def conceal_server(_: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: takes off the header that names aiohttp, Python and their versions."""
    response.headers.pop(hdrs.SERVER, None)


RequestId = Callable[[web.Request], str]
Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer, compact, with a line end for terminals."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"
    return web.Response(status=status, body=text.encode(), content_type="application/json", headers=headers)


def problem(code: str, detail: str, request_id: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal as RFC 9457 problem JSON; 401 carries the challenge that RFC 9110 section 11.6.1 demands."""
    status = problems.PROBLEMS[code].status
    extra = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.Response(
        status=status,
        body=problems.body(code, detail, request_id),
        content_type="application/problem+json",
        headers={**extra, **(headers or {})},
    )


async def read_bounded(request: web.Request) -> bytes:
    """The whole body: at most BODY_LIMIT, which is the application's client_max_size. Raises
    RequestRejected("body_too_large").
    """
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestRejected("body_too_large") from error


def bounded(handler: Endpoint) -> Endpoint:
    """Of a handler that reads no body: what is sent to it has a bound all the same."""

    async def read(request: web.Request) -> web.StreamResponse:
        await read_bounded(request)
        return await handler(request)

    return read


def frame(log: Log, request_id: RequestId) -> Middleware:
    """Turns faults into problems, and gives every answer the headers that all of ours have."""
    outages = Outages(log)

    @web.middleware
    async def framed(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _faults_told(request, handler, log, outages, request_id(request))
        # An account's data in a shared cache is a leak, and so is a body that a browser takes for a script.
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        return response

    return framed


async def _faults_told(
    request: web.Request, handler: Handler, log: Log, outages: Outages, request_id: str
) -> web.StreamResponse:
    try:
        return await handler(request)
    except DependencyFailed as fault:
        outages.failed(fault)
        wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return problem(fault.code, problems.told(fault), request_id, wait)
    except GatewayError as fault:
        return problem(fault.code, fault.detail, request_id)
    except web.HTTPException as refusal:
        code = _REFUSALS.get(refusal.status)
        if code is None:
            log.error(
                "an answer that no handler meant",
                id=request_id,
                trace=trace_id(request),
                route=template(request),
                status=refusal.status,
            )
            return problem("internal_error", "", request_id)
        return problem(code, "", request_id, {"Allow": refusal.headers["Allow"]} if refusal.status == 405 else None)
    except Exception as error:
        log.error("a handler failed", id=request_id, trace=trace_id(request), route=template(request), exc_info=error)
        return problem("internal_error", "", request_id)


def trace_id(request: web.Request) -> str | None:
    """Of the exchange that it is, where the edge has written the header; the admin listener has no traces."""
    parent = request.headers.get("traceparent") if "x-gateway-request-id" in request.headers else None
    return parent[3:35] if parent is not None else None


def template(request: web.Request) -> str:
    """The route's template: a built-in path may hold a token, so logs never have the path itself."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"
