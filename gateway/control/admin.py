"""The admin listener: health, readiness, metrics, reload, purge. None of it is on the public listener.

A page in a browser can make its own name resolve to 127.0.0.1 (DNS rebinding) and so reach a listener on loopback: the
Host must be an address, localhost or a listed name. What is not open wants the admin token, from anywhere.
"""

import asyncio
import hmac
import ipaddress
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from gateway.control.answers import BODY_LIMIT, answer, conceal_server, frame, read_bounded, template
from gateway.errors import RequestRejected
from gateway.identity.audit import Event, Refusals, Scope, Unrecorded, acting, asked_by
from gateway.identity.origin import Origin
from gateway.ops import metrics
from gateway.ops.health import Readiness
from gateway.ops.logs import Log
from gateway.ops.question import Question


@dataclass(frozen=True, slots=True)
class AdminAccess:
    """token: of Authorization: Bearer; None refuses whatever needs it. hosts: lower-case names, beside addresses."""

    token: bytes | None = field(repr=False)
    hosts: frozenset[str] = frozenset()


class Operations(Protocol):
    """What an operator can ask of the running gateway."""

    async def readiness(self) -> Readiness: ...

    async def reload(self) -> Sequence[Mapping[str, object]]:
        """The faults that kept the old configuration in place; none when the new one runs."""

    async def purge(self) -> None:
        """Forgets every verified credential."""

    async def explain(self, question: Question) -> Mapping[str, object]:
        """What would happen to a request, and why. Raises RequestRejected for what cannot be asked."""

    def metrics(self) -> bytes:
        """The exposition. Called in a thread."""


# Who may call without the token; an endpoint that is not here wants it.
_OPEN: Final = {
    "/healthz": "anybody",
    "/readyz": "anybody",
    "/metrics": "loopback",  # a collector beside the gateway; its numbers tell an outsider about the traffic
}

_EXPLAINED: Final = "x-explain-"
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::\d{1,5})?", re.ASCII)


# Replaces the program while it runs: the faults that kept it from that.
Upgrade = Callable[[], Awaitable[Sequence[Mapping[str, object]]]]


def build(
    operations: Operations,
    access: Callable[[], AdminAccess],
    log: Log,
    upgrade: Upgrade | None = None,
    refusals: Refusals | None = None,
) -> web.Application:
    """access: asked on every request, so that a reload changes it. upgrade: None where there is none. refusals: told of
    calls without the right token; None where there is no audit trail."""
    application = web.Application(
        middlewares=[frame(log, _fresh_request_id), _guard(access, Unrecorded() if refusals is None else refusals)],
        client_max_size=BODY_LIMIT,
    )
    application.on_response_prepare.append(conceal_server)

    async def healthz(_: web.Request) -> web.StreamResponse:
        return answer({"status": "ok"})

    async def readyz(_: web.Request) -> web.StreamResponse:
        found = await operations.readiness()
        body = {"ready": not found.reasons, "reasons": found.reasons, "warnings": found.warnings}
        return answer(body, 503 if found.reasons else 200)

    async def exposition(_: web.Request) -> web.StreamResponse:
        body = await asyncio.to_thread(operations.metrics)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: metrics.CONTENT_TYPE})

    async def reload(_: web.Request) -> web.StreamResponse:
        faults = await operations.reload()
        return answer({"reloaded": not faults, "faults": list(faults)}, 422 if faults else 200)

    async def purge(_: web.Request) -> web.StreamResponse:
        await operations.purge()
        return answer({"purged": True})

    async def explain(request: web.Request) -> web.StreamResponse:
        return answer(await operations.explain(_question(request)))

    router = application.router
    router.add_get("/healthz", healthz)
    router.add_get("/readyz", readyz)
    router.add_get("/metrics", exposition)
    router.add_get("/explain", explain, allow_head=False)
    router.add_post("/reload", reload)
    router.add_post("/purge", purge)
    if upgrade is not None:
        router.add_post("/upgrade", _upgrading(upgrade))
    return application


def _question(request: web.Request) -> Question:
    """`?method=GET&url=/orders/1`, or `?id=` of a logged request; header X-Explain-NAME stands for its header NAME."""
    said = request.query
    wanted = {"id"} if "id" in said else {"method", "url"}
    if set(said) != wanted or len(said) != len(wanted):
        raise RequestRejected("bad_parameter", "Give method and url, or id, each once.")
    given = [(name[len(_EXPLAINED) :], value) for name, value in request.headers.items() if _is_explained(name)]
    return Question(said.get("method", ""), said.get("url", ""), tuple(given), said.get("id", ""))


def _is_explained(name: str) -> bool:
    return name.lower().startswith(_EXPLAINED)


def _upgrading(upgrade: Upgrade) -> Handler:
    async def upgraded(_: web.Request) -> web.StreamResponse:
        faults = await upgrade()
        return answer({"upgraded": not faults, "faults": list(faults)}, 422 if faults else 200)

    return upgraded


def host_allowed(host: str, names: frozenset[str]) -> bool:
    """Whether a Host value is an IP address, localhost or one of `names` (lower case), with or without a port."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match["six"] or match["name"].lower().removesuffix(".")
    return name == "localhost" or name in names or _is_address(name)


def _guard(access: Callable[[], AdminAccess], refusals: Refusals) -> Middleware:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        allowed = access()
        _check_host(request, allowed.hosts)
        needs = _OPEN.get(template(request))  # a path that no endpoint has wants the token as well
        if needs is None or (needs == "loopback" and not _from_loopback(request)):
            try:
                _check_token(request, allowed.token)
            except RequestRejected as fault:
                with acting(_scope(request, "anonymous")):
                    refusals.refused(Event("admin_refused", outcome="refused", reason=fault.code))
                raise
        await read_bounded(request)
        with acting(_scope(request)):
            return await handler(request)

    return guarded


def _scope(request: web.Request, actor: str = "admin") -> Scope:
    """Of the audit trail: by default whoever has the token; those without it change nothing."""
    origin = Origin(request.remote or "", request.headers.get(hdrs.USER_AGENT, ""))
    return asked_by(origin, actor, "")


def _check_host(request: web.Request, names: frozenset[str]) -> None:
    hosts = request.headers.getall(hdrs.HOST, [])
    if not hosts and request.version < (1, 1):
        return  # a balancer's probe in HTTP/1.0; browsers, which the rule is about, always send one
    if len(hosts) != 1:
        raise RequestRejected("bad_host")
    if not host_allowed(hosts[0], names):
        raise RequestRejected("misdirected", "Use an address or localhost, or list the name in admin.hosts.")


def _check_token(request: web.Request, token: bytes | None) -> None:
    values = request.headers.getall(hdrs.AUTHORIZATION, [])
    if not values:
        raise RequestRejected("no_credential", "The admin token is needed, as Authorization: Bearer.")
    if len(values) > 1:
        raise RequestRejected("duplicate_credential")
    scheme, _, presented = values[0].partition(" ")
    right = hmac.compare_digest(presented.strip().encode("utf-8", "surrogateescape"), token or b"")
    if scheme.lower() != "bearer" or not token or not right:
        raise RequestRejected("invalid_credential")


def _from_loopback(request: web.Request) -> bool:
    address = ipaddress.ip_address((request.remote or "0.0.0.0").partition("%")[0])  # noqa: S104 - not a bind
    mapped = getattr(address, "ipv4_mapped", None)  # a dual-stack listener sees IPv4 peers so
    return (mapped or address).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _fresh_request_id(_: web.Request) -> str:
    return str(uuid.uuid4())
