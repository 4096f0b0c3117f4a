"""Where lines are written in blocks: a file, or somebody who may not take them. What is written is not known here."""

import errno
import os
import select
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

BLOCK: Final = 64 * 1024  # bytes
LOOK_SECONDS: Final = 0.5  # between two looks whether anybody still waits for what a sink does not take
WRITE_SECONDS: Final = 0.05  # longer than a block of another worker takes to come into the file, page by page
LOOKS: Final = 4  # at a file that always ends amid a line: another program writes into it


class Sink:
    """regular: a file. block: bytes that should be written at once. longest: bytes that a line may have.

    Several workers write to one sink. A file that is appended to takes any block whole; a pipe promises that of
    PIPE_BUF bytes alone (pipe(7)), so that a longer one could end up inside another worker's line.
    """

    def __init__(self, fd: int, owned: bool = False) -> None:
        """owned: it is closed at the end. It may block, and somebody else may have made it non-blocking."""
        self._fd = fd
        self._owned = owned
        self.regular = stat.S_ISREG(os.fstat(fd).st_mode)
        self.block = BLOCK if self.regular else select.PIPE_BUF
        self.longest = sys.maxsize if self.regular else select.PIPE_BUF
        self._reader = _reader(fd) if self.regular else None
        self._cut = False  # our last line has no end
        self._torn_at = 0  # bytes of the file, when its last line was seen to have none
        self._given_up = False
        self._ready = select.poll()
        self._ready.register(fd, select.POLLOUT)

    def put(self, lines: bytes, waits: Callable[[], object] = lambda: None) -> tuple[int, OSError | None]:
        """Whole lines. Waits until they are written; gives how many bytes of them were, and the fault that ended it.

        A line that a fault has cut, another worker's too, ends before the next one: else both were lost. waits: called
        now and then while nobody takes them.
        """
        end = b"\n" if self._torn() else b""
        data, written, fault = end + lines, 0, None
        try:
            while written < len(data):
                self._wait(waits)
                written += self._some(data[written:])
                if written:
                    self._cut = data[written - 1] != 0x0A
                if self.regular and written < len(data):  # not to go on amid a line: another worker may have been there
                    self._some(b"\n")  # if its end is refused too, then with the reason
                    self._cut = False
                    raise OSError(errno.ENOSPC, "not all of the lines were taken")
        except OSError as error:
            fault = error
        return max(written - len(end), 0), fault

    def give_up(self) -> None:
        """Nobody waits for it any more: what it does not take at once fails, what it is waited for in half a second."""
        self._given_up = True

    def close(self) -> None:
        if self._reader is not None:
            os.close(self._reader)
        if self._owned:
            os.close(self._fd)

    def _torn(self) -> bool:
        """Whether the last line has no end. One that another worker writes just now has none yet."""
        if self._reader is None:
            return self._cut
        try:
            for _ in range(LOOKS):
                size = self._unended(self._reader)
                if not size or size == self._torn_at:
                    return size > 0
                self._torn_at = size
                time.sleep(WRITE_SECONDS)
        except OSError:
            return self._cut
        return True

    def _unended(self, reader: int) -> int:
        """Bytes of the file, if its last line has no end; else 0."""
        size = os.fstat(reader).st_size
        return 0 if not size or os.pread(reader, 1, size - 1) == b"\n" else size

    def _wait(self, waits: Callable[[], object]) -> None:
        while not self._ready.poll(0 if self._given_up else LOOK_SECONDS * 1000):
            if self._given_up:
                raise TimeoutError(errno.ETIMEDOUT, "nobody takes what is written")
            waits()

    def _some(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:  # another worker was first
            return 0


def open_sink(path: Path) -> Sink:
    """Append to a file, made with mode 0640, or to a pipe that somebody reads. Raises OSError; never waits."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return Sink(os.open(path, flags, 0o640), owned=True)
    except OSError as error:
        if error.errno != errno.ENXIO or not path.is_fifo():  # fifo(7)
            raise
        raise OSError(errno.ENXIO, "nobody reads this pipe; start its reader first", str(path)) from error


def _reader(fd: int) -> int | None:
    """Of the same file, whatever it is called by now; None where it may be written only."""
    with suppress(OSError):
        return os.open(f"/dev/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    return None
