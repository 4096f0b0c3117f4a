"""From what the operator said of headers and of other origins to what the data plane goes by."""

from collections.abc import Iterable, Mapping

from gateway.settings.cors import LoginCors
from gateway.settings.headers import ListenSecurityHeaders, RequestRules, SecurityHeaders
from gateway.settings.route import Route
from gateway.settings.secrets import Secret
from gateway.wire.cors import OURS, Cors, CrossOrigin, Origins
from gateway.wire.hops import fold
from gateway.wire.rules import Rules

_HSTS = b"strict-transport-security"


def request_rules(said: RequestRules, odd: Iterable[str]) -> Rules | None:
    """odd: the names beyond letters, digits and `-` that clients may send: those that an upstream may take for one that
    is set or removed go with it (S-5). None where nothing is said."""
    taken = [*said.set, *said.remove]
    if not taken and not said.add:
        return None
    folded = {fold(name.encode()) for name in taken}
    spelt = [name.encode() for name in (*taken, *odd)]
    gone = folded.union(name for name in spelt if fold(name) in folded)
    given = {name: _given(value) for name, value in said.set.items()}
    secret = frozenset(name.encode() for name, value in said.set.items() if isinstance(value, Secret))
    return Rules(frozenset(gone), _lines(given) + _lines(said.add), secret=secret)


def answer_rules(route: Route, every: ListenSecurityHeaders) -> Rules | None:
    """None where the upstream's headers go on as they are."""
    said = route.headers.response
    gone = {name.encode() for name in (*said.set, *said.remove)}
    if route.cors is not None:
        gone |= OURS
    if every.hsts:
        gone.add(_HSTS)
    lines = _lines(said.set) + _lines(said.add)
    own = {name.lower() for name in (*said.set, *said.add)}
    defaults = tuple(
        (name.encode(), _line(name, value)) for name, value in _safe(route.security_headers) if name not in own
    )
    return Rules(frozenset(gone), lines, defaults) if gone or lines or defaults else None


def every_answer(said: ListenSecurityHeaders) -> bytes:
    """Whole field lines."""
    if not said.hsts:
        return b""
    below = b"; includeSubDomains" if said.hsts_subdomains else b""
    return b"%b: max-age=%d%b\r\n" % (_HSTS, said.hsts, below)


def cross_origin(route: Route) -> CrossOrigin | None:
    cors, websocket = None, None
    if route.cors is not None:
        methods = route.cors.methods or route.methods
        cors = _cors(route.cors, methods)
    if route.websocket is not None:
        websocket = Origins(route.websocket.origins)
    return None if cors is None and websocket is None else CrossOrigin(cors, websocket)


def builtin(said: LoginCors, method: str) -> CrossOrigin:
    """Of one endpoint of ours."""
    return CrossOrigin(_cors(said, (method,)), None)


def _cors(said: LoginCors, methods: tuple[str, ...]) -> Cors:
    """HEAD goes with GET, as everywhere."""
    names = tuple(dict.fromkeys((*methods, "HEAD") if "GET" in methods else methods))
    return Cors(Origins(said.origins), names, said.headers, said.expose, said.credentials, int(said.max_age))


def _safe(said: SecurityHeaders | None) -> Iterable[tuple[str, str]]:
    if said is None:
        return ()
    found = {
        "x-content-type-options": said.content_type_options,
        "x-frame-options": said.frame_options,
        "referrer-policy": said.referrer_policy,
        "content-security-policy": said.content_security_policy or "off",
    }
    return [(name, value) for name, value in found.items() if value != "off"]


def _given(value: Secret | str) -> str:
    return value.get_secret_value() if isinstance(value, Secret) else value


def _lines(fields: Mapping[str, str]) -> bytes:
    return b"".join(_line(name, value) for name, value in fields.items())


def _line(name: str, value: str) -> bytes:
    return b"%b: %b\r\n" % (name.encode(), value.encode("latin-1"))
