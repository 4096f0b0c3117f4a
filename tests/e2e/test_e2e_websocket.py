"""WebSockets of the `websockets` library on both sides, and of aiohttp behind: whatever is sent arrives as it was."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from . import world
from .parts import LOOPBACK
from .seeding import licensed
from .upstream import pattern
from .world import Gateway, Home

CLOSING = {"/close-1000": 1000, "/close-1011": 1011, "/close-4001": 4001}
QUIET = 20  # seconds that a test waits for the other side at most


def converse(connection: ServerConnection) -> None:
    """Sends back what it gets, piece by piece as it came; or closes at once, where the path says so."""
    assert connection.request is not None
    if code := CLOSING.get(connection.request.path):
        connection.close(code, "as asked")
        return
    try:
        while True:
            pieces = list(connection.recv_streaming())
            connection.send(pieces[0] if len(pieces) == 1 else pieces)
    except ConnectionClosed:
        return


@pytest.fixture(scope="module")
def conversation() -> Iterator[int]:
    """The port of a `websockets` server."""
    with serve(converse, LOOPBACK, 0, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def switchboard(
    template: Home, conversation: int, service: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """In front of a `websockets` server as `talk` and an aiohttp server as `app`."""
    home = template.copy(tmp_path_factory.mktemp("websocket"))
    with world.running(home, world.configuration({"talk": conversation, "app": service})) as gateway:
        yield gateway


@contextmanager
def connected(gateway: Gateway, path: str = "/talk/", token: str | None = None) -> Iterator[ClientConnection]:
    address = gateway.url.replace("http:", "ws:") + path
    headers = world.bearer(token or gateway.home.ada.token)
    with connect(address, additional_headers=headers, max_size=None, proxy=None, compression=None) as connection:
        yield connection


def closed_with(connection: ClientConnection) -> tuple[int | None, str | None]:
    """Code and reason of the Close frame that ended it."""
    with pytest.raises(ConnectionClosed) as ended:
        connection.recv(QUIET)
    received = ended.value.rcvd
    return (received.code, received.reason) if received else (None, None)


@pytest.mark.parametrize("path", ["/talk/", "/app/websocket"])
@pytest.mark.parametrize(
    "message", ["", "héllo ✓", b"", b"\x00\xff" * 70, "t" * 65536, pattern(1024 * 1024)], ids=lambda m: str(len(m))
)
def test_a_message_comes_back_as_it_was(switchboard: Gateway, path: str, message: str | bytes) -> None:
    """Text and binary, empty and 1 MiB, with a server of either library."""
    with connected(switchboard, path) as connection:
        connection.send(message)
        assert connection.recv(QUIET) == message


def test_messages_keep_their_order(switchboard: Gateway) -> None:
    """A hundred of them sent before the first is read."""
    with connected(switchboard) as connection:
        for number in range(100):
            connection.send(str(number))
        assert [connection.recv(QUIET) for _ in range(100)] == [str(number) for number in range(100)]


def test_a_fragmented_message_stays_in_its_fragments(switchboard: Gateway) -> None:
    """The gateway does not put together what a side has taken apart."""
    fragments = ["one ", "two ", "three"]
    with connected(switchboard) as connection:
        connection.send(fragments)
        got = list(connection.recv_streaming())
    assert [piece for piece in got if piece] == fragments


def test_a_ping_is_answered_by_the_other_side(switchboard: Gateway) -> None:
    """Its pong comes back through the gateway, with the bytes of the ping."""
    with connected(switchboard) as connection:
        assert connection.ping(b"are you there").wait(QUIET)


@pytest.mark.parametrize(("path", "code"), CLOSING.items())
def test_the_servers_close_code_arrives(switchboard: Gateway, path: str, code: int) -> None:
    """With its reason."""
    with connected(switchboard, f"/talk{path}") as connection:
        assert closed_with(connection) == (code, "as asked")


def test_the_clients_close_code_is_answered(switchboard: Gateway) -> None:
    """The server's side of the closing handshake comes back."""
    with connected(switchboard) as connection:
        connection.close(4002, "done here")
        assert (connection.close_code, connection.close_reason) == (4002, "done here")


def test_without_a_credential_there_is_no_handshake(switchboard: Gateway) -> None:
    """The refusal is an ordinary answer, which the library shows with its status."""
    address = switchboard.url.replace("http:", "ws:") + "/talk/"
    with pytest.raises(InvalidStatus) as refused, connect(address, proxy=None):
        pass
    assert refused.value.response.status_code == 401


def test_a_path_without_a_websocket_relays_the_services_answer(switchboard: Gateway) -> None:
    """Not a 101: the client sees the 404 that the service gave."""
    with pytest.raises(InvalidStatus) as refused, connected(switchboard, "/app/nothing"):
        pass
    assert refused.value.response.status_code == 404


def test_a_revoked_grant_ends_its_websocket(switchboard: Gateway) -> None:
    """Within a second the connection closes as a violation of policy (1008)."""
    guest = licensed(switchboard.home, 0, "guest")
    with connected(switchboard, token=guest.token) as connection:
        connection.send("here")
        assert connection.recv(QUIET) == "here"
        switchboard.home.told("grant", "revoke", guest.grant)
        assert closed_with(connection)[0] == 1008
