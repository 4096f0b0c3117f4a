"""Where the access log's lines go: a fault cuts no line that comes after it, and nobody waits for who does not read."""

import errno
import os
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.ops.sink import LOOK_SECONDS, Sink, open_sink


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Files of this process grow to so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("ours", [True, False])
def test_a_line_that_a_full_disk_cuts_takes_no_other_with_it(tmp_path: Path, ours: bool) -> None:
    """What was written whole is told, and the next line begins a line of its own. Standard output may be a file too."""
    path = tmp_path / "log"
    sink = open_sink(path) if ours else Sink(os.open(path, os.O_WRONLY | os.O_CREAT), owned=True)
    with at_most(10):
        written, fault = sink.put(b"12345\n6789\nabc\n")
    assert (written, fault.errno if fault else None) == (10, errno.EFBIG)
    assert sink.put(b"next\n") == (5, None)
    sink.close()
    assert path.read_bytes() == b"12345\n6789\nnext\n"


def test_a_file_that_ends_in_a_cut_line_is_gone_on_with_below_it(tmp_path: Path) -> None:
    """As a reload finds it after the disk was full."""
    (tmp_path / "log").write_bytes(b"1234")
    for _ in range(2):
        sink = open_sink(tmp_path / "log")
        sink.put(b"next\n")
        sink.close()
    assert (tmp_path / "log").read_bytes() == b"1234\nnext\nnext\n"


@pytest.mark.parametrize("ours", [True, False])
def test_the_line_of_another_worker_that_a_full_disk_has_cut_takes_none_with_it(tmp_path: Path, ours: bool) -> None:
    """Also where both write to one standard output."""
    path = tmp_path / "log"
    first = open_sink(path)
    second = open_sink(path) if ours else Sink(os.open(path, os.O_WRONLY | os.O_APPEND), owned=True)
    with at_most(10):
        assert first.put(b"12345\n6789a\n")[0] == 10
        assert second.put(b"0\n")[0] == 0
    assert second.put(b"next\n") == (5, None)
    assert first.put(b"last\n") == (5, None)
    first.close()
    second.close()
    assert path.read_bytes() == b"12345\n6789\nnext\nlast\n"


def test_what_another_worker_writes_just_now_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block comes into the file page by page: an end of it that is not seen yet comes, unless the disk is full."""
    path = tmp_path / "log"
    path.write_bytes(b"1")
    more = iter([b"2", b"3\n"])

    def goes_on(seconds: float) -> None:
        with path.open("ab") as other:
            other.write(next(more, b""))

    monkeypatch.setattr("gateway.ops.sink.time", SimpleNamespace(sleep=goes_on))
    sink = open_sink(path)
    assert sink.put(b"4\n") == (2, None)
    with path.open("ab") as other:
        other.write(b"cut")
    assert sink.put(b"5\n") == (2, None)
    sink.close()
    assert path.read_bytes() == b"123\n4\ncut\n5\n"


def test_nobody_waits_for_the_end_of_a_line_that_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may write its dots into the same file."""
    path = tmp_path / "log"
    path.write_bytes(b".")

    def goes_on(seconds: float) -> None:
        with path.open("ab") as other:
            other.write(b".")

    monkeypatch.setattr("gateway.ops.sink.time", SimpleNamespace(sleep=goes_on))
    sink = open_sink(path)
    assert sink.put(b"next\n") == (5, None)
    sink.close()
    assert path.read_bytes().endswith(b".\nnext\n")


def test_of_a_file_that_may_not_be_read_the_own_cut_line_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of mode 0200, or without `/dev/fd`."""
    path = tmp_path / "log"
    with monkeypatch.context() as without:
        without.setattr("gateway.ops.sink._reader", lambda fd: None)
        sink = open_sink(path)
    with at_most(4):
        assert sink.put(b"12345\n")[0] == 4
    assert [sink.put(b"next\n") for _ in range(2)] == [(5, None)] * 2
    sink.close()
    assert path.read_bytes() == b"1234\nnext\nnext\n"


def test_a_disk_that_stays_full_is_told_each_time(tmp_path: Path) -> None:
    """Nothing of what comes then is counted as written, the end of the cut line neither."""
    sink = open_sink(tmp_path / "log")
    with at_most(4):
        assert [sink.put(b"12345\n")[0] for _ in range(3)] == [4, 0, 0]
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


def test_the_path_of_a_socket_is_no_pipe(tmp_path: Path) -> None:
    """Nobody could start a reader for it: it is what the system says."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "log"))
        with pytest.raises(OSError, match="No such device or address"):
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
    began = time.monotonic()
    failed = [sink.put(b"two\n") for _ in range(1000)]
    assert {(written, type(fault)) for written, fault in failed} == {(0, TimeoutError)}
    assert time.monotonic() - began < 1000 * LOOK_SECONDS / 2  # none waits as long as one that is waited for
    sink.close()
    os.close(reading)
