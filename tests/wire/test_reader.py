"""Heads of requests and responses as values: what is in them, and what makes them unreadable."""

import httptools
import pytest
from harness.reading import pairs, read_request, read_response

from gateway.errors import RequestRejected
from gateway.wire.reader import BadAnswer, Limits


def head(*lines: bytes, first: bytes = b"GET /x?q=1 HTTP/1.1") -> bytes:
    return b"\r\n".join((first, b"Host: gateway.test", *lines, b"", b""))


def test_a_plain_request() -> None:
    """Fields in order, names as sent; Host apart."""
    request = read_request(head(b"Accept: */*", b"X-A: 1", b"x-a: 2"))
    assert (request.method, request.target.raw, request.host, request.minor) == (b"GET", b"/x?q=1", b"gateway.test", 1)
    assert pairs(request.fields) == [(b"Accept", b"*/*"), (b"X-A", b"1"), (b"x-a", b"2")]
    assert (request.keep_alive, request.length, request.chunked, request.websocket) == (True, None, False, False)


@pytest.mark.parametrize("value", [b"", b"a", b"\x80\xff", b"\x85admin\xa0", b"a\tb", b'"; DROP', b"\xc3\xa9"])
def test_a_value_goes_on_byte_for_byte(value: bytes) -> None:
    """S-20: nothing is trimmed, decoded or dropped on the way."""
    assert pairs(read_request(head(b"X: " + value)).fields) == [(b"X", value)]


@pytest.mark.parametrize("bad", [b"\0", b"\r", b"\n", b"\x01", b"\x1f", b"\x7f"])
def test_a_value_with_a_control_character_is_refused(bad: bytes) -> None:
    """It could become a second line further on."""
    with pytest.raises(httptools.HttpParserError):
        read_request(head(b"X: a" + bad + b"b"))


def test_credentials_are_taken_out() -> None:
    """They are in their own places, and in nothing that is forwarded."""
    request = read_request(
        head(b"Authorization: Bearer t", b"x-mycelium-connection-string: acc=1", b"X-Mycelium-Tenant-Id: 7", b"A: 1")
    )
    assert (request.authorization, request.connection_string, request.tenant_id) == (b"Bearer t", b"acc=1", b"7")
    assert pairs(request.fields) == [(b"A", b"1")]


@pytest.mark.parametrize(
    "name", [b"Authorization", b"x-mycelium-connection-string", b"x-mycelium-tenant-id"], ids=bytes.decode
)
@pytest.mark.parametrize("values", [(b"a", b"a"), (b"a", b"b"), (b"", b"a"), (b"a", b"")])
def test_a_credential_twice_is_refused(name: bytes, values: tuple[bytes, bytes]) -> None:
    """S-27: also when both say the same, and when one is empty."""
    with pytest.raises(RequestRejected, match="duplicate_credential"):
        read_request(head(*(name + b": " + value for value in values)))


@pytest.mark.parametrize(
    ("lines", "length", "chunked"),
    [
        ((b"Content-Length: 5",), 5, False),
        ((b"Content-Length: 0",), 0, False),
        ((b"transfer-encoding: CHUNKED",), None, True),
    ],
)
def test_framing_is_read_not_forwarded(lines: tuple[bytes, ...], length: int | None, chunked: bool) -> None:
    """S-19: it is built anew from these."""
    request = read_request(head(*lines, first=b"POST /x HTTP/1.1"))
    assert (request.length, request.chunked, request.fields) == (length, chunked, [])


@pytest.mark.parametrize(
    ("lines", "listed"),
    [
        ((b"Connection: a, B",), {b"a", b"b"}),
        ((b"Connection: a", b"connection: close"), {b"a", b"close"}),
        ((b"Connection:",), set()),
    ],
)
def test_what_connection_lists_is_known(lines: tuple[bytes, ...], listed: set[bytes]) -> None:
    """Over all of its lines, in lower case."""
    assert read_request(head(*lines)).listed == listed


