"""Where the access log's lines go: a fault cuts no line that comes after it, and nobody waits for who does not read."""

import errno
import os
import resource
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gateway.ops.sink import Sink, open_sink


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Files of this process grow to so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_a_full_disk_cuts_takes_no_other_with_it(tmp_path: Path) -> None:
    """What was written whole is told, and the next line begins a line of its own."""
    sink = open_sink(tmp_path / "log")
    with at_most(10):
        written, fault = sink.put(b"12345\n6789\nabc\n")
    assert (written, fault.errno if fault else None) == (10, errno.EFBIG)
    assert sink.put(b"next\n") == (5, None)
    sink.close()
    assert (tmp_path / "log").read_bytes() == b"12345\n6789\nnext\n"


def test_a_disk_that_stays_full_is_told_each_time(tmp_path: Path) -> None:
    """Nothing of what comes then is counted as written, the end of the cut line neither."""
    sink = open_sink(tmp_path / "log")
    with at_most(4):
        sink.put(b"12345\n")
        assert [sink.put(b"next\n")[0] for _ in range(2)] == [0, 0]
    with at_most(5):
        assert sink.put(b"next\n")[0] == 0
    assert sink.put(b"last\n") == (5, None)
    sink.close()
    assert (tmp_path / "log").read_bytes() == b"1234\nlast\n"


def test_a_pipe_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    """To open it would wait for a reader, and everybody for that."""
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError, match="nobody reads this pipe; start its reader first"):
        open_sink(tmp_path / "log")


def test_what_nobody_waits_for_any_more_fails() -> None:
    """Where it is not taken at once; what is taken is written still."""
    reading, writing = os.pipe()
    sink = Sink(writing, owned=True)
    sink.give_up()
    assert sink.put(b"one\n") == (4, None)
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(select.PIPE_BUF))
    written, fault = sink.put(b"two\n")
    assert (written, type(fault)) == (0, TimeoutError)
    sink.close()
    os.close(reading)
