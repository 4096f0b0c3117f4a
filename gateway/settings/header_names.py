"""Headers that an operator may have changed, their values, and origins. Pure: a parser returns or raises ValueError.

What HTTP itself or the gateway gives a meaning is no rule's business: the tables say which, and what to write instead.
"""

import re

from gateway.settings.faults import quoted
from gateway.settings.values import duration, host_name, normalised

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # RFC 9110 section 5.6.2
# RFC 9110 section 5.5, in Latin-1: visible characters, with spaces and tabs between them
_VALUE = re.compile(r"(?:[!-~\xa1-\xff](?:[!-~\xa1-\xff \t]{0,4094}[!-~\xa1-\xff])?)?")
VALUE_LIMIT = 4096  # characters; half of what servers take as a line

_GATEWAYS = "the gateway says this itself, and no rule changes it"
_FRAMING = "where a message ends, and what holds for one connection only, is the gateway's to say"
_WHERE = "upstreams take it for where the request came from or went to; the gateway says that itself"
_HANDSHAKE = "a handshake goes on as it is, or not at all"
_PREFIXES = {
    "x-mycelium-": _GATEWAYS,
    "x-gateway-": _GATEWAYS,
    "proxy-": _FRAMING,
    "sec-websocket-": _HANDSHAKE,
}
_REQUEST_PREFIXES = {
    **_PREFIXES,
    "x-forwarded-": _WHERE,
    "x-original-": _WHERE,
    "sec-fetch-": "only browsers say this; an upstream would believe a page that is not theirs",
    "access-control-request-": "only browsers say this",
}
_BOTH = {
    **dict.fromkeys(("connection", "keep-alive", "proxy", "te", "trailer", "upgrade", "http2-settings"), _FRAMING),
    **dict.fromkeys(("content-length", "transfer-encoding"), _FRAMING),
    "host": "write forward: { host: preserve } or { host: upstream }",
}
_REQUEST = {
    **_BOTH,
    "expect": _FRAMING,
    **dict.fromkeys(("forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip"), _WHERE),
    **dict.fromkeys(("x-rewrite-url", "front-end-https"), _WHERE),
    **dict.fromkeys(
        ("x-http-method", "x-http-method-override", "x-method-override"),
        "upstreams take it for another method than the route's rule was about",
    ),
    **dict.fromkeys(("traceparent", "tracestate"), "traces are the gateway's to go on with"),
}
_AUTHORIZATION = "write forward: { authorization: true }, or set it to { env: NAME } or { file: path }"


def token(text: str) -> str:
    """A header name as HTTP knows it, lower case."""
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a header name: letters, digits and - are")
    return text.lower()


def set_in_request(text: str) -> str:
    """Lower case. `authorization` is one of them: for the upstream's own credential."""
    return _allowed(text, _REQUEST, _REQUEST_PREFIXES)


def changed_in_request(text: str) -> str:
    if normalised(text) == "authorization":
        raise ValueError(f"{quoted(text)}: {_AUTHORIZATION}")
    return set_in_request(text)


def removed_from_answer(text: str) -> str:
    return _allowed(text, _BOTH, _PREFIXES)


def changed_in_answer(text: str) -> str:
    if normalised(text).startswith("access-control-"):
        raise ValueError(f"{quoted(text)}: write cors: instead, which answers preflights too")
    return removed_from_answer(text)


def _allowed(text: str, names: dict[str, str], prefixes: dict[str, str]) -> str:
    """Compared as the most forgiving server reads it: `X_Mycelium.Profile` is x-mycelium-profile to CGI (S-5)."""
    name = token(text)
    folded = normalised(name)
    why = names.get(folded) or next((why for prefix, why in prefixes.items() if folded.startswith(prefix)), None)
    if why is not None:
        raise ValueError(f"{quoted(text)}: {why}")
    return name


def header_value(text: str) -> str:
    """The value is not in the error's text: it may be a secret."""
    if len(text) > VALUE_LIMIT:
        raise ValueError(f"a header's value has {VALUE_LIMIT} characters at most")
    if not _VALUE.fullmatch(text):
        raise ValueError(
            "a header's value has visible characters of Latin-1, with spaces only between them, and no line break"
        )
    return text


def hsts(text: str) -> float:
    """Seconds; 0.0 for `off`. A policy that ends within the minute protects nobody, and one without end is a trap."""
    if text == "off":
        return 0.0
    seconds = duration(text)
    if not 60 <= seconds <= 3650 * 86400:
        raise ValueError("must be off, or from 1m to 3650d")
    return seconds


def origin(text: str) -> str:
    """`https://app.example.org`, as browsers write it; `https://*.example.org` for one label; or `*`."""
    return text if text == "*" else page_origin(text)


def page_origin(text: str) -> str:
    """As `origin`, without `*`."""
    if text.lower() == "null":
        raise ValueError("'null' is what every sandboxed frame and local file says; it names nobody")
    if text == "*":
        raise ValueError("'*' is everybody; leave the key out for that")
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise ValueError(f"{quoted(text)} is not an origin: scheme, host and a port unless it is the default, no path")
    scheme, host, port = found["scheme"].lower(), found["host"].lower(), found["port"]
    if port is not None and (not 0 < int(port) < 65536 or _DEFAULTS.get(scheme) == int(port) or port[0] == "0"):
        raise ValueError(f"{quoted(text)}: a port is from 1 to 65535, and the default one is left out")
    return f"{scheme}://{_origin_host(text, host)}{'' if port is None else ':' + port}"


def _origin_host(text: str, host: str) -> str:
    if host[:1] == "[":
        return f"[{host_name(host[1:-1])}]"
    if "*" not in host:
        return host_name(host)
    rest = host.removeprefix("*.")
    if "*" in rest or "." not in rest or re.fullmatch(r"[0-9.]+", rest):
        raise ValueError(f"{quoted(text)}: * stands for the whole first label before two more, as in *.example.org")
    return f"*.{host_name(rest)}"


_ORIGIN = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULTS = {"http": 80, "https": 443}
