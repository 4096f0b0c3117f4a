"""The bytes that go to an upstream and those that come back: strip first, inject last. Values only."""

import pytest
from harness.reading import read_request, read_response

from gateway.access.authorize import Permit
from gateway.proxy.finish import Framing, finish, informational, switching
from gateway.proxy.prepare import Aim, prepare, prepare_builtin, sender_fields
from gateway.routes.model import Access, AccessKind, Route
from gateway.wire.peer import Peer

ID = b"11111111-2222-4333-8444-555555555555"
INJECTED = b"x-mycelium-profile: ours\r\n"
TRACE = b"traceparent: ours\r\n"
FORWARDED = b"X-Forwarded-For: 9.9.9.9\r\n"
PEER = Peer("9.9.9.9", None, None, True, ("9.9.9.9",))


def permit(**route: object) -> Permit:
    made = Route("/a/**", frozenset(("GET",)), "u", Access(AccessKind.PUBLIC), **route)  # type: ignore[arg-type]
    return Permit(None, made, (), (), 0.0)


def sent(*lines: bytes, first: bytes = b"GET /a/b?q HTTP/1.1", aim: Aim | None = None, **route: object) -> bytes:
    request = read_request(b"\r\n".join((first, b"Host: gateway.test", *lines, b"", b"")))
    return prepare(request, permit(**route), INJECTED, aim or Aim(b"up:1"), FORWARDED, ID, TRACE)


def test_a_head_whole() -> None:
    """Ours are the last lines: nothing of the client comes after them."""
    assert sent(b"Accept: x") == (
        b"GET /a/b?q HTTP/1.1\r\nhost: gateway.test\r\nAccept: x\r\nX-Forwarded-For: 9.9.9.9\r\n"
        b"x-mycelium-request-id: " + ID + b"\r\ntraceparent: ours\r\nx-mycelium-profile: ours\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("path", "prefix", "base", "target"),
    [
        (b"/a/b?q", None, b"", b"/a/b?q"),
        (b"/a/b?q", "/a", b"", b"/b?q"),
        (b"/a/b", "/a/b", b"", b"/"),
        (b"/a/b?q", "/a/b", b"", b"/?q"),
        (b"/a/", "/a", b"", b"/"),
        (b"/a/b", None, b"/v1", b"/v1/a/b"),
        (b"/a/b", "/a", b"/v1", b"/v1/b"),
        (b"/a?x=/a/", "/a", b"/v1", b"/v1/?x=/a/"),
    ],
)
def test_where_it_is_aimed(path: bytes, prefix: str | None, base: bytes, target: bytes) -> None:
    """S-14: the prefix comes off once, by whole segments, and the endpoint's own path goes before what is left."""
    head = sent(first=b"GET " + path + b" HTTP/1.1", strip_prefix=prefix, aim=Aim(b"up:1", base))
    assert head.split(b" ")[1] == target


@pytest.mark.parametrize(("preserve", "host"), [(True, b"gateway.test"), (False, b"up:1")])
def test_which_host_it_names(preserve: bool, host: bytes) -> None:
    """The client's, unless the route says otherwise."""
    assert b"\r\nhost: " + host + b"\r\n" in sent(preserve_host=preserve)


@pytest.mark.parametrize(("forward", "there"), [(False, False), (True, True)])
def test_authorization_goes_on_only_if_the_route_says_so(forward: bool, there: bool) -> None:
    """S-4."""
    head = sent(b"Authorization: Bearer t", forward_authorization=forward)
    assert (b"authorization: Bearer t\r\n" in head) is there


def test_authorization_beside_a_connection_string_stays_here() -> None:
    """S-4: nobody has verified it; the connection string never goes on."""
    head = sent(b"Authorization: Bearer t", b"x-mycelium-connection-string: s", forward_authorization=True)
    assert b"Bearer" not in head
    assert b"connection-string" not in head


@pytest.mark.parametrize(
    "listed", [b"x-mycelium-profile", b"X-Forwarded-For, host", b"x-mycelium-request-id, content-length"]
)
def test_nothing_of_ours_can_be_named_in_connection(listed: bytes) -> None:
    """S-7: what it lists goes first, ours goes in last."""
    assert sent(b"Connection: " + listed) == sent()


