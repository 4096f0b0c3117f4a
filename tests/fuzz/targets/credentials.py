"""The fields of a head that say who is calling: which credential counts, which are refused, and what is sent on.

The input is the head's lines, parted by line feeds, after a `Host` of ours. They go through the real parser.
"""

import re
import string
from collections.abc import Iterator

import httptools
from harness.reading import CONNECTION_STRING, pairs, read_request

from gateway.access.authorize import authorize
from gateway.errors import RequestRejected
from gateway.identity.origin import Origin
from gateway.login.dialect import Call
from gateway.login.pipelit.logins import _cookie_of
from gateway.pipeline import Aim, prepare
from gateway.routes.model import Access, AccessKind, Route
from gateway.wire.credentials import present
from gateway.wire.message import Request

WORDS = (b"Authorization: ", b"Bearer ", b"bearer  ", b"BEARER\t", b"Basic x", b", Bearer y", b"a.b.c", b"a..b", b"=",
         b"\nx-mycelium-connection-string: ", b"X_Mycelium_Profile: x", b"\nx-mycelium-tenant-id: 1", b"\nCookie: a=b",
         b"\nAuthorization: Bearer b", b"Connection: authorization, x-mycelium-profile", b"pipelit_mfa=", b"; ", b"\t",
         b"\r\n", b"\x80", b"\0", b"\nContent-Length: 0", b"\nTransfer-Encoding: chunked", b"~+/", b"\n ")  # fmt: skip
ROUTE = Route("/**", frozenset(("GET",)), "u", Access(AccessKind.PUBLIC))
CODES = {"invalid_credential", "duplicate_credential"}
OURS = b"x-mycelium-profile: ours\r\nx-mycelium-email: ours\r\n"
ID = b"00000000-0000-4000-8000-000000000000"
OWS = b" \t"
BASE64URL = frozenset((string.ascii_letters + string.digits + "-_").encode())
B64TOKEN = BASE64URL | frozenset(b".~+/")
ONCE = (b"authorization", CONNECTION_STRING, b"x-mycelium-tenant-id")
ORIGIN = Origin("127.0.0.1")


def seeds() -> Iterator[bytes]:
    yield b"Authorization: Bearer eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.c2ln\nAccept: */*\nCookie: a=b; c=d"
    yield b"Authorization: Bearer myc_0123456789abcdef==\nx-mycelium-tenant-id: 7\nX-Mycelium-Profile: forged"
    yield b"x-mycelium-connection-string: acc=1;tid=2;sig=3\nAuthorization: Bearer x\nX_Mycelium_Email: forged"
    yield b"Authorization: Basic YTpi, Bearer x\nConnection: close, authorization, x-mycelium-email, cookie"
    yield b"authorization: Bearer a\nAUTHORIZATION: Bearer a"
    yield b"Cookie: pipelit_mfa=one; pipelit_mfa=two\nCookie: session=1\nX-Mycelium-Connection_String: a"
    yield b"Cookie: pipelit_mfa=one\nContent-Length: 0\nX-Request-Id: 1\nForwarded: for=1"


def once(data: bytes) -> None:
    lines = [line for line in data.split(b"\n") if line.strip(b"\r")][:40]
    head = b"GET /x HTTP/1.1\r\nHost: gateway.test\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    sent = [(name.lower(), value.strip(OWS)) for name, _, value in (line.partition(b":") for line in lines)]
    try:
        request = read_request(head)
    except (RequestRejected, httptools.HttpParserError):
        return
    for name in ONCE:
        assert [name for name, _ in sent].count(name) <= 1, "two of them, and one was believed"
    said = dict(sent)
    for value, name in zip((request.authorization, request.connection_string, request.tenant_id), ONCE, strict=True):
        assert (None if value is None else value.strip(OWS)) == said.get(name)
    forwarded(request, lines)
    presented(request)
    cookie(b"; ".join(value for name, value in sent if name == b"cookie"))


def forwarded(request: Request, lines: list[bytes]) -> None:
    """What goes on is a part of what came, in its order, cookies and all, without a word on who is calling but ours."""
    permit = authorize(None, ROUTE, 0.0)
    head = prepare(request, permit, OURS, Aim(b"u"), b"", ID, b"")
    first, *fields, end, rest = head.split(b"\r\n")
    assert (first, end, rest) == (b"GET /x HTTP/1.1", b"", b"")
    names = [field.partition(b": ")[0].lower() for field in fields]
    assert not {b"authorization", b"proxy-authorization", b"forwarded", CONNECTION_STRING} & set(names)
    spelt = [re.sub(rb"[^a-z0-9]", b"_", name) for name in names]  # as a CGI server tells names apart, at most
    assert [name for name in spelt if name.startswith((b"x_mycelium_", b"x_gateway_"))] == [
        b"x_mycelium_request_id", b"x_mycelium_profile", b"x_mycelium_email"
    ]  # fmt: skip
    left = iter([(name.lower(), value.strip(OWS)) for name, _, value in (line.partition(b":") for line in lines)])
    for name, value in pairs(request.fields):
        assert (name.lower(), value.strip(OWS)) in left, "not sent, or out of order"
    listed = {b"cookie"} & request.listed
    sent = [line.partition(b":")[2].strip(OWS) for line in lines if line.partition(b":")[0].lower() == b"cookie"]
    kept = [field.partition(b": ")[2].strip(OWS) for field in fields if field[:7].lower() == b"cookie:"]
    assert kept == ([] if listed else sent)


def presented(request: Request) -> None:
    expected = plainly(request.connection_string, request.authorization)
    try:
        found = present(request.connection_string, request.authorization)
    except RequestRejected as fault:
        assert fault.code in CODES
        assert expected == "refused", f"refused: {fault}"
        return
    assert expected == (None if found is None else (found.kind, found.raw)), "taken, or taken for something else"


def plainly(connection_string: bytes | None, authorization: bytes | None) -> object:
    """The form and the bytes of the credential that counts, None where there is none of ours, or "refused"."""
    if connection_string is not None:
        raw = connection_string.rstrip(OWS)
        good = 0 < len(raw) <= 8192 and all(0x20 <= byte < 0x7F for byte in raw)
        return ("connection_string", raw) if good else "refused"
    if authorization is None:
        return None
    scheme, space, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not space:
        return _other(authorization)
    token = token.strip(OWS)
    parts = token.split(b".")
    if len(token) > 8192:
        return "refused"
    if len(parts) == 3:
        return ("jwt", token) if all(part and set(part) <= BASE64URL for part in parts) else "refused"
    bare = token.rstrip(b"=")
    return ("opaque", token) if bare and set(bare) <= B64TOKEN else "refused"


def _other(authorization: bytes) -> object:
    """`Basic x` is nobody's business here; `Basic x, Bearer y` would be a choice between two."""
    scheme = re.match(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*", authorization)
    assert scheme is not None
    others = [part.strip(OWS).lower() for part in authorization.split(b",")[1:]]
    second = any(part == b"bearer" or part.startswith((b"bearer ", b"bearer\t")) for part in others)
    return "refused" if second or scheme[0].lower() in (b"", b"bearer") else None


def cookie(value: bytes) -> None:
    """The login's own cookie: one value, nobody's where there are two; one without `=` has none."""
    text = value.decode("utf-8", "surrogateescape")
    values = re.findall(r"(?:\A|;)[ \t]*pipelit_mfa(?:=([^;]*?))?[ \t]*(?=;|\Z)", text, re.DOTALL)
    found = _cookie_of(Call(ORIGIN, headers={"cookie": text}))
    assert found == (None if not values else values[0] if len(set(values)) == 1 else "")
