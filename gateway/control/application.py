"""The built-in application: what the gateway answers itself on the public listener, behind the edge.

The edge has parsed, matched and logged the request; it hands credentials in unchanged and adds `x-gateway-*`, which no
client can send. Every endpoint that wants a caller authenticates with the edge's own object.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web

from gateway.control import dialects, profile
from gateway.control.answers import BODY_LIMIT, Endpoint, answer, bounded, conceal_server, frame
from gateway.control.caller import Authenticator, Callers
from gateway.login.dialect import Dialect
from gateway.ops.logs import Log

MOUNT = "/_adm"
JWKS_PATH = "/.well-known/jwks.json"
JWKS_AGE = 60  # seconds: how long a verifier may miss a rotated key


def _table(mount: str) -> tuple[tuple[str, str, str], ...]:
    """Method, path template, handler. The seed's clients send both forms of a path."""
    rows = (
        ("GET", f"{mount.rstrip('/')}/beginners/profile", "profile"),
        ("GET", JWKS_PATH, "jwks"),
    )
    return tuple((method, path + slash, name) for method, path, name in rows for slash in ("", "/"))


def endpoints(mount: str = MOUNT, logins: Sequence[Dialect] = ()) -> tuple[tuple[str, str], ...]:
    """(method, path template) of all that is reserved for this application. GET stands for HEAD too."""
    own = [(method, path) for method, path, _ in _table(mount)]
    for dialect in logins:
        for endpoint in dialect.endpoints():
            own += [(endpoint.method, endpoint.path), (endpoint.method, f"{endpoint.path}/")]
    return tuple(own)


async def nothing() -> None:
    return


def build(
    *,
    authenticator: Authenticator,
    render_profile: profile.Render,
    public_keys: Callable[[], Awaitable[Mapping[str, object]]],
    now: Callable[[], float],
    log: Log,
    logins: Sequence[Dialect] = (),
    prepare: Callable[[], Awaitable[None]] = nothing,
    mount: str = MOUNT,
    connection_string_header: str = "x-mycelium-connection-string",
) -> web.Application:
    """public_keys: the JWK set that verifies our tokens and assertions. now: seconds since the epoch.

    logins: the login APIs. prepare: awaited before each of their calls.
    """
    callers = Callers(authenticator, connection_string_header, now)
    handlers: dict[str, Endpoint] = {
        "profile": bounded(profile.endpoint(callers, render_profile)),
        "jwks": bounded(_jwks(public_keys)),
    }
    application = web.Application(middlewares=[frame(log, _request_id)], client_max_size=BODY_LIMIT)
    application.on_response_prepare.append(conceal_server)
    for method, path, name in _table(mount):
        application.router.add_route(method, path, handlers[name])
        if method == "GET":
            application.router.add_route("HEAD", path, handlers[name])
    dialects.add(application, logins, callers, prepare, log)
    return application


def _request_id(request: web.Request) -> str:
    return request.headers.get("x-gateway-request-id", "")


def _jwks(public_keys: Callable[[], Awaitable[Mapping[str, object]]]) -> Endpoint:
    async def jwks(_: web.Request) -> web.StreamResponse:
        return answer(await public_keys(), headers={"Cache-Control": f"public, max-age={JWKS_AGE}"})

    return jwks


ENDPOINTS = endpoints()
