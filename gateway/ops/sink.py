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
        self._given_up = False
        self._ready = select.poll()
        self._ready.register(fd, select.POLLOUT)

    def put(self, lines: bytes) -> tuple[int, OSError | None]:
        """Whole lines. Waits until they are written; gives how many bytes of them were, and the fault that ended it.

        Of a line that a full disk has cut nothing stays in a file of ours: it would be one with the line that comes
        next, whoever writes it.
        """
        written = 0
        try:
            while written < len(lines):
                self._wait()
                written += self._some(lines[written:])
        except OSError as error:
            cut = written - lines.rfind(b"\n", 0, written) - 1
            if cut and self.regular and self._owned:
                self._take_back(cut)
            return written - cut, error
        return written, None

    def give_up(self) -> None:
        """Nobody waits for it any more: what it does not take at once fails, what it is waited for in half a second."""
        self._given_up = True

    def close(self) -> None:
        if self._owned:
            os.close(self._fd)

    def _take_back(self, cut: int) -> None:
        """So many bytes at the end, unless another worker has written behind them."""
        with suppress(OSError):
            end = os.lseek(self._fd, 0, os.SEEK_CUR)
            if os.fstat(self._fd).st_size == end:
                os.ftruncate(self._fd, end - cut)

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
        return Sink(os.open(path, flags, 0o640), owned=True)
    except OSError as error:
        if error.errno != errno.ENXIO or not path.is_fifo():  # fifo(7)
            raise
        raise OSError(errno.ENXIO, "nobody reads this pipe; start its reader first", str(path)) from error
