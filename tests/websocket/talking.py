"""A `websockets` server that says afterwards what it saw of each connection."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue

from e2e.parts import LOOPBACK
from harness.ports import free_port
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

PROTOCOLS = [Subprotocol("chat.v2"), Subprotocol("chat.v1")]  # the server's, best first


@dataclass(frozen=True)
class Seen:
    """offered, answered: the handshake's fields. code, reason: of the Close frame; None without one."""

    path: str
    offered: Headers
    answered: Headers
    code: int | None
    reason: str | None


@dataclass
class Server:
    port: int = 0
    ended: "Queue[Seen]" = field(default_factory=Queue)

    def converse(self, connection: ServerConnection) -> None:
        """Echoes. /vanish: gone after the first message, without a word. /ping: pings first, and tells of the pong."""
        assert connection.request is not None
        assert connection.response is not None
        path = connection.request.path
        try:
            if path == "/ping":
                connection.send(str(connection.ping(b"and you").wait(20)))
            while True:
                message = connection.recv()
                if path == "/vanish":
                    connection.socket.shutdown(socket.SHUT_RDWR)
                connection.send(message)
        except ConnectionClosed as closed:
            received = closed.rcvd
            code, reason = (received.code, received.reason) if received else (None, None)
            self.ended.put(Seen(path, connection.request.headers, connection.response.headers, code, reason))


def chosen(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((name for name in PROTOCOLS if name in offered), None)


@contextmanager
def talking() -> Iterator[Server]:
    made = Server()
    with serve(made.converse, LOOPBACK, free_port(), max_size=None, select_subprotocol=chosen) as server:
        made.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
