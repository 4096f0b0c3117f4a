"""Where the configuration's files come from: the disk, or the copy of them that several workers share.

A worker that is started again must run what the others run, whatever somebody has begun to write since. What the files
name is not in the copy: secrets and certificates are read from the disk by whoever starts, as they are by then.
"""

import base64
import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from gateway.settings.seen import Seen, Stamp, found, stamp
from gateway.settings.yaml import MAX_BYTES


class Files(Protocol):
    """What composing reads. Secrets and certificates are read elsewhere, and always from the disk."""

    def name(self, path: Path) -> None:
        """A secret, a certificate or another file that the configuration names, just before it is read."""

    def read(self, path: Path) -> bytes:
        """At most one byte more than a configuration file may have. Raises OSError, ValueError, NotRegularError."""

    def names(self, pattern: str, folder: Path) -> Sequence[str]:
        """Names in the folder that a glob matches, sorted."""


class NotRegularError(Exception):
    """A pipe or a device could be read for ever."""


class Disk:
    def name(self, path: Path) -> None:
        """Nobody asks later."""

    def read(self, path: Path) -> bytes:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotRegularError
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)

    def names(self, pattern: str, folder: Path) -> Sequence[str]:
        return found(pattern, str(folder))


@dataclass(slots=True)
class Recorder:
    """The disk; what was read from it is kept, and what the files looked like before."""

    disk: Disk = field(default_factory=Disk)
    texts: dict[str, bytes] = field(default_factory=dict, repr=False)
    matches: dict[str, Sequence[str]] = field(default_factory=dict)
    _stamps: dict[str, Stamp] = field(default_factory=dict)
    _globs: dict[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    @property
    def seen(self) -> Seen:
        return Seen(self._stamps, self._globs)

    def name(self, path: Path) -> None:
        self._stamps[str(path)] = stamp(str(path))

    def read(self, path: Path) -> bytes:
        self.name(path)
        text = self.texts[str(path)] = self.disk.read(path)
        return text

    def names(self, pattern: str, folder: Path) -> Sequence[str]:
        names = self.disk.names(pattern, folder)
        self.matches[str(folder / pattern)] = self._globs[str(folder), pattern] = names
        return names


@dataclass(frozen=True, slots=True)
class Copy:
    """What a Recorder has read, read again from memory."""

    texts: dict[str, bytes] = field(repr=False)
    matches: dict[str, Sequence[str]]

    def name(self, path: Path) -> None:
        """It is on the disk, whoever wrote it since."""

    def read(self, path: Path) -> bytes:
        text = self.texts.get(str(path))
        if text is None:
            raise FileNotFoundError(2, "not in the configuration that runs", str(path))
        return text

    def names(self, pattern: str, folder: Path) -> Sequence[str]:
        return self.matches.get(str(folder / pattern), ())


def packed(recorder: Recorder) -> str:
    """JSON, for another process."""
    texts = {name: base64.b85encode(text).decode("ascii") for name, text in recorder.texts.items()}
    return json.dumps({"texts": texts, "matches": recorder.matches})


def unpacked(text: str) -> Copy:
    given = cast(dict[str, dict[str, object]], json.loads(text))
    texts = {name: base64.b85decode(str(data)) for name, data in given["texts"].items()}
    return Copy(texts, {key: cast(list[str], names) for key, names in given["matches"].items()})
