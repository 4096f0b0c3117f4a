"""An upstream that does what its script says, byte for byte, and keeps every byte that it received."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

from harness.ports import free_port

OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Got:
    """One request. fields: in order, names as sent. raw: all of its bytes."""

    method: bytes
    target: bytes
    version: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    raw: bytes

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name]

    def one(self, name: bytes) -> bytes:
        """The value of a field that is there exactly once."""
        (value,) = self.all(name)
        return value

    @property
    def names(self) -> set[bytes]:
        return {name.lower() for name, _ in self.fields}


class Line:
    """One accepted connection. received: every byte. ended: the gateway's side is closed, as far as was read."""

    def __init__(self, upstream: "Upstream", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._upstream = upstream
        self._reader = reader
        self.writer = writer
        self.received = bytearray()
        self._pending = bytearray()
        self.ended = asyncio.Event()

    async def more(self) -> bytes:
        """What comes next; b"" at the end."""
        try:
            data = await self._reader.read(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self.ended.set()
        self.received += data
        self._pending += data
        return data

    async def until(self, mark: bytes) -> bytes:
        """Everything up to and with the mark. Raises EOFError."""
        while mark not in self._pending:
            if not await self.more():
                raise EOFError
        return self.take(self._pending.index(mark) + len(mark))

    async def exactly(self, size: int) -> bytes:
        while len(self._pending) < size:
            if not await self.more():
                raise EOFError
        return self.take(size)

    def take(self, size: int) -> bytes:
        data = bytes(self._pending[:size])
        del self._pending[:size]
        return data

    async def head(self) -> Got:
        """A request's head; its body is left to the script. Raises EOFError."""
        raw = await self.until(b"\r\n\r\n")
        first, *lines = raw[:-4].split(b"\r\n")
        method, target, version = first.split(b" ")
        fields = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
        return Got(method, target, version, fields, b"", raw)

    async def request(self) -> Got:
        """A whole request. Raises EOFError."""
        got = await self.head()
        body, raw = b"", b""
        if got.all(b"content-length"):
            body = raw = await self.exactly(int(got.one(b"content-length")))
        elif got.all(b"transfer-encoding"):
            body, raw = await self._chunks()
        got = Got(got.method, got.target, got.version, got.fields, body, got.raw + raw)
        self._upstream.arrived(got)
        return got

    async def _chunks(self) -> tuple[bytes, bytes]:
        body = raw = b""
        while True:
            size = await self.until(b"\r\n")
            data = await self.exactly(int(size, 16) + 2)
            raw += size + data
            if size == b"0\r\n":
                return body, raw
            body += data[:-2]

    def send(self, *parts: bytes) -> None:
        """Raises ConnectionResetError where the gateway has gone, which uvloop tells as a mistake of whoever writes."""
        try:
            self.writer.write(b"".join(parts))
        except RuntimeError as gone:
            raise ConnectionResetError from gone

    async def gone(self) -> None:
        """Reads on until the gateway has closed its side."""
        while await self.more():
            pass

    def reset(self) -> None:
        """The gateway gets an RST."""
        if not self.writer.transport.is_closing():
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()


Script = Callable[[Line], Awaitable[None]]


def answering(*answers: bytes) -> Script:
    """The n-th request of the upstream gets the n-th answer, all further ones the last."""
    left = list(answers)

    async def script(line: Line) -> None:
        while True:
            await line.request()
            line.send(left.pop(0) if len(left) > 1 else left[0])

    return script


@dataclass
class Upstream:
    """lines: connections so far. requests: whole requests so far, in order of their ends."""

    script: Script = field(default_factory=lambda: answering(OK))
    lines: list[Line] = field(default_factory=list)
    requests: list[Got] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    def __post_init__(self) -> None:
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []
        self._server: asyncio.Server

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def start(self, tls: ssl.SSLContext | None = None, port: int | None = None, host: str = "127.0.0.1") -> None:
        self.scheme = "https" if tls else "http"
        self.port = port or free_port()
        self._server = await asyncio.start_server(self._accepted, host, self.port, ssl=tls, limit=1 << 16)

    def stop_listening(self) -> None:
        self._server.close()

    async def aclose(self) -> None:
        """Raises what a script raised."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self.lines:
            line.writer.transport.abort()
        if self._faults:
            raise self._faults[0]

    async def got(self, count: int = 1) -> Got:
        """The count-th request, once it has come."""
        await self._until(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    async def line(self, count: int = 1) -> Line:
        """The count-th connection, once it stands."""
        await self._until(lambda: len(self.lines) >= count)
        return self.lines[count - 1]

    def arrived(self, got: Got) -> None:
        self.requests.append(got)
        self._notify()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    def _notify(self) -> None:
        async def notify() -> None:
            async with self._changed:
                self._changed.notify_all()

        self._keep(notify())

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(self, reader, writer)
        self.lines.append(line)
        self._notify()
        self._keep(self._serve(line))

    async def _serve(self, line: Line) -> None:
        try:
            with contextlib.suppress(EOFError, ConnectionError):
                await self.script(line)
        except Exception as error:
            self._faults.append(error)
        finally:
            line.writer.close()

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
