"""The upstream that a gateway under test is put in front of: answers everything, and writes down what it got.

`python -m adversary.upstream --port 9001 --log requests.jsonl`

One JSON line a request; bytes are written as Latin-1. It reads leniently, splits at CRLF alone and believes a `chunked`
before a length, so that what a stricter server would refuse is seen as well. Its answers carry the number of the record
in `x-adversary-record`: who gets one is known to have been answered by it. A target with `status-NNN` gets that status,
one with `switch-101` a 101 if an upgrade was asked for, and what comes then is recorded as a tunnel.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import re
import signal
import time
from pathlib import Path
from typing import Final, TextIO

RECORD: Final = "x-adversary-record"
_STATUS = re.compile(rb"status-([2-5]\d\d)").search
_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]+)[ \t]*(?:;.*)?\Z", re.DOTALL).match


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _answer(method: bytes, target: bytes, number: int, persistent: bool) -> bytes:
    """To the request of this record; of the status that its target asks for."""
    found = _STATUS(target)
    status = b"%b Said" % found[1] if found else b"200 OK"
    body = b"record %d\n" % number
    fields = b"%b: %d\r\n" % (RECORD.encode(), number)
    if status.startswith((b"204", b"304")):
        body = b""
    else:
        fields += b"content-length: %d\r\n" % len(body)
    if not persistent:
        fields += b"connection: close\r\n"
    return b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, fields, b"" if method == b"HEAD" else body)


class Recorder:
    """log: where the records go, each as soon as it is whole."""

    def __init__(self, log: TextIO) -> None:
        self._log = log
        self._connections = itertools.count(1)
        self._records = itertools.count(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        connection = next(self._connections)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await self._request(connection, reader, writer):
                pass
        writer.close()

    async def _request(self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self._write({"connection": connection, "malformed": True, "raw": _text(error.partial)})
            return False
        first, *lines = raw[:-4].split(b"\r\n")
        method, _, rest = first.partition(b" ")
        target, _, version = rest.rpartition(b" ")
        fields = [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
        number = next(self._records)
        record: dict[str, object] = {
            "record": number,
            "connection": connection,
            "method": _text(method),
            "target": _text(target),
            "version": _text(version),
            "fields": [[_text(name), _text(value)] for name, value in fields],
        }
        malformed = version not in (b"HTTP/1.1", b"HTTP/1.0") or any(b":" not in line for line in lines)
        try:
            size, trailers = await self._body(fields, reader)
        except ValueError:
            malformed, size, trailers = True, 0, []
        except asyncio.IncompleteReadError:
            self._write(record | {"complete": False})
            return False
        whole = {"complete": True, "malformed": malformed, "body": size, "trailers": [_text(line) for line in trailers]}
        names = {name.strip().lower(): value.lower() for name, value in fields}
        if b"switch-101" in target and b"upgrade" in names and b"upgrade" in names.get(b"connection", b""):
            return await self._tunnel(record | whole, names[b"upgrade"], reader, writer)
        self._write(record | whole)
        persistent = version == b"HTTP/1.1" and b"close" not in names.get(b"connection", b"") and not malformed
        writer.write(_answer(method, target, number, persistent))
        await writer.drain()
        return persistent

    async def _body(self, fields: list[tuple[bytes, bytes]], reader: asyncio.StreamReader) -> tuple[int, list[bytes]]:
        """Its size, and the lines behind it. Raises ValueError where no reading of the framing is left."""
        if any(name.strip().lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in fields):
            return await self._chunks(reader)
        lengths = [value for name, value in fields if name.strip().lower() == b"content-length"]
        if not lengths:
            return 0, []
        if not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
            raise ValueError
        left = int(lengths[0])
        while left:
            data = await reader.read(min(left, 1 << 16))
            if not data:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(data)
        return int(lengths[0]), []

    async def _chunks(self, reader: asyncio.StreamReader) -> tuple[int, list[bytes]]:
        total = 0
        while True:
            found = _SIZE((await reader.readuntil(b"\r\n"))[:-2])
            if found is None:
                raise ValueError
            size = int(found[1], 16)
            if not size:
                break
            if (await reader.readexactly(size + 2))[-2:] != b"\r\n":
                raise ValueError
            total += size
        trailers = []
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            trailers.append(line[:-2])
        return total, trailers

    async def _tunnel(
        self, record: dict[str, object], protocol: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        writer.write(b"HTTP/1.1 101 Switching\r\n%b: %d\r\n" % (RECORD.encode(), int(str(record["record"]))))
        writer.write(b"connection: upgrade\r\nupgrade: %b\r\n\r\n" % protocol)
        await writer.drain()
        self._write(record | {"tunnel": True})
        while data := await reader.read(1 << 16):
            self._write({"connection": record["connection"], "tunnelled": _text(data)})
        return False

    def _write(self, record: dict[str, object]) -> None:
        self._log.write(json.dumps(record | {"at": time.monotonic()}) + "\n")
        self._log.flush()


async def serve(port: int, log: Path) -> None:
    """Until SIGTERM or SIGINT. Prints its port, which is a free one where 0 was asked for."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    with log.open("a", encoding="utf-8") as file:
        server = await asyncio.start_server(Recorder(file).serve, "127.0.0.1", port, limit=1 << 24, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await ended.wait()
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m adversary.upstream", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="on loopback; a free one, which is printed, unless given")
    parser.add_argument("--log", type=Path, required=True, help="file that the records are added to")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.log))


if __name__ == "__main__":
    main()
