"""The request target and the host: read once, kept as sent, never normalised.

A path that two programs could read in two ways is refused, so that the path the rules saw is the path the upstream
gets. Which route a path belongs to is not decided here.
"""

import ipaddress
import re
from functools import lru_cache

from gateway.errors import RequestRejected

# Characters of a segment that nobody reads in two ways: `pchar` of RFC 3986 section 3.3 without `.`, `;` and `%`,
# and with `|[]`, which the RFC leaves out and browsers send as they are (WHATWG URL, path percent-encode set).
_PLAIN = rb"A-Za-z0-9\-_~!$&'()*+,=:@|\[\]"

# A query goes on byte for byte. RFC 3986 section 3.4 is wider in practice (browsers send `{|}^` raw there); what ends
# a line, a request line or the query itself is out: controls, space, non-ASCII and `#`.
_QUERY = rb'[!-"$-~]'

# Paths that need no second look: no `%`, `;`, empty segment, or segment of dots. Nowhere
# here a possessive quantifier: before CPython 3.11.5 some of them match what they must not (python/cpython 106052).
_CLEAN = re.compile(rb"((?:/\.?[%b][%b.]*)+/?|/)(?:\?(%b*))?" % (_PLAIN, _PLAIN, _QUERY)).fullmatch

SHORT = 256  # bytes

_PRINTABLE = re.compile(rb"[!-~]+").fullmatch
_NOT_IN_PATH = re.compile(rb'["<>^`{}]').search

# `/` as some decoder may see it: plain, encoded, encoded again.
_SLASH = rb"(?:/|%(?:25)*(?:2F|5C))"

# White space and control characters, encoded, as some server trims them from a name: what C and Python's `bytes.strip`
# take, C1 controls and the no-break space in Latin-1 and in UTF-8, and what Unicode has of white space (Z) and of marks
# without width (Cf): U+00AD, 1680, 180E, 2000-200F, 2028-202F, 205F-206F, 3000, FEFF.
_BLANK = (
    rb"(?:%(?:25)*(?:[0189][0-9A-F]|20|7F|A0|C2X(?:[89][0-9A-F]|A[0D])|E1X(?:9AX80|A0X8E)"
    rb"|E2X(?:80X(?:8[0-9A-F]|A[89A-F])|81X(?:9F|A[0-9A-F]))|E3X80X80|EFXBBXBF))"
).replace(b"X", rb"%(?:25)*")

# What is refused on every route. A row is an attack, the text is the answer's detail.
_AMBIGUOUS = tuple(
    (re.compile(pattern, re.IGNORECASE).search, detail)
    for pattern, detail in (
        (rb"#", "a fragment is not part of a request target"),
        (rb"\\", "a backslash is a slash to some servers"),
        (rb"//", "empty path segments are merged by some servers"),
        (rb"%(?![0-9A-F]{2})", "every % must be followed by two hexadecimal digits"),
        (rb"%(?:25)*00", "an encoded NUL ends the path for some servers"),
        (rb"%(?:25)*2E", "dots must not be encoded"),
        (rb"%(?:C[01]%[89AB]|E0%[89]|F0%8)", "overlong UTF-8 is another spelling of a plain character"),
        # `..;x` is `..` to servers that cut path parameters first, `..%20` and `..%09` to those that trim names
        (
            rb"%b\.\.?(?=%b|;|%%(?:25)*(?:3B|[01][0-9A-F]|20|7F)|\Z)" % (_SLASH, _SLASH),
            "dot segments are not resolved here",
        ),
        # `%20..` and `..%C2%A0` are `..` to those that trim on both sides, `..%3Fx` and `..%23x` to those that decode
        # a target before they cut query and fragment off
        (
            rb"%b%b*\.(?:%b*\.)?%b*(?=%b|;|%%(?:25)*(?:3B|3F|23)|\Z)" % (_SLASH, _BLANK, _BLANK, _BLANK, _SLASH),
            "dot segments are not resolved here",
        ),
    )
)

# Spellings that only some upstreams tell from another path: a route has to list them. Encoded slash, backslash and
# percent, path parameters, and encoded unreserved characters (RFC 3986 section 6.2.2.2).
_ODD = re.compile(rb"%(?:2F|5C|25|2D|5F|7E|3[0-9]|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])|;", re.IGNORECASE).findall

