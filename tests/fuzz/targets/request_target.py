"""The request target, the host, and the route that a path belongs to, beside a plain reading of the same rules.

The first byte chooses the method, the rest is the target.
"""

import ipaddress
import string
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from gateway.errors import RequestRejected
from gateway.routes.model import Access, AccessKind, Route
from gateway.routes.table import NotAllowed, Table
from gateway.wire.target import Target, read_host, read_target

WORDS = (b"/", b"//", b"/.", b"/..", b"%2e", b"%2F", b"%252f", b"%5C", b"%25", b"%3b", b";", b"%00", b"%c0%ae", b"?",
         b"#", b"*", b"http://", b"HTTPS://h.example", b"[::1]", b":80", b"..;", b"%e0%80", b"%f0%80", b"%41", b"/a",
         b"/{", b"/a/b", b"/a/b/c/")  # fmt: skip
METHODS = (b"GET", b"OPTIONS", b"POST", b"HEAD")
PATHS = ("/", "/a", "/a/", "/a/b", "/a/{x}", "/a/{x}/c", "/{x}/b", "/a/b/**", "/b/**", "/{x}/{y}/**")
ROUTES = [
    Route(path, frozenset(("GET",) if number % 3 else ("POST", "OPTIONS")), "u", Access(AccessKind.PUBLIC))
    for number, path in enumerate(PATHS)
]
TABLE = Table(ROUTES)
CODES = {"malformed_request", "ambiguous_path", "bad_host"}
UNRESERVED = (string.ascii_letters + string.digits + "-_~").encode()
PLAIN = frozenset(UNRESERVED + b".!$&'()*+,=:@|[]/;%")
BLANKS = (
    [bytes((byte,)) for byte in (*range(0x21), *range(0x7F, 0xA1))]
    + [
        chr(code).encode()
        for code in (
            0xAD,
            0x1680,
            0x180E,
            *range(0x2000, 0x2010),
            *range(0x2028, 0x2030),
            *range(0x205F, 0x2070),
            0x3000,
        )
    ]
    + [chr(code).encode() for code in (*range(0x80, 0xA1), 0xFEFF)]
)


def seeds() -> Iterator[bytes]:
    for number, _ in enumerate(METHODS):
        yield bytes((number,)) + b"/a/b/c?d=e&f=%20#"
        yield bytes((number,)) + b"*"
        yield bytes((number,)) + b"http://h.example:80/a%2Fb;c=d/%41?q"
        yield bytes((number,)) + b"https://[::ffff:1.2.3.4]:8080?q=/../"
    yield from (b"\0" + path.encode() for path in PATHS)
    yield from (b"\0/%20../a", b"\0/a/..%C2%A0/b", b"\0/..%3Fx", b"\0/%E3%80%80.%09./b", b"\0/a/..%20b", b"\0/.%85%23")
    yield from (b"\0/a/%252e%252e/b", b"\0/a/..;x/b", b"\0/%c0%ae%c0%ae/", b"\0/a%5c..%5cb", b"\0/x.y/..a/.b/c..")


def once(data: bytes) -> None:
    method, raw = METHODS[data[0] % len(METHODS)] if data else b"GET", data[1:]
    expected = plainly(raw, method)
    try:
        target, authority = read_target(raw, method)
    except RequestRejected as fault:
        assert expected is None, f"refused: {fault}"
        assert fault.code in CODES
        return
    assert expected is not None, "taken"
    path, query, oddities, named = expected
    assert (target.path, target.query, target.oddities, authority) == (path, query, oddities, named)
    assert target.raw == path + (b"" if query is None else b"?" + query)
    if target.segments:
        assert b"/" + b"/".join(target.segments) == path
    else:
        assert path == b"*"
    if not oddities and path != b"*":
        one_reading(path)
    routed(method, target)


def one_reading(path: bytes) -> None:
    """Whoever decodes it once, or as often as it goes, sees the segments that the rules saw.

    `%3B` stays: encoded, it is a character of a segment and begins no parameter (RFC 3986 section 3.3).
    """
    before, seen = b"", path
    while before != seen:
        before, seen = seen, unquote_to_bytes(seen)
        assert seen.count(b"/") == path.count(b"/")
        assert not {0, ord("\\")} & set(seen)
        assert not {b".", b".."} & set(seen.split(b"/"))
        assert b"//" not in seen


def routed(method: bytes, target: Target) -> None:
    """The route of the best path by trying all of them."""
    ranked = [(rank, route) for route in ROUTES if (rank := _rank(route.path, target.path)) is not None]
    found = TABLE.match(method, b"h.example", target)
    if not ranked:
        assert found is None
        return
    best = min(rank for rank, _ in ranked)
    wanted = {method.decode(), *(("GET",) if method == b"HEAD" else ())}
    owners = [route for rank, route in ranked if rank == best and route.methods & wanted]
    if owners:
        assert found is owners[0]
    else:
        assert isinstance(found, NotAllowed)


def _rank(template: str, path: bytes) -> tuple[int, ...] | None:
    """A smaller one is a better one: 0 for a literal, 1 for a parameter, 2 for a rest."""
    if path == b"*":
        return None
    rest, steps = template.endswith("/**"), []
    parts, segments = template.removesuffix("/**").split("/")[1:], path.decode().split("/")[1:]
    if len(segments) < len(parts) or (not rest and len(segments) != len(parts)):
        return None
    for part, segment in zip(parts, segments, strict=False):
        if part.startswith("{"):
            if not segment:
                return None
            steps.append(1)
        elif part == segment:
            steps.append(0)
        else:
            return None
    return (*steps, *((2,) if rest else ()))


