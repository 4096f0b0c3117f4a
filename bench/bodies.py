"""P6: bodies of a gibibyte through the gateway and through nginx with buffering off: CPU time, and memory."""

import re
import socket
from collections.abc import Callable
from typing import Final

from bench.load import LoadFailedError, Target, used_by
from bench.peers import System, start_origin, start_streaming
from bench.processes import LOOPBACK, Process
from bench.report import Row
from bench.stand import Bench

MIB = 1024 * 1024
LEAST_RATE, GROWTH_LIMIT = 0.5, 2.0  # of nginx's bytes per CPU second, MiB
SETTLE = 16 * MIB  # bytes of each kind that go through first, so that the allocators have their arenas
LOOK = 64 * MIB  # bytes from one look at the memory to the next
BUFFER = 256 * 1024
CHUNK: Final = b"%x\r\n%s\r\n" % (65536, bytes(65536))  # RFC 9112 section 7.1
PIECES: Final = {"Content-Length": bytes(MIB), "chunked": CHUNK * 16}  # a MiB of body each
PATIENCE = 30.0  # seconds without a byte
Look = Callable[[], None]


class Growth:
    """The most that the process's memory was above what it was at first, in bytes."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._first = process.resident_bytes()
        self.most = 0

    def look(self) -> None:
        self.most = max(self.most, self._process.resident_bytes() - self._first)


def _connect(target: Target, head: bytes) -> socket.socket:
    made = socket.create_connection((LOOPBACK, target.port), timeout=PATIENCE)
    made.sendall(head)
    return made


def download(target: Target, size: int, look: Look) -> int:
    """MiB of a counted answer. Raises LoadFailedError if it was not 200, or not whole."""
    sized = Target(target.port, f"{target.path}/{size}", target.header)
    with _connect(sized, sized.request) as client:
        buffer, head = memoryview(bytearray(BUFFER)), b""
        while b"\r\n\r\n" not in head and (data := client.recv(4096)):
            head += data
        if not head.startswith(b"HTTP/1.1 200 "):
            raise LoadFailedError(f"answered {head[:300]!r}")
        came = len(head.partition(b"\r\n\r\n")[2])
        looked = 0
        while came < size and (count := client.recv_into(buffer)):
            came += count
            if came - looked >= LOOK:
                looked = came
                look()
    if came != size:
        raise LoadFailedError(f"{came} of {size} bytes came")
    return came // MIB


def upload(target: Target, size: int, framing: str, look: Look) -> int:
    """MiB that the upstream says it got. Raises LoadFailedError if it was not all of it."""
    said = ("Transfer-Encoding", "chunked") if framing == "chunked" else ("Content-Length", str(size))
    with _connect(target, target.head("POST", said)) as client:
        for number in range(size // MIB):
            client.sendall(PIECES[framing])
            if number % (LOOK // MIB) == 0:
                look()
        if framing == "chunked":
            client.sendall(b"0\r\n\r\n")
        answer = client.recv(4096)
        while b"\n" not in answer.partition(b"\r\n\r\n")[2] and (data := client.recv(4096)):
            answer += data
    got = re.fullmatch(rb"HTTP/1.1 200 .*\r\n\r\n(\d+)\n", answer, re.DOTALL)
    if got is None or int(got[1]) < size:
        raise LoadFailedError(f"the upstream got less than {size} bytes: {answer[:300]!r}")
    return size // MIB


def p6_bodies(bench: Bench) -> tuple[list[Row], list[str]]:
    """One body at a time, from or to the same upstream."""
    origin = start_origin(bench.stable)
    ours, nginx = bench.gateway(upstream=origin.port), start_streaming(bench.stable, origin.port)
    target = ours.bearer()
    theirs = Target(nginx.port, target.path, target.header)
    rows = [row for kind in KINDS for row in _rows(bench, kind, (ours.system, target), (nginx, theirs))]
    for system in (ours.system, nginx, origin):
        bench.stable.stop(system.process)
    return rows, []


KINDS: Final[dict[str, Callable[[Target, int, Look], int]]] = {
    "download": download,
    "upload, Content-Length": lambda target, size, look: upload(target, size, "Content-Length", look),
    "upload, chunked": lambda target, size, look: upload(target, size, "chunked", look),
}


def _rows(bench: Bench, kind: str, ours: tuple[System, Target], nginx: tuple[System, Target]) -> list[Row]:
    size, transfer = bench.body * MIB, KINDS[kind]
    for _, target in (ours, nginx):
        transfer(target, SETTLE, lambda: None)
    growth = Growth(ours[0].process)

    def rate(side: tuple[System, Target], look: Look) -> Callable[[], float]:
        def measure() -> float:
            used, moved = used_by(side[0].process, lambda: transfer(side[1], size, look))
            return moved / used

        return measure

    found = bench.in_turn({"ours": rate(ours, growth.look), "nginx": rate(nginx, lambda: None)})
    growth.look()
    what = f"{kind}, {bench.body:,} MiB"
    speed = Row.compared(
        "P6", what, found["ours"], "nginx", found["nginx"], unit="MiB/CPU s", limit=LEAST_RATE, at_least=True
    )
    return [speed, Row("P6", f"{what}: memory grows by", "MiB", growth.most / MIB, limit=GROWTH_LIMIT)]
