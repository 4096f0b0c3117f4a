"""What a data plane does not pass on, though a client sends it: other upgrades, rewriting headers, trailers."""

import contextlib
from collections.abc import Sequence

import pytest
from e2e.world import CONNECTION_STRING, Gateway

from gateway.wire import hops

from .planes import Plane
from .service import Connection, Service, ask

H2C = ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
KEY = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
OTHERS: Sequence[tuple[str, ...]] = (
    H2C,
    ("Connection: Upgrade, HTTP2-Settings", *H2C),
    ("Connection: upgrade", "Upgrade: H2C"),
    ("Connection: Upgrade", "Upgrade: foo/9"),
    ("Connection: Upgrade", "Upgrade: TLS/1.0"),
    ("Connection: Upgrade", "Upgrade: websocket, h2c", *KEY),
    ("Connection: Upgrade", "Upgrade: h2c,websocket", *KEY),
    ("Connection: Upgrade", "Upgrade: websocket/13", *KEY),
    ("Connection: Upgrade", "Upgrade: websockets", *KEY),
    ("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", *KEY),
    ("Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket", *KEY),
    ("Connection: Upgrade", "Upgrade: ", "Upgrade: h2c"),
)
BEHIND = b"GET /public/behind HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("lines", OTHERS, ids=" ".join)
def test_no_other_upgrade_than_a_websocket_is_passed_on(
    plane: Plane, service: Service, lines: tuple[str, ...], version: str
) -> None:
    """The service would accept it, and what follows would go past every decision."""
    before, tunnelled = len(service.got), len(service.tunnelled)
    head = "\r\n".join((f"GET /public/a HTTP/{version}", "Host: app.example", *lines, "", ""))
    answer = b""
    with Connection(plane.port) as connection, contextlib.suppress(OSError):
        connection.socket.sendall(head.encode())
        while b"\r\n\r\n" not in answer and (data := connection.socket.recv(65536)):
            answer += data
        over = answer.startswith(b"HTTP/1.1 101 ") or b"connection: close" in answer.lower()
        if not over:  # of a 101 it is seen below whether it is a WebSocket's
            connection.socket.sendall(BEHIND)
            while connection.socket.recv(65536):
                pass
    for got in service.got[before:]:
        assert got.values("upgrade") in ([], ["websocket"])
        assert got.values("http2-settings") == []
        assert "http2-settings" not in got.value("connection").lower()
    assert service.tunnelled[tunnelled:] == []


@pytest.mark.parametrize(
    ("connection", "token"), [("Upgrade", "WebSocket"), ("upgrade", "WEBSOCKET"), ("keep-alive, Upgrade", "websocket")]
)
def test_a_websocket_is_one_in_any_case(
    plane: Plane, service: Service, gateway: Gateway, connection: str, token: str
) -> None:
    """RFC 6455 section 4.2.1. Firefox lists two options."""
    credential = f"Authorization: Bearer {gateway.home.ada.token}"
    lines = (credential, f"Connection: {connection}", f"Upgrade: {token}", *KEY)
    with Connection(plane.port) as client:
        client.socket.sendall("\r\n".join(("GET /secret/a HTTP/1.1", "Host: app.example", *lines, "", "")).encode())
        assert client.socket.recv(65536).startswith(b"HTTP/1.1 101 ")
    assert service.got[-1].value("upgrade").lower() == "websocket"


# What the gateway's own edge does not pass on: one list for it and for every data plane.
NAMES = sorted(name.decode() for name in hops.HOP_BY_HOP | hops.METADATA | hops.ORIGINALS | hops.REWRITES)


def test_no_rewriting_header_is_passed_on(plane: Plane, service: Service) -> None:
    """The service sees the method, path and sender that the gateway saw, and the data plane's word on these alone."""
    before = len(service.got)
    assert ask(plane.port, "/public/a", "GET", *(f"{name}: forged" for name in NAMES)).status == 200
    (got,) = service.got[before:]
    assert [(name, value) for name, value in got.fields if "forged" in value] == []
    told = [got.value(f"x-forwarded-{name}") for name in ("proto", "host")]
    assert told == ["http", "app.example"]
    assert got.value("x-forwarded-for") == "127.0.0.1" or plane.name == "envoy"  # there: its machine's own address


