"""The application log: its form, and that no credential gets into it."""

import errno
import io
import json
import logging
from collections.abc import Iterator

import pytest

from gateway.ops.logs import Forward, Log, adopt_standard_logging, application_log

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def logged(event: str, level: str = "info", at: str = "error", **fields: object) -> dict[str, object]:
    stream = io.StringIO()
    getattr(application_log(stream, level), at)(event, **fields)
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)  # type: ignore[no-any-return]


def test_a_line_is_json_with_time_and_level() -> None:
    """What a collector expects."""
    line = logged("started", at="info", port=8080)
    assert (line["event"], line["level"], line["port"], str(line["time"])[-1]) == ("started", "info", 8080, "Z")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_is_for_people() -> None:
    """Not JSON."""
    stream = Terminal()
    application_log(stream).info("started")
    assert "started" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize(
    ("form", "terminal", "json_"),
    [("auto", True, False), ("auto", False, True), ("json", True, True), ("console", False, False)],
)
def test_the_form_may_be_said(form: str, terminal: bool, json_: bool) -> None:
    """And changes with a reload, both ways."""
    stream = Terminal() if terminal else io.StringIO()
    application_log(stream, "info", form).info("started")
    log = application_log(stream, "info", "console" if json_ else "json")
    log.become("info", form)
    log.info("started")
    assert [line.startswith("{") for line in stream.getvalue().splitlines()] == [json_, json_]


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_can_be_turned_off(environ: dict[str, str], coloured: bool) -> None:
    """no-color.org."""
    stream = Terminal()
    application_log(stream, "info", environ=environ).info("started")
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_nobody_writes_to_the_terminal() -> None:
    """What an upstream or a client said may be in an error's text; a terminal obeys escape sequences."""
    stream = Terminal()
    application_log(stream, "info", environ={"NO_COLOR": "1"}).error("odd", detail="a\x1b[2J\x9bb\r", other=b"\x1b")
    assert stream.getvalue()[:-1].isprintable()


@pytest.mark.parametrize(
    ("level", "at", "count"),
    [("info", "debug", 0), ("info", "info", 1), ("error", "warning", 0), ("error", "error", 1), ("debug", "debug", 1)],
)
def test_the_level_is_the_least_that_is_written(level: str, at: str, count: int) -> None:
    """Both sides of it."""
    stream = io.StringIO()
    getattr(application_log(stream, level), at)("event")
    assert len(stream.getvalue().splitlines()) == count


def failure() -> ValueError:
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        return error


def test_an_exception_is_one_line_with_its_place() -> None:
    """No traceback: an operator sees what and where."""
    line = logged("failed", exc_info=failure())
    assert line["error"] == "ValueError: first"
    assert str(line["where"]).endswith("in failure")
    assert "traceback" not in line


def test_the_traceback_comes_at_debug() -> None:
    """Still one line of JSON."""
    assert "in failure" in str(logged("failed", level="debug", exc_info=failure())["traceback"])


@pytest.mark.parametrize(
    "key",
    ["authorization", "Authorization", "cookie", "set_cookie", "token", "admin_token", "password", "client_secret",
     "credential", "connection_string", "master_key"],
)  # fmt: skip
def test_a_field_named_like_a_secret_is_redacted(key: str) -> None:
    """Whatever it holds."""
    assert logged("event", **{key: "value"})[key] == "[redacted]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"bad token {JWT}!", "bad token [redacted]!"),
        ("acc=1;sig=0123456789abcdef", "acc=1;[redacted]"),
        ("key myc_0123456789abcdefghij", "key [redacted]"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: [redacted]"),
        ("redis://user:hunter2@host/0", "redis://[redacted]@host/0"),
        ("bearer of news", "bearer of news"),
        ("http://127.0.0.1:8080/orders", "http://127.0.0.1:8080/orders"),
    ],
)
def test_text_that_looks_like_a_credential_is_redacted(text: str, shown: str) -> None:
    """In the event, in a field, in an exception's text; what only resembles one stays."""
    line = logged(text, detail=text, exc_info=ValueError(text), listed=[text])
    assert (line["event"], line["detail"], line["error"]) == (shown, shown, f"ValueError: {shown}")
    assert text == shown or text not in json.dumps(line)


@pytest.fixture
def root() -> Iterator[None]:
    """Puts the process's logging back as it was."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(False)
    logging.root.handlers[:], logging.root.level = handlers, level


class Keeping(Log):
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def debug(self, event: str, **fields: object) -> None:
        self.lines.append(("debug", event))

    def info(self, event: str, **fields: object) -> None:
        self.lines.append(("info", event))

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append(("warning", event))

    def error(self, event: str, **fields: object) -> None:
        self.lines.append(("error", event))


@pytest.mark.usefixtures("root")
def test_a_librarys_warning_goes_to_the_same_log() -> None:
    """One format, one place; what is below a warning is noise."""
    log = Keeping()
    adopt_standard_logging(log)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("odd: %s", 1)
    assert log.lines == [("warning", "odd: 1")]


@pytest.mark.parametrize(
    ("level", "name"),
    [(10, "debug"), (20, "info"), (30, "warning"), (40, "error"), (50, "error"), (25, "info"), (35, "warning")],
)
def test_a_record_keeps_its_level(level: int, name: str) -> None:
    """Levels in between are the one below."""
    log = Keeping()
    Forward(log).emit(logging.LogRecord("a", level, "file", 1, "said", (), None))
    assert log.lines == [(name, "said")]


def test_only_the_first_line_of_a_record_is_told() -> None:
    """asyncio adds the repr of futures, with whatever their results are."""
    log = Keeping()
    Forward(log).emit(logging.LogRecord("asyncio", 40, "file", 1, "never retrieved\nfuture: <secret>", (), None))
    assert log.lines == [("error", "never retrieved")]


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_that_cannot_be_written_costs_only_its_lines() -> None:
    """An error while an error is told would end the request, or the thread, that had only the first one."""
    application_log(Full()).error("lost")


def test_the_level_may_change_while_it_is_used() -> None:
    """A reload does so: both ways, for those who hold the log already."""
    stream = io.StringIO()
    log = application_log(stream, "error")
    log.info("one")
    log.become("info")
    log.info("two")
    log.become("error")
    log.info("three")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["two"]
