"""The service behind a data plane, which keeps what it got byte for byte, and a client that sends bytes."""

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from io import BytesIO
from typing import cast

from harness.ports import free_port

LOOPBACK = "127.0.0.1"
PATIENCE = 20.0  # seconds
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


@dataclass(frozen=True)
class Got:
    """One request that arrived. fields: (lower-case name, value) in order. trailers: lines behind its body."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    trailers: tuple[str, ...] = ()

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def value(self, name: str) -> str:
        """ "" where there is none; there must not be several."""
        (found,) = self.values(name) or [""]
        return found

    @property
    def folded(self) -> set[str]:
        """Names as a service sees them that folds every other character."""
        return {"".join(c if c.isalnum() else "-" for c in name) for name, _ in self.fields}


class Service:
    """Answers 200 `arrived` to whatever comes, 101 to any upgrade. port: where. got: requests so far, oldest first.

    tunnelled: what came behind a 101.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.port = int(sock.getsockname()[1])
        self.got: list[Got] = []
        self.tunnelled: list[bytes] = []

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            connection.settimeout(PATIENCE)
            try:
                while (got := _read(stream)) is not None:
                    self.got.append(got)
                    if upgrade := got.values("upgrade"):
                        connection.sendall(_switching(upgrade[-1], got.value("sec-websocket-key")))
                        while data := connection.recv(65536):
                            self.tunnelled.append(data)
                            connection.sendall(data)
                        return
                    body = b"" if got.method == "HEAD" else b"arrived"
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n" + body
                    )
            except OSError:
                return


def _switching(upgrade: str, key: str) -> bytes:
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + upgrade.encode() + b"\r\n"
    return head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"


def _read(stream: object) -> Got | None:
    lines = cast(BytesIO, stream)
    first = lines.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    fields: list[tuple[str, str]] = []
    while line := lines.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip()))
    told = dict(fields)
    body = lines.read(int(told.get("content-length", 0)))
    trailers: list[str] = []
    if told.get("transfer-encoding", "").lower() == "chunked":
        while size := int(lines.readline() or b"0", 16):  # nothing more: it was broken off
            body += lines.read(size)
            lines.readline()
        while trailer := lines.readline().decode("latin-1").rstrip("\r\n"):
            trailers.append(trailer)
    return Got(first[0], first[1], tuple(fields), body, tuple(trailers))


@contextmanager
def serving() -> Iterator[Service]:
    with socket.create_server((LOOPBACK, free_port())) as sock:
        service = Service(sock)
        thread = threading.Thread(target=service.run, daemon=True)
        thread.start()
        yield service
        sock.shutdown(socket.SHUT_RDWR)  # or accept would go on waiting
        thread.join(PATIENCE)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes


class Connection:
    """A client's. Leaving the `with` block closes it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), PATIENCE)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, target: str, method: str = "GET", *lines: str, body: bytes = b"") -> Answer:
        """lines: header lines as they go out, after Host."""
        length = (f"Content-Length: {len(body)}",) if body else ()
        head = "\r\n".join((f"{method} {target} HTTP/1.1", "Host: app.example", *lines, *length, "", ""))
        self.socket.sendall(head.encode("latin-1") + body)
        response = HTTPResponse(self.socket, method=method)
        try:
            response.begin()
            return Answer(response.status, response.headers, response.read())
        finally:
            response.close()


def ask(port: int, target: str, method: str = "GET", *lines: str, body: bytes = b"") -> Answer:
    with Connection(port) as connection:
        return connection.ask(target, method, *lines, body=body)
