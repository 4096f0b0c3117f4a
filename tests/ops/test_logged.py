"""Lines of the access log that are read again: by id, from a file and from memory, whatever stands around them."""

import json
import os
import uuid
from pathlib import Path

import pytest

from gateway.ops.access_log import AccessLog, open_access_log
from gateway.ops.logged import BLOCK, Logged, find, parse
from gateway.ops.recent import MOST, Recent
from gateway.ops.sink import Sink

ID = "7a9b0fae-1111-4000-8000-000000000000"


def line(request_id: str = ID, **more: object) -> str:
    said = {"time": "2026-01-01T00:00:00.000Z", "id": request_id, "client": "192.0.2.1", "method": "GET"}
    rest = {"route": "/a/**", "path": "/a/b", "upstream": "app", "status": 200, "reason": None}
    return json.dumps({**said, **rest, **more}, separators=(",", ":")) + "\n"


def test_a_line_is_read() -> None:
    """What it does not have is None, or empty."""
    assert parse(line(grant="g")) == Logged(
        "2026-01-01T00:00:00.000Z", ID, "192.0.2.1", "GET", "", "/a/b", "/a/**", "app", 200, None, None, "g"
    )


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"id":1}', line(status="200"), line()[:-9]])
def test_what_is_no_line_is_none(text: str) -> None:
    """Another program writes to the same stream, or the disk was full."""
    assert parse(text) is None


def test_the_last_line_with_an_id_is_found(tmp_path: Path) -> None:
    """A trusted proxy may give the same id twice."""
    path = tmp_path / "access.log"
    path.write_text("nonsense\n" + line(str(uuid.uuid4())) + line(path="/first") + line() + line(str(uuid.uuid4())))
    found = find(path, ID)
    assert found is not None
    assert found.path == "/a/b"


@pytest.mark.parametrize("text", ["", line(str(uuid.uuid4())), f"nonsense {ID}\n"])
def test_an_id_that_is_not_there_is_none(tmp_path: Path, text: str) -> None:
    """An empty file too, which cannot be mapped."""
    (tmp_path / "access.log").write_text(text)
    assert find(tmp_path / "access.log", ID) is None


def test_the_last_line_need_not_have_an_end(tmp_path: Path) -> None:
    """Nor need there be one before it."""
    (tmp_path / "access.log").write_text(line().rstrip("\n"))
    assert find(tmp_path / "access.log", ID) is not None


def test_memory_has_the_last_lines_and_no_more() -> None:
    """The first is gone once a mebibyte has come after it."""
    recent, size = Recent(), len(line())
    recent.add([line()])
    for _ in range(MOST // (size * 100)):
        recent.add([line(str(uuid.uuid4()))] * 100)
    assert recent.find(ID) is not None
    recent.add([line(str(uuid.uuid4()))] * 200)
    assert recent.find(ID) is None


async def test_what_a_stream_got_is_remembered() -> None:
    """The very line: nobody reads it there again."""
    reading, writing = os.pipe()
    log = AccessLog(Sink(writing, owned=True), lambda error: None)
    await written(log)
    with os.fdopen(reading) as pipe:
        assert log.recent.find(ID) == parse(pipe.read()) is not None


async def test_what_a_file_has_is_not_kept_twice(tmp_path: Path) -> None:
    """It is found there."""
    log = open_access_log(tmp_path / "access.log", lambda error: None)
    await written(log)
    assert (log.recent.find(ID), find(tmp_path / "access.log", ID) is not None) == (None, True)


async def test_what_a_file_has_in_a_form_for_people_is_remembered(tmp_path: Path) -> None:
    """`logged.find` cannot read it."""
    log = open_access_log(tmp_path / "access.log", lambda error: None, lambda line: "GET /a/b\n")
    await written(log)
    assert (log.recent.find(ID) is not None, find(tmp_path / "access.log", ID)) == (True, None)


async def written(log: AccessLog) -> None:
    who = (0.0, ID, "192.0.2.1", b"GET", None, "/a/**", b"/a/b", "app", None, 200, None, None, None)
    log.write(*who, 0, 0, 0.1, 0.1, 0.1, 0.3)
    await log.aclose()


@pytest.mark.parametrize("ahead", range(60))
def test_a_line_across_two_blocks_is_found(tmp_path: Path, ahead: int) -> None:
    """Wherever the id is cut."""
    path = tmp_path / "access.log"
    start = BLOCK - len(line()) + 20 + ahead
    with path.open("w") as file:
        file.write("x" * (start - 1) + "\n" + line())
        file.write(("y" * 99 + "\n") * ((2 * BLOCK - file.tell()) // 100))
        file.write("z" * (2 * BLOCK - file.tell()))
    found = find(path, ID)
    assert found is not None
    assert found.path == "/a/b"


def test_no_more_is_searched_than_was_asked_for(tmp_path: Path) -> None:
    """Both sides of it, to the byte."""
    path = tmp_path / "access.log"
    path.write_text(line() + "x" * 1000)
    reach = 1000 + len(line()) - line().index('"id"')
    assert find(path, ID, reach) is not None
    assert find(path, ID, reach - 1) is None


def test_a_line_that_was_shortened_has_no_path() -> None:
    """Nobody knows what was asked for. One that ends so by itself is short."""
    assert parse(line(path="/" + "a" * 5000 + "...")).path is None  # type: ignore[union-attr]
    assert parse(line(path="/a...")).path == "/a..."  # type: ignore[union-attr]


def test_a_line_of_brackets_is_none() -> None:
    """It goes deeper than the parser does."""
    assert parse("[" * 200_000) is None
