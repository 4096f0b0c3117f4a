"""P8 and a part of P7: what a WebSocket costs that is used, and one that is not."""

import select
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Self

from bench.load import CONNECTIONS, LoadFailedError, Target, cost
from bench.peers import System, start_origin, start_streaming
from bench.processes import LOOPBACK
from bench.report import Row
from bench.stand import HALF, Bench

KIB = 1024
P8_LIMIT, IDLE_LIMIT = 1.3, 20.0  # of nginx, KiB
SIZE = 64  # bytes of a message
PAYLOAD: Final = b"m" * SIZE
SENT: Final = bytes((0x82, 0x80 | SIZE)) + bytes(4) + PAYLOAD  # one masked binary frame (RFC 6455 section 5.2)
BACK: Final = bytes((0x82, SIZE)) + PAYLOAD
HANDSHAKE: Final = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
SETTLE, IDLE = 200, 5_000  # opened first, and at most: each takes three sockets of this machine
PATIENCE = 10.0  # seconds for an answer


class WebSocket:
    """Open once constructed. Raises LoadFailedError if the upgrade was not granted."""

    def __init__(self, target: Target) -> None:
        self.socket = socket.create_connection((LOOPBACK, target.port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(target.head("GET", *HANDSHAKE))
        head = b""
        while b"\r\n\r\n" not in head and (data := self.socket.recv(4096)):
            head += data
        if not head.startswith(b"HTTP/1.1 101 "):
            raise LoadFailedError(f"no WebSocket: {head[:300]!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def echoes(target: Target, seconds: float) -> int:
    """Messages that came back, over 64 connections, each with one message on its way. Raises LoadFailedError."""
    with ExitStack() as opened, select.epoll() as poll:
        sockets = {}
        for _ in range(CONNECTIONS):
            found = opened.enter_context(WebSocket(target)).socket
            sockets[found.fileno()] = found
            poll.register(found, select.EPOLLIN)
            found.sendall(SENT)
        came, over = 0, time.monotonic() + seconds
        while time.monotonic() < over:
            ready = poll.poll(PATIENCE)
            if not ready:
                raise LoadFailedError("no message came back")
            for number, _ in ready:
                if sockets[number].recv(4096) != BACK:
                    raise LoadFailedError("a message came back changed, or not at all")
                sockets[number].send(SENT)
            came += len(ready)
        return came


def p8_echo(bench: Bench) -> tuple[list[Row], list[str]]:
    """Both with the same upstream, which sends each message back."""
    origin = start_origin(bench.stable)
    ours, nginx = bench.gateway(upstream=origin.port), start_streaming(bench.stable, origin.port)
    target = ours.bearer()
    measures = {
        "ours": _echo_cost(bench, ours.system, target),
        "nginx": _echo_cost(bench, nginx, Target(nginx.port, target.path, target.header)),
    }
    found = bench.in_turn(measures)
    for system in (ours.system, nginx, origin):
        bench.stable.stop(system.process)
    what = f"WebSocket, echo of {SIZE} bytes, {CONNECTIONS} connections"
    return [Row.compared("P8", what, found["ours"], "nginx", found["nginx"], limit=P8_LIMIT)], []


def _echo_cost(bench: Bench, system: System, target: Target) -> Callable[[], float]:
    echoes(target, HALF)
    return lambda: cost(system.process, lambda: echoes(target, bench.seconds))


def idle_websockets(bench: Bench) -> Row:
    """Memory for each that has sent one message, and had it back, before it fell idle."""
    origin = start_origin(bench.stable)
    ours, count = bench.gateway(upstream=origin.port), min(bench.idle, IDLE)
    with ExitStack() as opened:

        def open_so_many(number: int) -> None:
            for _ in range(number):
                found = opened.enter_context(WebSocket(ours.bearer())).socket
                found.sendall(SENT)
                if found.recv(4096) != BACK:
                    raise LoadFailedError("a message came back changed, or not at all")

        open_so_many(SETTLE)
        before = ours.system.process.resident_bytes()
        open_so_many(count)
        each = (ours.system.process.resident_bytes() - before) / count / KIB
    for system in (ours.system, origin):
        bench.stable.stop(system.process)
    return Row("P7", f"an idle WebSocket, of {count:,}", "KiB", each, limit=IDLE_LIMIT)