@pytest.mark.parametrize("spelt", ["{}", "{_}", "{.}"])
def test_a_rewriting_header_is_not_passed_on_however_it_is_spelt(plane: Plane, service: Service, spelt: str) -> None:
    """Each by itself, in upper case, twice, or with what some services fold."""
    for name in NAMES:
        written = name.upper() if spelt == "{}" else name.replace("-", spelt[1])
        before = len(service.got)
        answer = ask(plane.port, "/public/a", "GET", f"{written}: forged", f"{written}: forged")
        assert (answer.status in (200, 400, 403)) is True, name
        assert "forged" not in str(service.got[before:]), name


UNKNOWN = (
    "x-gateway-peer", "X-Gateway-Anything", "x-gateway-", "x-mycelium-", "X-Mycelium-Other", "x-mycelium-c",
    "x-mycelium-conn", "x-mycelium-connect", "X-Mycelium-Connector", "x-mycelium-connection",
    "x-mycelium-connection-strin", "X-Mycelium-Connection-Strings", "x-mycelium-connection-strinG-2",
    "x-mycelium-connections-string", "x-mycelium-profile-2",
)  # fmt: skip


def test_no_other_name_of_the_namespaces_is_passed_on(plane: Plane, service: Service) -> None:
    """Taken out by how it begins; nginx, which cannot do that, has it refused."""
    for name in UNKNOWN:
        before = len(service.got)
        answer = ask(plane.port, "/public/a", "GET", f"{name}: forged")
        assert answer.status == (403 if plane.few else 200), name
        assert "forged" not in str(service.got[before:]), name


def test_a_connection_string_is_passed_on_to_the_gateway_alone(
    plane: Plane, service: Service, gateway: Gateway
) -> None:
    """In any case of its letters."""
    for name in (CONNECTION_STRING, CONNECTION_STRING.upper()):
        before = len(service.got)
        assert ask(plane.port, "/manager/a", "GET", f"{name}: {gateway.home.string}").status == 200
        assert gateway.home.string not in str(service.got[before:])


@pytest.mark.parametrize("announced", [(), ("Trailer: x-mycelium-profile, authorization",), ("TE: trailers",)])
def test_no_trailer_is_passed_on(plane: Plane, service: Service, announced: tuple[str, ...]) -> None:
    """Some services read it as a header. HAProxy refuses what it cannot take out."""
    before = len(service.got)
    lines = ("Transfer-Encoding: chunked", *announced, "", "5", "first", "0")
    behind = ("x-mycelium-profile: forged", "authorization: Bearer forged", "", "")
    with Connection(plane.port) as connection:
        text = "\r\n".join(("POST /public/a HTTP/1.1", "Host: app.example", *lines, *behind))
        connection.socket.sendall(text.encode())
        answer = connection.socket.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 " if plane.name == "haproxy" else b"HTTP/1.1 200 ")
    assert "forged" not in str(service.got[before:])
    assert [(got.trailers, got.values("te")) for got in service.got[before:]] in ([], [((), [])])


@pytest.mark.parametrize("head", ["GET /public/a HTTP/1.0\r\n\r\n", "GET /public/a HTTP/1.1\r\nHost:\r\n\r\n"])
def test_a_request_without_a_host_is_refused(plane: Plane, service: Service, head: str) -> None:
    """Or the question would be about a host that the data plane made up."""
    before = len(service.got)
    with Connection(plane.port) as connection:
        connection.socket.sendall(head.encode())
        answer = connection.socket.recv(65536)
    assert answer[:8] in (b"HTTP/1.0", b"HTTP/1.1")
    assert 400 <= int(answer[9:12]) < 500
    assert service.got[before:] == []
