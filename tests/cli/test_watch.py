"""When a change of the configuration's files is taken: once, and not before it is whole."""

import asyncio
import threading
from pathlib import Path

import pytest

from gateway.cli.watch import Watch
from gateway.settings.files import Recorder
from gateway.settings.seen import being_written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("one")
    return path


def watch(path: Path) -> Watch:
    recorder = Recorder()
    recorder.read(path)
    return Watch(recorder.seen)


def look(watching: Watch) -> bool:
    return asyncio.run(watching.look())


def test_nothing_is_told_of_what_stays(path: Path) -> None:
    """However often it is looked at."""
    watching = watch(path)
    assert [look(watching) for _ in range(3)] == [False, False, False]


def test_a_change_is_told_once_it_stays(path: Path) -> None:
    """At the second look that finds the same, and only then: it is not read anew because it was refused."""
    watching = watch(path)
    path.write_text("another")
    assert [look(watching) for _ in range(4)] == [False, True, False, False]


def test_what_is_being_written_is_waited_for(path: Path) -> None:
    """Each look finds more of it."""
    watching, found = watch(path), []
    for part in ("a", "ab", "abc"):
        path.write_text(part * 10)
        found.append(look(watching))
    assert [*found, look(watching)] == [False, False, False, True]


def test_a_change_that_is_taken_back_is_none(path: Path) -> None:
    """The file is gone for a moment, as with some editors, and is the same again."""
    watching, aside = watch(path), path.with_name("aside")
    path.rename(aside)
    first = look(watching)
    aside.rename(path)
    assert [first, look(watching), look(watching)] == [False, False, False]


def test_what_was_read_meanwhile_is_not_told(path: Path) -> None:
    """Somebody has sent SIGHUP."""
    watching = watch(path)
    path.write_text("another")
    assert not look(watching)
    with watching.reading() as recorder:
        recorder.read(path)
    assert [look(watching) for _ in range(3)] == [False, False, False]


def test_a_file_that_is_open_for_writing_is_waited_for(path: Path) -> None:
    """However long it stays the same: a copy may have stalled, and what is there be half of the routes."""
    watching = watch(path)
    with path.open("a") as file:
        file.write("another")
        file.flush()
        assert [look(watching) for _ in range(4)] == [False, False, False, False]
    assert look(watching)


def test_who_begins_to_write_while_it_is_asked_does_not_end_the_process(path: Path) -> None:
    """The lease that it is asked by is broken then, which is told by a signal."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            path.write_text("more")

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(2000):
        being_written(str(path))
    stop.set()
    writer.join()
