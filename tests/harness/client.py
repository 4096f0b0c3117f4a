"""A client that sends bytes as they are and reads answers strictly."""

import asyncio
import socket
import struct
from dataclasses import dataclass


def request(
    path: str = "/public/x",
    *fields: bytes,
    method: str = "GET",
    body: bytes | None = None,
    version: str = "HTTP/1.1",
    host: bytes = b"gateway.test",
) -> bytes:
    """The bytes of a request; a body is counted."""
    lines = [f"{method} {path} {version}".encode(), b"Host: " + host, *fields]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join((*lines, b"", body or b""))


def chunked(*parts: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + last


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name]

    def one(self, name: bytes) -> bytes:
        (value,) = self.all(name)
        return value

    @property
    def code(self) -> str:
        """The reason code of a problem."""
        import json

        return str(json.loads(self.body)["code"])


class Client:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    async def trickle(self, data: bytes, at: int) -> None:
        """In two segments, the first of them `at` bytes long and read by the gateway before the second is sent."""
        self.writer.write(data[:at])
        for _ in range(3):
            await asyncio.sleep(0)
        await self.send(data[at:])

    async def ask(self, *args: object, **kwargs: object) -> Answer:
        """One request, one answer."""
        await self.send(request(*args, **kwargs))  # type: ignore[arg-type]
        return await self.answer(str(kwargs.get("method", "GET")))

    async def head(self) -> Answer:
        """A head alone, a 1xx too."""
        raw = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = raw[:-4].split(b"\r\n")
        version, status, reason = first.split(b" ", 2)
        assert version == b"HTTP/1.1"
        fields = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
        return Answer(int(status), reason, fields, b"")

    async def answer(self, method: str = "GET") -> Answer:
        """The next final answer, whole. Raises asyncio.IncompleteReadError where it is cut off."""
        head = await self.head()
        while head.status < 200:
            head = await self.head()
        return Answer(head.status, head.reason, head.fields, await self.body(head, method))

    async def body(self, head: Answer, method: str = "GET") -> bytes:
        if method == "HEAD" or head.status in (204, 304):
            return b""
        assert not (head.all(b"content-length") and head.all(b"transfer-encoding"))
        if head.all(b"content-length"):
            return await self._reader.readexactly(int(head.one(b"content-length")))
        if head.all(b"transfer-encoding"):
            return await self._chunks()
        return await self.rest()

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            parts.append(await self._reader.readexactly(size))
            assert await self._reader.readexactly(2) == b"\r\n"
        assert await self._reader.readexactly(2) == b"\r\n"
        return b"".join(parts)

    async def exactly(self, size: int) -> bytes:
        return await self._reader.readexactly(size)

    async def some(self) -> bytes:
        return await self._reader.read(1 << 16)

    async def rest(self) -> bytes:
        """Until the gateway closes. A reset is an end, too."""
        parts = []
        try:
            while data := await self._reader.read(1 << 16):
                parts.append(data)
        except ConnectionError:
            parts.append(b"")
        return b"".join(parts)

    def half_close(self) -> None:
        self.writer.write_eof()

    def reset(self) -> None:
        """Vanishes: the gateway gets an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()
