"""From what the operator said to what the data plane goes by: routes, upstreams, limits, TLS. No sockets are opened."""

import ssl
from collections.abc import Iterable
from urllib.parse import urlsplit

from gateway.app import headers
from gateway.edge.generation import Waits
from gateway.routes.model import Access, AccessKind, RoleRule, Route, Timeouts
from gateway.settings.cors import LoginCors
from gateway.settings.listen import Listen, ServerTls
from gateway.settings.route import METHODS
from gateway.settings.route import Route as RouteSettings
from gateway.settings.upstream import ClientTls
from gateway.settings.upstream import Upstream as UpstreamSettings
from gateway.wire.reader import Limits

SECRETS = ("token}", "auth_id}", "link}")  # parameters of our own paths that let their holder in
BUILTIN = "builtin"  # name of our own application as an upstream, in logs and metrics
_OWN_TIMEOUTS = Timeouts(connect=60.0)  # it is in this process: only a loop that is busy makes the wait long


def builtin_routes(endpoints: Iterable[tuple[str, str]], cors: LoginCors | None = None) -> list[Route]:
    """Our own endpoints as routes. They are public to the edge: the application authenticates its callers itself."""
    return [
        Route(
            path,
            frozenset((method,)),
            BUILTIN,
            Access(AccessKind.PUBLIC),
            timeouts=_OWN_TIMEOUTS,
            builtin=True,
            cross_origin=None if cors is None else headers.builtin(cors, method),
        )
        for method, path in endpoints
    ]


def secret_paths(builtin: Iterable[Route], public_url: str, asked_below: Iterable[str]) -> list[bytes]:
    """Our own paths that go on with a secret, up to that: under another method, or with more behind it, such a path is
    taken by no endpoint of ours, and must not be logged all the same. Also below the path of public_url, as links have
    it, and below what data planes put before a path that they ask about."""
    found = {route.path.partition("/{" + name)[0] for route in builtin for name in SECRETS if "/{" + name in route.path}
    sites = {"", urlsplit(public_url).path}
    return [f"{ask}{site}{path}".encode() for ask in ("", *asked_below) for site in sites for path in sorted(found)]


def to_route(route: RouteSettings, listen: Listen | None = None) -> Route:
    """listen: None where nobody asks for the headers."""
    return Route(
        path=route.path,
        methods=frozenset(route.methods),
        upstream=route.upstream,
        access=Access(
            AccessKind(route.access.kind),
            tuple(RoleRule(rule.role, rule.permission == "write") for rule in route.access.roles),
            route.access.mfa is not None,
            frozenset(route.access.scopes),
            frozenset(route.access.issuers),
        ),
        host=route.host,
        strip_prefix=route.strip_prefix,
        forward_authorization=route.forward.authorization,
        preserve_host=route.forward.host == "preserve",
        allow_encoded=frozenset(spelling.encode() for spelling in route.allow_encoded),
        errors=route.errors,
        timeouts=Timeouts(route.timeouts.connect, route.timeouts.first_byte, route.timeouts.idle),
        body_limit=route.limits.body,
        cross_origin=headers.cross_origin(route),
        request_rules=None if listen is None else headers.request_rules(route.headers.request, listen.allow_headers),
        answer_rules=None if listen is None else headers.answer_rules(route, listen.security_headers),
    )


def label(route: Route) -> str:
    """How logs and metrics call a route: its template, with the host and the methods where they say something."""
    template = (route.host or "") + route.path
    if route.methods == frozenset(METHODS):
        return template
    return f"{','.join(sorted(route.methods))} {template}"


def upstream_context(upstream: UpstreamSettings) -> ssl.SSLContext | None:
    """None where no endpoint speaks TLS: reading the system's certificates takes 20 ms for each context."""
    return client_context(upstream.tls) if any(said.url.scheme == "https" for said in upstream.endpoints) else None


def limits(listen: Listen, route: int | None = None) -> Limits:
    """route: the smallest limit of a head that a route has of its own."""
    said = listen.limits
    return Limits(said.head, said.field, said.target, said.fields, route)


def waits(listen: Listen) -> Waits:
    said = listen.timeouts
    return Waits(said.head, said.body_idle, said.keep_alive)


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """Raises OSError or ssl.SSLError for a certificate or key that cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.cert, tls.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """Verifies by default. Raises OSError or ssl.SSLError for a CA file that cannot be used."""
    context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
