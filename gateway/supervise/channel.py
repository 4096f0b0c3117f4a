"""What a supervisor and a worker say to each other: JSON in frames, over a socket pair. Either side may ask.

The worker of one release may have the supervisor of another: fields are added, never changed.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, cast

Message = Mapping[str, object]

_LENGTH: Final = struct.Struct("!I")
_MOST: Final = 1 << 28  # bytes of a frame; 10,000 routes are 5 MB. What says more is no length


class ChannelClosedError(Exception):
    """The other side is gone, or takes too long."""


class Channel:
    """answer: called with what the other side asks. hear: called with what it only tells.

    fault: what it said that could not be read, which closed the channel; "" for nothing.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Callable[[Message], Awaitable[Message]],
        hear: Callable[[Message], object],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._hear = hear
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._number = 0
        self.fault = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def tell(self, message: Message) -> None:
        if not self._closed:
            data = json.dumps(message, separators=(",", ":")).encode()
            self._writer.write(_LENGTH.pack(len(data)) + data)

    async def ask(self, message: Message, seconds: float) -> Message:
        """The answer. Raises ChannelClosedError."""
        if self._closed:
            raise ChannelClosedError
        self._number += 1
        number = self._number
        waiting = self._asked[number] = asyncio.get_running_loop().create_future()
        self.tell({**message, "ask": number})
        try:
            async with asyncio.timeout(seconds):
                answer: Message = await waiting
                return answer
        except TimeoutError as error:
            raise ChannelClosedError from error
        finally:
            del self._asked[number]

    async def run(self) -> None:
        """Until the other side closes, or says what cannot be read. Raises nothing that it could cause."""
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                if length > _MOST:
                    raise ValueError(f"a frame of {length} bytes")
                self._take(cast(dict[str, object], json.loads(await self._reader.readexactly(length))))
        except (asyncio.IncompleteReadError, OSError):
            pass
        except Exception as error:  # whatever it is, the other side has said it
            self.fault = f"{type(error).__name__}: {error}"
        finally:
            self._end()

    async def aclose(self) -> None:
        """What was told goes out first."""
        self._end()
        with suppress(OSError):
            await self._writer.wait_closed()

    def _end(self) -> None:
        self._closed = True
        self._writer.close()
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(ChannelClosedError())
        for task in self._tasks:
            task.cancel()

    def _take(self, message: Message) -> None:
        if "answer" in message:
            waiting = self._asked.get(cast(int, message["answer"]))
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        elif "ask" in message:
            task = asyncio.create_task(self._reply(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._hear(message)

    async def _reply(self, message: Message) -> None:
        try:
            answer = await self._answer(message)
        except Exception as error:  # the other side need not wait for what does not come
            answer = {"error": f"{type(error).__name__}: {error}"}
        self.tell({**answer, "answer": message["ask"]})


async def open_channel(
    sock: socket.socket, answer: Callable[[Message], Awaitable[Message]], hear: Callable[[Message], object]
) -> Channel:
    """Takes the socket over. `run` is to be called by the caller."""
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    return Channel(reader, writer, answer, hear)