_NO_ODDITIES: frozenset[bytes] = frozenset()

_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL).fullmatch

# Labels of letters, digits, `-` and the `_` of container names; names in other scripts come as A-labels (RFC 5890).
_NAME = re.compile(
    rb"((?=[^:]{1,254}(?::|\Z))(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63})\.?(?::[0-9]{0,5})?", re.IGNORECASE
).fullmatch
_LITERAL = re.compile(rb"\[([0-9a-f:.]{2,45})\](?::[0-9]{0,5})?", re.IGNORECASE).fullmatch


class Target:
    """Where a request wants to go. A plain slotted class, never written to after it is made: it is made per request.

    raw: path and query as they go on. path: without the query. query: after the first `?`, None without one.
    segments: the path between its slashes, without the leading empty one; a trailing slash makes a last b"", and `*`
    has none. oddities: spellings that the route must list in `allow_encoded`, hexadecimal digits in upper case.
    """

    __slots__ = ("oddities", "path", "query", "raw", "segments")

    def __init__(
        self, raw: bytes, path: bytes, query: bytes | None, segments: list[bytes], oddities: frozenset[bytes]
    ) -> None:
        self.raw = raw
        self.path = path
        self.query = query
        self.segments = segments
        self.oddities = oddities

    def __repr__(self) -> str:
        return f"Target({self.path!r})"  # a query may hold a token


def read_target(raw: bytes, method: bytes) -> tuple[Target, bytes | None]:
    """The target of a request line, and the authority it names when it is in absolute-form (the caller holds it
    against `Host`), else None. RFC 9112 section 3.2; authority-form belongs to CONNECT, which is not spoken here.

    Raises RequestRejected: `malformed_request`, `ambiguous_path`, `bad_host` (in absolute-form).
    """
    if raw[:1] == b"/":
        return _remembered(raw) if len(raw) <= SHORT else _origin_form(raw), None
    if raw == b"*" and method == b"OPTIONS":
        return _asterisk(), None
    absolute = _ABSOLUTE(raw)
    if absolute is None:
        raise RequestRejected("malformed_request", "the request target has none of the forms of RFC 9112")
    authority, rest = absolute.groups()
    read_host(authority)
    if not rest and method == b"OPTIONS":  # RFC 9112 section 3.2.4
        return _asterisk(), authority
    return _origin_form(rest if rest[:1] == b"/" else b"/" + rest), authority


@lru_cache(maxsize=256)
def read_host(authority: bytes) -> bytes:
    """The name in a Host header or an authority: lower case, without port and trailing dot; IPv6 in brackets, shortest.

    Raises RequestRejected("bad_host"): empty, user information, non-ASCII, anything but a name or an address.
    """
    if name := _NAME(authority):
        host: bytes = name[1].lower()
        return host
    if literal := _LITERAL(authority):
        try:
            return b"[%b]" % ipaddress.IPv6Address(literal[1].decode("ascii")).compressed.encode("ascii")
        except ValueError:
            pass
    raise RequestRejected("bad_host", "Host must be a name or an address, with an optional port")


@lru_cache(maxsize=1024)
def _remembered(raw: bytes) -> Target:
    """Clients ask for the same targets again and again; about 1 MiB of short ones is kept."""
    return _origin_form(raw)


def _origin_form(raw: bytes) -> Target:
    clean = _CLEAN(raw)
    if clean is None:
        return _careful(raw)
    path, query = clean.groups()
    return Target(raw, path, query, path[1:].split(b"/"), _NO_ODDITIES)


def _careful(raw: bytes) -> Target:
    if not _PRINTABLE(raw):
        raise RequestRejected("malformed_request", "the request target has a byte that is not printable ASCII")
    path, mark, query = raw.partition(b"?")
    for found, detail in _AMBIGUOUS:
        if found(path):
            raise RequestRejected("ambiguous_path", detail)
    if b"#" in query:
        raise RequestRejected("ambiguous_path", "a fragment is not part of a request target")
    if _NOT_IN_PATH(path):
        raise RequestRejected("malformed_request", "the path has a character that must be percent-encoded")
    oddities = frozenset(spelling.upper() for spelling in _ODD(path))
    return Target(raw, path, query if mark else None, path[1:].split(b"/"), oddities)


def _asterisk() -> Target:
    return Target(b"*", b"*", None, [], _NO_ODDITIES)
