"""A bounded load that judges every answer: who should pass passes as themselves, and nobody else does."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.processes import LOOPBACK

PACE = 0.05  # seconds between two requests of one connection: a load that leaves the cores some air
PATIENCE = 15.0  # seconds for an answer

Kind = Literal["known", "new", "nobody"]
"""known: a live credential that every cache has seen. new: a live one, not seen before. nobody: must never pass."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request that is sent again and again. email: what the upstream must be told of the caller."""

    kind: Kind
    path: str
    header: tuple[str, str] | None
    email: str = ""

    @property
    def request(self) -> bytes:
        line = f"{self.header[0]}: {self.header[1]}\r\n" if self.header else ""
        return f"GET {self.path} HTTP/1.1\r\nHost: fleet\r\n{line}\r\n".encode()


@dataclass
class Tally:
    """failed: of known callers, by reason. unavailable: new callers who were told to come again. longest: seconds."""

    sent: int = 0
    passed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unavailable: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    longest: float = 0.0

    def judge(self, case: Case, status: int, body: bytes) -> None:
        if status == 200:
            self._passed(case, body.decode("latin-1").strip())
        elif case.kind == "nobody":
            self.refused += 1
        elif case.kind == "new" and status == 503:
            self.unavailable += 1
        else:
            self.failed[str(status)] += 1

    def _passed(self, case: Case, email: str) -> None:
        if case.kind == "nobody" or email != case.email:
            self.wrong.append(f"{case.kind} {case.email} passed as {email!r}")
        else:
            self.passed += 1

    def cut(self, case: Case, error: Exception) -> None:
        """No whole answer came."""
        if case.kind == "nobody":
            self.refused += 1
        else:
            self.failed[type(error).__name__] += 1


class Connection:
    """One keep-alive connection, made anew whenever it is cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises OSError, IncompleteReadError or TimeoutError."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ask(request)
        except BaseException:
            self.close()
            raise

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(LOOPBACK, self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, found, rest = head.partition(b"\r\ncontent-length:")
        length = int(rest.partition(b"\r\n")[0]) if found else 0
        body = await reader.readexactly(length)
        if b"\r\nconnection: close" in head:
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def drive(port: int, cases: Callable[[], Case], tally: Tally, over: asyncio.Event, pace: float = PACE) -> None:
    """One connection's worth of load, until `over`."""
    connection = Connection(port)
    try:
        while not over.is_set():
            case, began = cases(), time.perf_counter()
            tally.sent += 1
            try:
                status, body = await connection.ask(case.request)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                tally.cut(case, error)
            else:
                tally.judge(case, status, body)
            tally.longest = max(tally.longest, time.perf_counter() - began)
            await asyncio.sleep(pace)
    finally:
        connection.close()


@contextlib.asynccontextmanager
async def under_load(
    ports: Sequence[int], cases: Sequence[Case], new: Callable[[], Case] | None = None, *, connections: int = 8
) -> AsyncIterator[Tally]:
    """The load runs while the block does. new: makes a case of a caller not seen before, for one more connection.

    connections: to each port.
    """
    tally, over = Tally(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for port in ports:
            for number in range(connections):
                turn = itertools.cycle([*cases[number % len(cases) :], *cases[: number % len(cases)]])
                group.create_task(drive(port, turn.__next__, tally, over))
            if new is not None:
                group.create_task(drive(port, new, tally, over))
        try:
            yield tally
        finally:
            over.set()
