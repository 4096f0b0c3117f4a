"""Clients that want all of something: a process of its own, which goes on until it is told to end.

`python -m bench.exhaustion.attacks NAME JSON`, as `arena.attacked` starts it. It prints a line when the attack stands,
and another one at the end that says how far it came.
"""

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import uvloop

from bench.processes import yielding

DIALS: Final = 64  # at a time: what is tried is what a connection costs, not a flood of SYNs
SMALL: Final = (
    64 * 1024
)  # bytes that the kernel takes for a client that does not: else it is the kernel that is exhausted
ASKED: Final = 25  # times that each connection asks, or more
PIECE: Final = bytes(256 * 1024)


Each = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Aim:
    """path: of a protected route. field: the line of a credential that it takes. issuer: whose tokens it takes.

    count: connections, or requests at a time. size: bytes of a body, or of a head. answers: to be had before the end.
    """

    port: int
    path: str
    field: str
    issuer: str
    count: int
    size: int = 0
    answers: int = 0

    def head(self, suffix: str = "", *fields: str, method: str = "GET", credential: str | None = None) -> bytes:
        lines = [f"{method} {self.path}{suffix} HTTP/1.1", "Host: bench", credential or self.field, *fields]
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()

    async def connect(self, window: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """window: bytes that the kernel takes ahead, 0 for what it likes."""
        sock = socket.socket()
        sock.setblocking(False)
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        return await asyncio.open_connection(sock=sock, limit=1 << 18)


class Attack:
    """done: how often each thing has happened. stands: set when the attack is as large as it gets."""

    def __init__(self, aim: Aim) -> None:
        self.aim = aim
        self.done: Counter[str] = Counter()
        self.stands = asyncio.Event()
        self._dialing = asyncio.Semaphore(DIALS)

    @property
    def answers(self) -> int:
        return sum(count for what, count in self.done.items() if what.isdigit())

    def has_come_far_enough(self, name: str) -> bool:
        return self.answers >= self.aim.answers and (name not in ENOUGH or ENOUGH[name](self))

    async def connections(self, each: Each, window: int = 0) -> None:
        """So many at once; one that ends is made anew."""
        await asyncio.gather(*(self._again_and_again(each, window) for _ in range(self.aim.count)))

    async def _again_and_again(self, each: Each, window: int) -> None:
        while True:
            try:
                async with self._dialing:
                    reader, writer = await self.aim.connect(window)
            except OSError:
                self.done["not connected"] += 1
                await asyncio.sleep(0.1)
                continue
            self.done["connected"] += 1
            if self.done["connected"] >= self.aim.count:
                self.stands.set()
            try:
                await each(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                self.done["cut off"] += 1
            finally:
                writer.transport.abort()

    def answered(self, head: bytes) -> None:
        self.done[head[9:12].decode()] += 1


async def slow_heads(attack: Attack) -> None:
    """A byte of the head each second."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(attack.aim.head()[:-2] + b"X-Slow: ")
        await _drip(attack, reader, writer)

    await attack.connections(each)


async def slow_bodies(attack: Attack) -> None:
    """A byte of the body each second, to an upstream that takes it."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(attack.aim.head("/up", "Content-Length: 100000", method="POST"))
        await _drip(attack, reader, writer)

    await attack.connections(each)


async def _drip(attack: Attack, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"a")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                attack.answered(await reader.readuntil(b"\r\n\r\n"))
                return


async def idle(attack: Attack) -> None:
    """Each has asked once, and stays."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(attack.aim.head())
        attack.answered(await reader.readuntil(b"\r\n\r\n"))
        await reader.read()

    await attack.connections(each)


async def hanging(attack: Attack) -> None:
    """Requests to an upstream that does not answer."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(attack.aim.head("/hang"))
        attack.answered(await reader.readuntil(b"\r\n\r\n"))

    await attack.connections(each)


async def down(attack: Attack) -> None:
    """Bytes that are read as fast as they come."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(attack.aim.head(f"/down/{attack.aim.size}"))
        attack.answered(await reader.readuntil(b"\r\n\r\n"))
        while data := await reader.read(1 << 18):
            attack.done["bytes"] += len(data)
            if not attack.done["bytes"] % attack.aim.size:
                break

    await attack.connections(each)


async def up(attack: Attack) -> None:
    """Bytes that are sent as fast as they are taken."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(attack.aim.head("/up", f"Content-Length: {attack.aim.size}", method="POST"))
        left = attack.aim.size
        while left:
            piece = PIECE[:left]
            writer.write(piece)
            await writer.drain()
            left -= len(piece)
            attack.done["bytes"] += len(piece)
        attack.answered(await reader.readuntil(b"\r\n\r\n"))

    await attack.connections(each)


async def big_heads(attack: Attack) -> None:
    """A head that has no end within so many bytes, on a new connection each time."""
    filler = b"X-Filler: " + b"a" * 1000 + b"\r\n"
    head = attack.aim.head()[:-2] + filler * (attack.aim.size // len(filler))

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        attack.answered(await reader.readuntil(b"\r\n\r\n"))

    await attack.connections(each)


async def random_kids(attack: Attack) -> None:
    """Tokens of an issuer that is believed, each with another key's name: as many as are answered."""

    def credential() -> str:
        header = {"alg": "RS256", "typ": "JWT", "kid": os.urandom(8).hex()}
        claims = {"iss": attack.aim.issuer, "aud": "gateway", "sub": "nobody", "exp": 1 << 32}
        parts = [_base64url(json.dumps(part).encode()) for part in (header, claims)]
        return f"Authorization: Bearer {'.'.join(parts)}.{_base64url(os.urandom(256))}"

    await _ask_for_ever(attack, credential)


async def random_tokens(attack: Attack) -> None:
    """API keys that there are none of: each is looked up."""
    await _ask_for_ever(attack, lambda: f"Authorization: Bearer myc_{_base64url(os.urandom(32))}")


async def _ask_for_ever(attack: Attack, credential: Callable[[], str]) -> None:
    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(attack.aim.head(credential=credential()))
            head = await reader.readuntil(b"\r\n\r\n")
            attack.answered(head)
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
            if b"connection: close" in head.lower():
                return

    await attack.connections(each)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def never_reading(attack: Attack) -> None:
    """Answers without end, none of which is taken."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(attack.aim.head(f"/down/{attack.aim.size}"))
        await asyncio.Event().wait()

    await attack.connections(each, SMALL)


async def slow_reading(attack: Attack) -> None:
    """Answers without end, of which little is taken at a time."""

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(attack.aim.head(f"/down/{attack.aim.size}"))
        while data := await reader.read(4096):
            attack.done["bytes"] += len(data)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(0.5)
            writer.transport.resume_reading()  # type: ignore[attr-defined]

    await attack.connections(each, SMALL)


# What has to have happened before the end, beside the answers; for the others it is enough that they stand.
ENOUGH: Final[dict[str, Callable[[Attack], bool]]] = {
    "down": lambda attack: attack.done["bytes"] >= attack.aim.size,
    "up": lambda attack: attack.done["bytes"] >= attack.aim.size,
    "big-heads": lambda attack: attack.answers >= ASKED * attack.aim.count,
    "random-kids": lambda attack: attack.answers >= ASKED * attack.aim.count,
    "random-tokens": lambda attack: attack.answers >= ASKED * attack.aim.count,
}
ATTACKS: Final[dict[str, Callable[[Attack], Awaitable[None]]]] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        slow_heads, slow_bodies, idle, hanging, down, up, big_heads, random_kids, random_tokens, never_reading,
        slow_reading,
    )
}  # fmt: skip


async def main(name: str, aim: Aim) -> None:
    attack, loop = Attack(aim), asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    work = asyncio.ensure_future(ATTACKS[name](attack))
    await attack.stands.wait()
    print(json.dumps("stands"), flush=True)
    await told.wait()
    while not attack.has_come_far_enough(name):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    print(json.dumps(attack.done), flush=True)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


if __name__ == "__main__":
    yielding()
    uvloop.run(main(sys.argv[1], Aim(**json.loads(sys.argv[2]))))