def test_what_connection_names_goes() -> None:
    """Every copy of it."""
    assert sent(b"X-Hop: 1", b"Connection: x-hop, close", b"x-hop: 2") == sent()


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ((b"Content-Length: 5",), b"content-length: 5\r\n"),
        ((b"Content-Length: 0",), b"content-length: 0\r\n"),
        ((b"Content-Length: 007",), b"content-length: 7\r\n"),
        ((b"Transfer-Encoding: Chunked",), b"transfer-encoding: chunked\r\n"),
        ((), b""),
    ],
)
def test_framing_is_our_own(lines: tuple[bytes, ...], line: bytes) -> None:
    """S-19: one spelling of each."""
    head = sent(*lines, first=b"POST /a/b HTTP/1.1")
    assert head == sent(first=b"POST /a/b HTTP/1.1").replace(FORWARDED, line + FORWARDED)


def test_our_own_application_is_told_who_asks() -> None:
    """Credentials unchanged; x-gateway-* says what a socket pair cannot."""
    request = read_request(
        b"GET /x HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer t\r\nx-mycelium-tenant-id: 7\r\n"
        b"x-gateway-peer: 6.6.6.6\r\nCookie: c=1\r\n\r\n"
    )
    sender = sender_fields(request, PEER, b"http")
    head = prepare_builtin(request, sender, b"x-mycelium-connection-string", ID, TRACE)
    assert head == (
        b"GET /x HTTP/1.1\r\nhost: gateway.test\r\nCookie: c=1\r\nauthorization: Bearer t\r\n"
        b"x-mycelium-tenant-id: 7\r\nx-gateway-request-id: " + ID + b"\r\nx-gateway-peer: 9.9.9.9\r\n"
        b"x-gateway-direct: 1\r\nx-gateway-scheme: http\r\nx-gateway-host: gateway.test\r\ntraceparent: ours\r\n\r\n"
    )


CHUNKED, COUNTED = b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"


@pytest.mark.parametrize(
    ("method", "version", "status", "framing", "expected", "kept"),
    [
        (b"GET", b"1.1", 200, COUNTED, Framing.COUNTED, True),
        (b"GET", b"1.1", 200, CHUNKED, Framing.CHUNKED, True),
        (b"GET", b"1.1", 200, b"", Framing.CHUNKED, True),
        (b"GET", b"1.0", 200, COUNTED, Framing.COUNTED, True),
        (b"GET", b"1.0", 200, CHUNKED, Framing.UNTIL_CLOSE, False),
        (b"GET", b"1.0", 200, b"", Framing.UNTIL_CLOSE, False),
        (b"HEAD", b"1.1", 200, COUNTED, Framing.NONE, True),
        (b"HEAD", b"1.0", 200, CHUNKED, Framing.NONE, True),
        (b"GET", b"1.1", 204, b"", Framing.NONE, True),
        (b"GET", b"1.1", 304, CHUNKED, Framing.NONE, True),
    ],
)
def test_how_a_body_goes_back(
    method: bytes, version: bytes, status: int, framing: bytes, expected: Framing, kept: bool
) -> None:
    """RFC 9112 section 6.3, for either version of the client."""
    request = read_request(method + b" /x HTTP/" + version + b"\r\nHost: a\r\n\r\n")
    response = read_response(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, framing))
    head, *rest = finish(response, request, True, ID)
    assert rest == [expected, kept]
    assert head.count(b"content-length") + head.count(b"transfer-encoding") <= 1


def test_an_informational_head_has_no_framing() -> None:
    """And nothing of ours."""
    response = read_response(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: close\r\n\r\n")
    assert informational(response) == b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"


def test_a_switch_is_in_our_own_words() -> None:
    """The upstream's Connection and Upgrade are not copied."""
    response = read_response(b"HTTP/1.1 101 Sure\r\nupgrade: WebSocket\r\nConnection: UPGRADE\r\nX: 1\r\n\r\n"[:-2])
    response.fields = [b"X", b": ", b"1", b"\r\n"]
    assert switching(response, ID) == (
        b"HTTP/1.1 101 Switching Protocols\r\nX: 1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"x-mycelium-request-id: " + ID + b"\r\n\r\n"
    )