# the rules, read plainly

Read = tuple[bytes, bytes | None, frozenset[bytes], bytes | None]


def plainly(raw: bytes, method: bytes) -> Read | None:
    """Path, query, oddities and authority; None where it has to be refused."""
    if raw[:1] == b"/":
        return _origin(raw, None)
    if raw == b"*" and method == b"OPTIONS":
        return b"*", None, frozenset(), None
    scheme, colon, rest = raw.partition(b"://")
    if not colon or scheme.lower() not in (b"http", b"https"):
        return None
    end = min((at for mark in b"/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    authority, rest = rest[:end], rest[end:]
    host = _host(authority)
    try:
        assert read_host(authority) == host
    except RequestRejected:
        assert host is None
    if host is None:
        return None
    if not rest and method == b"OPTIONS":
        return b"*", None, frozenset(), authority
    return _origin(rest if rest[:1] == b"/" else b"/" + rest, authority)


def _host(authority: bytes) -> bytes | None:
    literal, bracket, after = authority[1:].partition(b"]")
    if authority[:1] == b"[":
        port = after[1:] if after[:1] == b":" else after
        try:
            good = bracket and set(literal.lower()) <= set(b"0123456789abcdef:.") and not (port and after == port)
            return b"[%b]" % str(ipaddress.IPv6Address(literal.decode())).encode() if good and _port(port) else None
        except ValueError:
            return None
    name, _, port = authority.partition(b":")
    labels = name.removesuffix(b".").split(b".")
    good = all(0 < len(label) < 64 and set(label) <= set(UNRESERVED) - set(b"~") for label in labels)
    return b".".join(labels).lower() if good and len(name) <= 254 and _port(port) else None


def _port(port: bytes) -> bool:
    return len(port) <= 5 and set(port) <= set(b"0123456789")


def _origin(raw: bytes, authority: bytes | None) -> Read | None:
    path, mark, query = raw.partition(b"?")
    if not all(0x20 < byte < 0x7F and byte != ord("#") for byte in raw):
        return None
    if set(path) - PLAIN or b"//" in path:
        return None
    pieces = list(_pieces(path))
    if None in pieces:
        return None
    kept: list[bytes] = [piece for piece in pieces if piece is not None]
    plain = [_innermost(piece) for piece in kept]
    if b"\0" in plain or any(byte == b"." and piece != b"." for byte, piece in zip(plain, kept, strict=True)):
        return None
    segments = b"".join(b"/" if byte == b"\\" else byte for byte in plain).split(b"/")
    if any(map(_dots, segments)) or _overlong(path.upper()):
        return None
    odd = {
        piece.upper() if len(piece) == 3 else piece
        for piece in (part[:3] for part in kept)
        if piece == b";" or (len(piece) == 3 and unquote_to_bytes(piece) in {bytes((b,)) for b in UNRESERVED + b"/\\%"})
    }
    return path, query if mark else None, frozenset(odd), authority


def _dots(segment: bytes) -> bool:
    """Whether somebody who cuts or trims takes it for a segment of dots."""
    ends = segment.removeprefix(b".").removeprefix(b".") if segment[:1] == b"." else b"-"
    if set(ends[:1]) & {*range(0x21), 0x7F}:
        return True
    rest = _trimmed(segment)
    if rest[:1] != b".":
        return False
    rest = _trimmed(_trimmed(rest[1:]).removeprefix(b"."))
    return rest[:1] in (b"", b";", b"?", b"#")


def _trimmed(text: bytes) -> bytes:
    while blank := next((blank for blank in BLANKS if text.startswith(blank)), b""):
        text = text[len(blank) :]
    return text


def _pieces(path: bytes) -> Iterator[bytes | None]:
    """Characters, and encoded ones with all that they are encoded in: `%25252e` is one. None for a wrong one."""
    at = 0
    while at < len(path):
        if path[at] != ord("%"):
            yield path[at : at + 1]
            at += 1
            continue
        end = at + 3
        if not _hex(path[at + 1 : end]):
            yield None
            return
        while path[end - 2 : end] == b"25" and _hex(path[end : end + 2]):
            end += 2
        yield path[at:end]
        at = end


def _hex(digits: bytes) -> bool:
    return len(digits) == 2 and set(digits) <= set(string.hexdigits.encode())


def _innermost(piece: bytes) -> bytes:
    """What the most patient decoder makes of it."""
    return bytes((int(piece[-2:], 16),)) if len(piece) > 1 else piece


def _overlong(path: bytes) -> bool:
    """Encoded bytes that a careless UTF-8 decoder takes for a plain character."""
    leads = {b"%C0": b"89AB", b"%C1": b"89AB", b"%E0": b"89", b"%F0": b"8"}
    return any(
        path[at : at + 3] in leads and path[at + 3 : at + 4] == b"%" and path[at + 4 : at + 5] in
        [bytes((digit,)) for digit in leads[path[at : at + 3]]]
        for at in range(len(path))
    )  # fmt: skip
