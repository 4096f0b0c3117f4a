"""Where lines are written in blocks: a file, or somebody who may not take them. What is written is not known here."""

import errno
import os
import select
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

BLOCK: Final = 64 * 1024  # bytes
LOOK_SECONDS: Final = 0.5  # between two looks whether anybody still waits for what a sink does not take


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
        self.torn = False  # the last line has no end
        self._given_up = False
        self._ready = select.poll()
        self._ready.register(fd, select.POLLOUT)

    def put(self, lines: bytes) -> tuple[int, OSError | None]:
        """Whole lines. Waits until they are written; gives how many bytes of them were, and the fault that ended it.

        A line that a fault has cut ends before the next one: else both were lost.
        """
        end = b"\n" if self.torn else b""
        data, written, fault = end + lines, 0, None
        try:
            while written < len(data):
                self._wait()
                written += self._some(data[written:])
                if self.regular and written < len(data):  # not to go on amid a line: another worker may have been there
                    raise OSError(errno.ENOSPC, "not all of the lines were taken")
        except OSError as error:
            fault = error
        if written:
            self.torn = data[written - 1] != 0x0A
        return max(written - len(end), 0), fault

    def give_up(self) -> None:
        """Nobody waits for it any more: what it does not take at once fails, what it is waited for in half a second."""
        self._given_up = True

    def close(self) -> None:
        if self._owned:
            os.close(self._fd)

    def _wait(self) -> None:
        while not self._ready.poll(0 if self._given_up else LOOK_SECONDS * 1000):
            if self._given_up:
                raise TimeoutError(errno.ETIMEDOUT, "nobody takes what is written")

    def _some(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:  # another worker was first
            return 0


def open_sink(path: Path) -> Sink:
    """Append to a file, made with mode 0640, or to a pipe that somebody reads. Raises OSError; never waits."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        sink = Sink(os.open(path, flags, 0o640), owned=True)
    except OSError as error:
        if error.errno != errno.ENXIO or not path.is_fifo():  # fifo(7)
            raise
        raise OSError(errno.ENXIO, "nobody reads this pipe; start its reader first", str(path)) from error
    sink.torn = sink.regular and _is_cut(path)
    return sink


def _is_cut(path: Path) -> bool:
    """Whether the last line has no end: a disk was full, and this is a reload after it."""
    with suppress(OSError), path.open("rb") as file:
        return file.seek(0, os.SEEK_END) > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
    return False
