"""From what the operator said to what the data plane goes by: routes, upstreams, limits, TLS. No sockets are opened."""

import re
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from gateway.app.decide import mount_faults
from gateway.app.mails import make_renderer
from gateway.app.sharing import unusable_ca
from gateway.edge.connector import tcp
from gateway.edge.generation import Waits
from gateway.edge.pool import Endpoint, Upstream, Watch
from gateway.pipeline import Aim
from gateway.routes.model import Access, AccessKind, RoleRule, Route, Timeouts
from gateway.routes.table import Conflict, conflicts, find_equal, host_of
from gateway.routes.template import read_template
from gateway.settings import model
from gateway.settings.faults import Fault, SettingsInvalid, quoted
from gateway.settings.files import Files
from gateway.settings.load import Keys, Loaded, load
from gateway.settings.store_url import named_files
from gateway.store.seal import master_key
from gateway.wire.reader import Limits

SECRETS = ("token}", "auth_id}", "link}")  # parameters of our own paths that let their holder in
_PARAMETER = re.compile(r"\{[^}]*\}").sub
BUILTIN = "builtin"  # name of our own application as an upstream, in logs and metrics


def read(path: Path, environ: Mapping[str, str], source: Files | None = None) -> Loaded:
    """The configuration with what only compiling shows. source: as in `load`. Raises SettingsInvalid."""
    return compiled(load(path, environ, source))


def compiled(loaded: Loaded) -> Loaded:
    """The same. Raises SettingsInvalid for what only compiling shows."""
    faults = compile_faults(loaded)
    if faults:
        raise SettingsInvalid(faults)
    return loaded


def compile_faults(loaded: Loaded) -> Sequence[Fault]:
    """What only the compiled routes show: two of them for one request, or one that a built-in endpoint has taken."""
    routes = [to_route(route) for route in loaded.settings.routes]
    try:
        faults = [_overlap(loaded, conflict) for conflict in conflicts(routes)]
    except ValueError:  # of one of them: now each is looked at
        return [fault for place, route in enumerate(routes) for fault in _unreachable(loaded, place, route)]
    endpoints = _endpoints(loaded.settings)
    reserved = builtin_routes(endpoints)
    faults += [
        loaded.place(("routes", conflict.first, "path")).fault(
            "route_reserved", f"{reserved[conflict.second].path} is a built-in endpoint: {conflict.reason}"
        )
        for conflict in find_equal(routes, reserved)
    ]
    faults += mount_faults(loaded, endpoints)
    faults += _endpoint_faults(loaded)
    return [*faults, *_tls_faults(loaded), *_start_faults(loaded), *_template_faults(loaded)]


def _template_faults(loaded: Loaded) -> Iterator[Fault]:
    if loaded.settings.mail.templates is None:
        return  # ours hold: a test renders them all
    try:
        make_renderer(loaded.settings)
    except ValueError as error:
        yield loaded.place(("mail", "templates")).fault("wrong_value", str(error))


def _start_faults(loaded: Loaded) -> Iterator[Fault]:
    """What would only come to light at the start."""
    key, access_log = loaded.settings.secrets.master_key, loaded.settings.log.access
    if key.is_set:  # else `gateway init` has yet to write it
        try:
            master_key(key.get_secret_value())
        except ValueError as error:
            yield loaded.place(("secrets", "master_key")).fault("wrong_value", f"{error}: {key.reference}")
    if isinstance(access_log, Path) and not access_log.parent.is_dir():
        message = f"there is no folder {quoted(access_log.parent)} for the access log"
        yield loaded.place(("log", "access")).fault("file_missing", message)
    for name, path in named_files(loaded.settings.store.url).items():
        if not Path(path).is_file():
            yield loaded.place(("store", "url")).fault("file_missing", f"there is no file {quoted(path)} for {name}")


def _unreachable(loaded: Loaded, place: int, route: Route) -> Iterator[Fault]:
    try:
        read_template(route.path)
        host_of(route)
    except ValueError as error:
        yield loaded.place(("routes", place, "path")).fault("wrong_value", str(error))


def _overlap(loaded: Loaded, conflict: Conflict) -> Fault:
    first = loaded.place(("routes", conflict.first, "path"))
    return loaded.place(("routes", conflict.second, "path")).fault(
        "route_overlap", f"this route and the one at {first}: {conflict.reason}"
    )


