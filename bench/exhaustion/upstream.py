"""An upstream that does as the end of the path says: `/hang` never answers, `/down/N` is so many bytes, `/up` takes
whatever comes. Anything else is a short answer. `python -m bench.exhaustion.upstream PORT [yielding]`.
"""

import asyncio
import contextlib
import sys
from typing import Final

import uvloop

from bench.processes import urgent, yielding

SHORT: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PIECE: Final = bytes(256 * 1024)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            if path.endswith(b"/hang"):
                while await reader.read(1 << 16):
                    pass
                break
            await _swallow(reader, head)
            if b"/down/" in path:
                await _pour(writer, int(path.rpartition(b"/")[2]))
            else:
                writer.write(SHORT)
    writer.close()


async def _swallow(reader: asyncio.StreamReader, head: bytes) -> None:
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0]) if lengths else 0
    while left:
        data = await reader.read(min(left, 1 << 18))
        if not data:
            raise ConnectionResetError
        left -= len(data)


async def _pour(writer: asyncio.StreamWriter, left: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
    while left:
        piece = PIECE[:left]
        writer.write(piece)
        left -= len(piece)
        await writer.drain()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=4096, limit=1 << 18)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[2:]:
        yielding()
    else:
        urgent()
    uvloop.run(main(int(sys.argv[1])))
