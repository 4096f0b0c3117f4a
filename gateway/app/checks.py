"""What only compiling the configuration shows: overlaps, built-in paths that are taken, certificates that are none."""

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gateway.app import compile
from gateway.app.decide import mount_faults
from gateway.app.mails import make_renderer
from gateway.app.quota_faults import quota_faults
from gateway.app.sharing import unusable_ca
from gateway.app.tracing import tracing_faults
from gateway.routes.model import Route
from gateway.routes.table import Conflict, conflicts, find_equal, host_of
from gateway.routes.template import read_template
from gateway.settings import model
from gateway.settings.faults import Fault, SettingsInvalid, quoted
from gateway.settings.files import Files
from gateway.settings.load import Keys, Loaded, load
from gateway.settings.store_url import named_files
from gateway.store.seal import master_key

_PARAMETER = re.compile(r"\{[^}]*\}").sub


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
    routes = [compile.to_route(route) for route in loaded.settings.routes]
    try:
        faults = [_overlap(loaded, conflict) for conflict in conflicts(routes)]
    except ValueError:  # of one of them: now each is looked at
        return [fault for place, route in enumerate(routes) for fault in _unreachable(loaded, place, route)]
    endpoints = _endpoints(loaded.settings)
    reserved = compile.builtin_routes(endpoints)
    faults += [
        loaded.place(("routes", conflict.first, "path")).fault(
            "route_reserved", f"{reserved[conflict.second].path} is a built-in endpoint: {conflict.reason}"
        )
        for conflict in find_equal(routes, reserved)
    ]
    faults += mount_faults(loaded, endpoints)
    faults += _endpoint_faults(loaded)
    faults += quota_faults(loaded)
    return [*faults, *_tls_faults(loaded), *_start_faults(loaded), *_template_faults(loaded), *tracing_faults(loaded)]


def _template_faults(loaded: Loaded) -> Iterator[Fault]:
    if loaded.settings.mail.templates is None:
        return  # ours hold: a test renders them all
    try:
        make_renderer(loaded.settings)
    except ValueError as error:
        yield loaded.place(("mail", "templates")).fault("wrong_value", str(error))


def _start_faults(loaded: Loaded) -> Iterator[Fault]:
    """What would only come to light at the start."""
    access_log = loaded.settings.log.access
    yield from _key_faults(loaded)
    if isinstance(access_log, Path) and not access_log.parent.is_dir():
        message = f"there is no folder {quoted(access_log.parent)} for the access log"
        yield loaded.place(("log", "access")).fault("file_missing", message)
    for name, path in named_files(loaded.settings.store.url).items():
        if not Path(path).is_file():
            yield loaded.place(("store", "url")).fault("file_missing", f"there is no file {quoted(path)} for {name}")


def _key_faults(loaded: Loaded) -> Iterator[Fault]:
    keys = []
    for name in ("master_key", "previous_master_key"):
        key = getattr(loaded.settings.secrets, name)
        if key is None or not key.is_set:  # `gateway init` has yet to write it
            continue
        try:
            keys.append(master_key(key.get_secret_value()))
        except ValueError as error:
            yield loaded.place(("secrets", name)).fault("wrong_value", f"{error}: {key.reference}")
    if len(keys) != len(set(keys)):
        message = "it is the master key itself: leave it out, or put the key before it there"
        yield loaded.place(("secrets", "previous_master_key")).fault("wrong_value", message)


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
    if name == "admin":
        return ("login", "mycelium", "mount")
    if name == "pipelit" and pipelit is not None and f"{path}/".startswith(f"{pipelit.keys_mount}/"):
        return ("login", name, "keys_mount")
    return ("login", name, "mount")


def _tls_faults(loaded: Loaded) -> list[Fault]:
    """Certificates that cannot be used, each at its key."""
    faults = []
    settings = loaded.settings
    if settings.listen.tls is not None:
        try:
            compile.server_context(settings.listen.tls)
        except (OSError, ssl.SSLError) as error:
            faults.append(loaded.place(("listen", "tls")).fault("bad_certificate", _why(error)))
    for name, upstream in settings.upstreams.items():
        try:
            compile.upstream_context(upstream)
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
