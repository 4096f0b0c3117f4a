"""Clients of `websockets` and of npm's `ws`: what both ends agree on is theirs alone, and either may vanish.

Messages, fragments, refusals and the server's close codes: `e2e/test_e2e_websocket.py`.
"""

import asyncio
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from e2e import world
from e2e.parts import NODE, need, program, until
from e2e.upstream import pattern
from e2e.world import Gateway, Home
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import ClientConnection, connect

from .talking import Server, talking

QUIET = 20  # seconds that a test waits for the other side at most
MIB = 1024 * 1024
OFFER = "permessage-deflate; server_no_context_takeover; client_max_window_bits=12"
OPEN = "gateway_websockets_open"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with talking() as made:
        yield made


@pytest.fixture(scope="module")
def gateway(template: Home, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = template.copy(tmp_path_factory.mktemp("websocket"))
    with world.running(home, world.configuration({"talk": server.port})) as running:
        yield running


def address(gateway: Gateway, path: str = "/echo") -> str:
    return f"{gateway.url}/talk{path}".replace("http:", "ws:")


@contextmanager
def connected(
    gateway: Gateway, path: str = "/echo", protocols: Sequence[str] = (), compress: bool = False
) -> Iterator[ClientConnection]:
    deflate = ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_max_window_bits=12)
    with connect(
        address(gateway, path),
        additional_headers=gateway.home.ada.headers,
        subprotocols=protocols or None,
        extensions=[deflate] if compress else None,
        compression=None,
        max_size=None,
        proxy=None,
    ) as connection:
        yield connection


def test_compression_is_between_the_two_ends(gateway: Gateway, server: Server) -> None:
    """Offer and answer go through as they are, and so do the compressed bytes: fewer than the message has."""
    with connected(gateway, "/compressed", compress=True) as connection:
        message = bytes(MIB)
        connection.send(message)
        assert connection.recv(QUIET) == message
        assert connection.response is not None
        agreed = connection.response.headers["Sec-WebSocket-Extensions"]
    seen = server.ended.get(timeout=QUIET)
    assert seen.offered["Sec-WebSocket-Extensions"] == OFFER
    assert seen.answered["Sec-WebSocket-Extensions"] == agreed
    line = gateway.logged(status=101, path="/talk/compressed")
    assert 0 < line["bytes_in"] < MIB / 10
    assert 0 < line["bytes_out"] < MIB / 10


def test_without_an_offer_nothing_is_compressed(gateway: Gateway, server: Server) -> None:
    """The gateway makes none of its own."""
    with connected(gateway) as connection:
        connection.send("plain")
        assert connection.recv(QUIET) == "plain"
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers
    assert "Sec-WebSocket-Extensions" not in server.ended.get(timeout=QUIET).offered


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["chat.v1", "chat.v2"], "chat.v2"), (["chat.v1"], "chat.v1"), (["other"], None)]
)
def test_the_server_chooses_the_subprotocol(
    gateway: Gateway, server: Server, offered: list[str], chosen: str | None
) -> None:
    """Of those that the client offers, in the client's order; or none."""
    with connected(gateway, protocols=offered) as connection:
        assert connection.subprotocol == chosen
    assert server.ended.get(timeout=QUIET).offered["Sec-WebSocket-Protocol"] == ", ".join(offered)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "leaving ✓"), (4002, "r" * 123)])
def test_the_clients_close_code_reaches_the_server(gateway: Gateway, server: Server, code: int, reason: str) -> None:
    """With its reason, up to the longest one that a Close frame has room for."""
    with connected(gateway) as connection:
        connection.close(code, reason)
    seen = server.ended.get(timeout=QUIET)
    assert (seen.code, seen.reason) == (code, reason)


def test_a_ping_of_the_server_is_answered_by_the_client(gateway: Gateway, server: Server) -> None:
    """The server tells so in a message."""
    with connected(gateway, "/ping") as connection:
        assert connection.recv(QUIET) == "True"
    server.ended.get(timeout=QUIET)


def test_a_message_of_16_mib_comes_back(gateway: Gateway, server: Server) -> None:
    """More than any buffer on its way."""
    message = pattern(16 * MIB)
    with connected(gateway) as connection:
        connection.send(message)
        assert connection.recv(QUIET) == message
    server.ended.get(timeout=QUIET)


async def test_64_at_once_each_have_their_own(gateway: Gateway, server: Server) -> None:
    """No message arrives at another's connection."""

    async def one(number: int) -> list[bytes | str]:
        headers = gateway.home.ada.headers
        async with connect_async(address(gateway), additional_headers=headers, proxy=None, max_size=None) as connection:
            opened.release()
            await everybody.wait()
            wanted = [pattern(size)[number:] + b"%d" % number for size in (100, 5000, 100_000)]
            for message in wanted:
                await connection.send(message)
            got = [await asyncio.wait_for(connection.recv(), QUIET) for _ in wanted]
            assert got == wanted
            return got

    opened, everybody = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(64)]
        for _ in tasks:
            await asyncio.wait_for(opened.acquire(), QUIET)
        assert await asyncio.to_thread(gateway.metric, OPEN) == 64
        everybody.set()
    for _ in tasks:
        await asyncio.to_thread(server.ended.get, True, QUIET)


def test_a_client_that_vanishes_is_seen_by_the_server(gateway: Gateway, server: Server) -> None:
    """Without a Close frame, and nothing is left of it here."""
    with connected(gateway) as connection:
        connection.send("here")
        assert connection.recv(QUIET) == "here"
        connection.socket.close()
        seen = server.ended.get(timeout=QUIET)
    assert seen.code is None
    until(lambda: gateway.metric(OPEN) == 0, "that none is open")


def test_a_server_that_vanishes_is_seen_by_the_client(gateway: Gateway, server: Server) -> None:
    """No Close frame is made up for it, and nothing is left of it here."""
    with connected(gateway, "/vanish") as connection:
        connection.send("here")
        with pytest.raises(ConnectionClosed) as ended:
            connection.recv(QUIET)
    assert ended.value.rcvd is None
    server.ended.get(timeout=QUIET)
    until(lambda: gateway.metric(OPEN) == 0, "that none is open")


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("size", [64, 4 * MIB])
def test_a_client_of_node_is_served(gateway: Gateway, server: Server, compress: bool, size: int) -> None:
    """`ws`: text, fragments, bytes, a ping, a subprotocol, compression, a close with its code."""
    need((NODE / "node_modules/ws").exists(), "ws (npm)")
    asked = {
        "url": address(gateway),
        "headers": dict(gateway.home.ada.headers),
        "protocols": ["chat.v1"],
        "compress": compress,
        "size": size,
    }
    command = [program("node"), str(NODE / "socket.mjs"), json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "protocol": "chat.v1",
        "extensions": "permessage-deflate" if compress else "",
        "text": True,
        "fragments": True,
        "binary": True,
        "pong": "there?",
        "code": 4003,
        "reason": "all seen",
    }
    seen = server.ended.get(timeout=QUIET)
    assert (seen.code, seen.reason) == (4003, "all seen")
