"""The application log: structured, to stderr; JSON lines unless a person is looking. The only home of structlog.

An error is one line without a traceback (that comes at level `debug`), and no line holds a credential: values are
redacted by key, and text by the form that credentials have.
"""

import logging
import re
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, Protocol, TextIO, cast

import structlog

from gateway.ops.console import wants_colour

Level = str  # debug, info, warning, error

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_SECRET_KEY = re.compile(r"authorization|cookie|token|password|secret|credential|connection_?string|master_?key", re.I)
# A JWT's first two parts, a signed connection string, our opaque tokens, what follows an authentication scheme, and
# the password of a URL.
_SECRET_TEXT = re.compile(
    r"eyJ[\w-]{5,}\.[\w.-]+|sig=[0-9A-Fa-f]+|myc_[\w-]{16,}|(?i:bearer|basic)\s+[\w+/=.~-]{8,}|(?<=://)[^\s/@]+:[^\s/@]+(?=@)"
)
_REDACTED = "[redacted]"
_EMPTY: Final[Mapping[str, str]] = MappingProxyType({})


class Log(Protocol):
    """What the rest of the gateway sees of the logger."""

    def debug(self, event: str, **fields: object) -> object: ...

    def info(self, event: str, **fields: object) -> object: ...

    def warning(self, event: str, **fields: object) -> object: ...

    def error(self, event: str, **fields: object) -> object: ...


class _Unfailing:
    """A stream on a full disk, or whose reader has gone, costs lines; never the request or thread that wrote them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class ApplicationLog:
    """A logger to `stream`: columns on a terminal, else one JSON object a line, unless the form is said.

    A field `exc_info` (an exception) is told in one line: its type, text and the place it came from. The level and the
    form may change while it is in use. form: auto, json or console. fields: of every line.
    """

    def __init__(
        self, stream: TextIO, level: Level, form: str = "auto", environ: Mapping[str, str] = _EMPTY, **fields: object
    ) -> None:
        self._stream = stream
        self._environ = environ
        self._fields = fields
        self.become(level, form)

    def become(self, level: Level, form: str = "auto") -> None:
        """From now on: what is below the level is not logged."""
        terminal = self._stream.isatty()
        colours = wants_colour(terminal, self._environ) if form == "console" or (form == "auto" and terminal) else None
        self._log = _logger(self._stream, level, colours, self._fields)

    def debug(self, event: str, **fields: object) -> object:
        return self._log.debug(event, **fields)

    def info(self, event: str, **fields: object) -> object:
        return self._log.info(event, **fields)

    def warning(self, event: str, **fields: object) -> object:
        return self._log.warning(event, **fields)

    def error(self, event: str, **fields: object) -> object:
        return self._log.error(event, **fields)


def application_log(
    stream: TextIO, level: Level = "info", form: str = "auto", environ: Mapping[str, str] = _EMPTY, **fields: object
) -> ApplicationLog:
    """level: a key of LEVELS. form: a value of `log.format`. environ: NO_COLOR and TERM. fields: of every line."""
    return ApplicationLog(stream, level, form, environ, **fields)


def _logger(stream: TextIO, level: Level, colours: bool | None, fields: Mapping[str, object]) -> Log:
    """colours: of the form for people; None for JSON."""
    renderer = (
        structlog.processors.JSONRenderer(default=str)
        if colours is None
        else structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="time")
    )
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if colours is None else "%H:%M:%S", utc=True, key="time"),
        _tell_exception_with_traceback if level == "debug" else _tell_exception,
        _redact,
        *((_printable,) if colours is not None else ()),
        renderer,
    ]
    logger = structlog.wrap_logger(
        structlog.WriteLogger(cast(TextIO, _Unfailing(stream))),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    return cast(Log, logger.bind(**fields))


class Forward(logging.Handler):
    """Sends what libraries log through the standard library to the same place, in the same form."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["exc_info"] = record.exc_info[1]
        # asyncio appends the repr of futures, with their results, after the first line.
        event = record.getMessage().partition("\n")[0]
        write = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        if record.levelno < logging.WARNING:
            write = self._log.info if record.levelno >= logging.INFO else self._log.debug
        write(event, **fields)


def adopt_standard_logging(log: Log) -> None:
    """Libraries' records of level `warning` and up, and Python's warnings, go to `log` and nowhere else."""
    logging.basicConfig(level=logging.WARNING, handlers=[Forward(log)], force=True)
    logging.captureWarnings(True)


def _tell_exception(_: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        event["error"] = f"{type(error).__name__}: {error}".partition("\n")[0]
        frames = traceback.extract_tb(error.__traceback__)
        if frames:
            event["where"] = f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}"
    return event


def _tell_exception_with_traceback(
    logger: object, method: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    error = event.get("exc_info")
    if isinstance(error, BaseException):
        event["traceback"] = "".join(traceback.format_exception(error))
    return _tell_exception(logger, method, event)


def _redact(_: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = _REDACTED
        elif isinstance(value, str):
            event[key] = _SECRET_TEXT.sub(_REDACTED, value)
        elif not isinstance(value, int | float | None):
            event[key] = _SECRET_TEXT.sub(_REDACTED, str(value))
    return event


def _printable(_: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """A terminal obeys what it is sent; JSON escapes it."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in value)
    return event