def _endpoint_faults(loaded: Loaded) -> Iterator[Fault]:
    """Two endpoints of ours with one method and path: which of them answers must not hang on their order."""
    from gateway.app.logins import paths
    from gateway.control.application import endpoints

    mount = loaded.settings.login.mycelium.mount
    # the profile and the key set, once for both forms of their paths
    found = sorted({(method, path.rstrip("/"), "mycelium") for method, path in endpoints(mount)})
    for dialect in paths(loaded.settings):
        found += [(end.method, end.path, dialect.name) for end in dialect.endpoints()]
    taken: dict[tuple[str, str], Keys] = {}
    told: set[Keys] = set()
    for method, path, name in found:
        keys, shape = _mount_of(loaded.settings, name, path), (method, _PARAMETER("{}", path))
        if shape not in taken:
            taken[shape] = keys
        elif keys not in told:
            told.add(keys)
            where = f"{'.'.join(map(str, taken[shape]))}, at {loaded.place(taken[shape])}"
            yield loaded.place(keys).fault("endpoint_overlap", f"{method} {path} is an endpoint below {where}, too")


def _mount_of(settings: model.Settings, name: str, path: str) -> Keys:
    """The setting that puts an endpoint where it is."""
    pipelit = settings.login.pipelit
    if name == "pipelit" and pipelit is not None and f"{path}/".startswith(f"{pipelit.keys_mount}/"):
        return ("login", name, "keys_mount")
    return ("login", name, "mount")


def _tls_faults(loaded: Loaded) -> list[Fault]:
    """Certificates that cannot be used, each at its key."""
    faults = []
    settings = loaded.settings
    if settings.listen.tls is not None:
        try:
            server_context(settings.listen.tls)
        except (OSError, ssl.SSLError) as error:
            faults.append(loaded.place(("listen", "tls")).fault("bad_certificate", _why(error)))
    for name, upstream in settings.upstreams.items():
        try:
            _context_for(upstream)
        except (OSError, ssl.SSLError) as error:
            place = loaded.place(("upstreams", name, "tls", "ca"))
            faults.append(place.fault("bad_certificate", _why(error)))
    unusable = unusable_ca(settings.state)
    if unusable is not None:
        faults.append(loaded.place(("state", "ca")).fault("bad_certificate", unusable))
    return faults


def _why(error: OSError) -> str:
    return f"the certificate or key cannot be used: {error.strerror or error.args[-1] or type(error).__name__}"


def _endpoints(settings: model.Settings) -> Sequence[tuple[str, str]]:
    from gateway.app.logins import paths
    from gateway.control.application import endpoints

    return endpoints(settings.login.mycelium.mount, paths(settings))


def builtin_routes(endpoints: Iterable[tuple[str, str]]) -> list[Route]:
    """Our own endpoints as routes. They are public to the edge: the application authenticates its callers itself."""
    return [
        Route(path, frozenset((method,)), BUILTIN, Access(AccessKind.PUBLIC), builtin=True)
        for method, path in endpoints
    ]


def secret_paths(builtin: Iterable[Route]) -> tuple[bytes, ...]:
    """Beginnings, in lower case, of our own paths that go on with a secret: under another method, or with more behind
    it, such a path is taken by no endpoint of ours, and must not be logged all the same."""
    found = {route.path.partition("{" + name)[0] for route in builtin for name in SECRETS if "{" + name in route.path}
    return tuple(sorted(path.lower().encode() for path in found))


def to_route(route: model.Route) -> Route:
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
    )


def label(route: Route) -> str:
    """How logs and metrics call a route: its template, with the host and the methods where they say something."""
    template = (route.host or "") + route.path
    if route.methods == frozenset(model.METHODS):
        return template
    return f"{','.join(sorted(route.methods))} {template}"


def to_upstream(name: str, upstream: model.Upstream, watch: Watch) -> Upstream:
    context = _context_for(upstream)
    endpoints = []
    for said in upstream.endpoints:
        tls = context if said.scheme == "https" else None
        default = 443 if tls else 80
        host = f"[{said.host}]" if ":" in said.host else said.host
        aim = Aim((host if said.port == default else f"{host}:{said.port}").encode(), said.path)
        endpoints.append(Endpoint(str(said), aim, upstream.pool, tcp(said.host, said.port, tls), watch))
    return Upstream(name, endpoints, upstream.balance)


def _context_for(upstream: model.Upstream) -> ssl.SSLContext | None:
    """None where no endpoint speaks TLS: reading the system's certificates takes 20 ms for each context."""
    return client_context(upstream.tls) if any(said.scheme == "https" for said in upstream.endpoints) else None


def limits(listen: model.Listen) -> Limits:
    said = listen.limits
    return Limits(said.head, said.field, said.target, said.fields)


def waits(listen: model.Listen) -> Waits:
    said = listen.timeouts
    return Waits(said.head, said.body_idle, said.keep_alive)


def server_context(tls: model.ServerTls) -> ssl.SSLContext:
    """Raises OSError or ssl.SSLError for a certificate or key that cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.cert, tls.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def client_context(tls: model.ClientTls) -> ssl.SSLContext:
    """Verifies by default. Raises OSError or ssl.SSLError for a CA file that cannot be used."""
    context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