def test_forwarding_metadata_is_kept_apart() -> None:
    """In order, for whoever decides whether the peer is to be believed."""
    request = read_request(head(b"X-Forwarded-For: 1.1.1.1", b"Forwarded: for=2.2.2.2", b"x-forwarded-for: 3.3.3.3"))
    assert request.forwarding == (
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"forwarded", b"for=2.2.2.2"),
        (b"x-forwarded-for", b"3.3.3.3"),
    )
    assert request.fields == []


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((b"X_Y: 1",), "bad_header_name"),
        ((b"Host: gateway.test",), "bad_host"),
        ((b"Expect: nonsense",), "expectation_failed"),
        ((b"Transfer-Encoding: gzip",), None),
        ((b"Transfer-Encoding: identity",), None),
    ],
)
def test_what_is_ambiguous_is_refused(lines: tuple[bytes, ...], code: str | None) -> None:
    """By our own rules, or by the parser's."""
    with pytest.raises((RequestRejected, httptools.HttpParserError)) as caught:
        read_request(head(*lines, first=b"POST /x HTTP/1.1"))
    assert code is None or (isinstance(caught.value, RequestRejected) and caught.value.code == code)


@pytest.mark.parametrize("authority", [b"gateway.test", b"GATEWAY.test"])
def test_an_absolute_target_goes_on_in_origin_form(authority: bytes) -> None:
    """RFC 9112 section 3.2.2, with the authority that Host has."""
    assert read_request(head(first=b"GET http://" + authority + b"/a?b HTTP/1.1")).target.raw == b"/a?b"


@pytest.mark.parametrize(("name", "fits"), [(b"user_id", True), (b"user.id", False)])
def test_an_odd_name_is_let_through_if_it_is_listed(name: bytes, fits: bool) -> None:
    """And no other."""
    if fits:
        assert pairs(read_request(head(name + b": 1"), b"user_id").fields) == [(name, b"1")]
    else:
        with pytest.raises(RequestRejected, match="bad_header_name"):
            read_request(head(name + b": 1"), b"user_id")


@pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False)])
def test_the_limit_of_a_field(size: int, fits: bool) -> None:
    """Name, colon, space, value, line end."""
    sent = head(b"X: " + b"x" * (size - 5))
    if fits:
        assert read_request(sent, limits=Limits(field=100))
    else:
        with pytest.raises(RequestRejected, match="head_too_large"):
            read_request(sent, limits=Limits(field=100))


@pytest.mark.parametrize(("status", "reason"), [(200, b"OK"), (599, b""), (404, b"Not \xff Found")])
def test_a_plain_response(status: int, reason: bytes) -> None:
    """Status, reason as sent, fields in order."""
    response = read_response(b"HTTP/1.1 %d %b\r\nA: 1\r\nSet-Cookie: x\r\nSet-Cookie: y\r\n\r\n" % (status, reason))
    assert (response.status, response.reason) == (status, reason)
    assert pairs(response.fields) == [(b"A", b"1"), (b"Set-Cookie", b"x"), (b"Set-Cookie", b"y")]


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\n", True),
        (b"1.1", b"Connection: close, keep-alive\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_whether_an_upstream_keeps_its_connection(version: bytes, connection: bytes, kept: bool) -> None:
    """RFC 9112 section 9.3."""
    assert read_response(b"HTTP/" + version + b" 200 OK\r\n" + connection + b"\r\n").keep_alive is kept


def test_fields_that_a_response_names_in_connection_end_here() -> None:
    """RFC 9110 section 7.6.1."""
    response = read_response(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: x-a, close\r\nX-B: 2\r\n\r\n")
    assert pairs(response.fields) == [(b"X-B", b"2")]


@pytest.mark.parametrize(
    "lines",
    [b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"],
)
def test_a_response_of_another_coding_is_a_bad_answer(lines: bytes) -> None:
    """To re-frame it, it would have to be decoded."""
    with pytest.raises((BadAnswer, httptools.HttpParserError)):
        read_response(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")
