"""Secrets by reference: `{env: NAME}` or `{file: path}`. The value is in the object, and in none of its texts."""

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MAX_SECRET = 64 << 10  # bytes; a PEM chain fits, a wrong file (a database, a log) does not


class SecretAbsent(Exception):  # noqa: N818 - errors are named by fault
    """There is no such secret, or it is not usable. The text names the reference, never a value."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where references are looked up. folder: that of the configuration file, absolute.

    named: is told of each file, just before it is read.
    """

    folder: Path
    environ: Mapping[str, str]
    named: Callable[[Path], object] = lambda _path: None


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """reference: `file /path` or `env NAME`, for messages. A secret that nobody named may be unset until it is used."""

    reference: str
    _value: str | None = field(default=None, repr=False)

    @property
    def is_set(self) -> bool:
        return self._value is not None

    def get_secret_value(self) -> str:
        """The secret. Raises SecretAbsent when it was left to its default and the file does not exist."""
        if self._value is None:
            raise SecretAbsent(f"there is no {self.reference}; `gateway init` writes it")
        return self._value


def from_env(name: str, sources: Sources) -> Secret:
    value = sources.environ.get(name, "")
    if not value:
        raise SecretAbsent(f"the environment variable {name[:100]!r} is not set, or empty")
    return Secret(f"env {name}", value)


def from_file(name: str, sources: Sources) -> Secret:
    """The file's text without one trailing newline. Its mode is the operator's business: mounts are often 0444."""
    path = sources.folder / name
    sources.named(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SecretAbsent(f"{str(path)!r} is not a regular file")
        with path.open("rb") as file:
            data = file.read(MAX_SECRET + 1)
        value = data.decode()
    except UnicodeDecodeError as error:
        raise SecretAbsent(f"the secret file {str(path)!r} is not UTF-8 text") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise SecretAbsent(f"the secret file {str(path)!r} cannot be read: {reason.lower()}") from error
    if len(data) > MAX_SECRET:
        raise SecretAbsent(f"the secret file {str(path)!r} is larger than {MAX_SECRET >> 10} KiB")
    value = value.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise SecretAbsent(f"the secret file {str(path)!r} is empty")
    return Secret(f"file {path}", value)
