"""Lines of the access log, read again: one by its request id, or one after the other."""

import json
import os
import select
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

BLOCK: Final = 1024 * 1024  # bytes that are searched at a time
LONGEST: Final = 256 * 1024  # bytes of a line
_CUT: Final = "..."  # where `ops.access_log` has shortened something


@dataclass(frozen=True, slots=True)
class Logged:
    """What a line says. path: None for a built-in endpoint and a request that could not be read. host: "" if not told.

    reason: the code that it was refused or ended with. account, grant: of a caller that was known. endpoint: None where
    no upstream had a part in it.
    """

    time: str
    id: str
    client: str
    method: str
    host: str
    path: str | None
    route: str
    upstream: str | None
    status: int
    reason: str | None
    account: str | None
    grant: str | None
    endpoint: str | None = None

    @property
    def anonymous(self) -> bool:
        """Whether it came without a credential, as far as the line tells."""
        return self.account is None and self.grant is None and self.reason in (None, "no_credential")

    @property
    def preflight(self) -> bool:
        """Whether it was a browser's, which the gateway answered itself: the line has not what it asked."""
        answered = self.status == 204 and self.endpoint is None
        return self.method == "OPTIONS" and (answered or self.reason == "cors_refused")

    def as_json(self) -> Mapping[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


def parse(line: bytes | str) -> Logged | None:
    """None for what is no line of an access log."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    found = cast(Mapping[str, object], said)
    texts = [found.get(name) for name in ("time", "id", "client", "method", "route")]
    status = found.get("status")
    if not all(isinstance(text, str) for text in texts) or not isinstance(status, int):
        return None
    time, id_, client, method, route = cast(list[str], texts)
    host, path = _text(found.get("host")) or "", _text(found.get("path"))
    if path is not None and path.endswith(_CUT) and len(line) >= select.PIPE_BUF - len(_CUT) - 1:
        path = None  # nobody knows how it went on
    rest = (_text(found.get(name)) for name in ("reason", "account", "grant", "endpoint"))
    return Logged(time, id_, client, method, host, path, route, _text(found.get("upstream")), status, *rest)


def find(path: Path, request_id: str, most: int | None = None) -> Logged | None:
    """The last line with this id. most: bytes at the end of the file that are searched; None: all. Raises OSError.

    It is read in blocks, from its end: others write to it, and cut it off, meanwhile.
    """
    mark = b'"id":"%b"' % request_id.encode("ascii", "replace")
    with path.open("rb") as file:
        number = file.fileno()
        end = size = os.fstat(number).st_size
        least = 0 if most is None else max(size - most, 0)
        while end > least:
            start = max(end - BLOCK, least)
            at = os.pread(number, end - start + len(mark) - 1, start).rfind(mark)
            if at >= 0:
                return parse(_line(number, start + at))
            end = start
    return None


def _line(number: int, at: int) -> bytes:
    """The one around this place; none is longer than LONGEST on either side of it."""
    start = max(at - LONGEST, 0)
    before = os.pread(number, at - start, start)
    return before[before.rfind(b"\n") + 1 :] + os.pread(number, LONGEST, at).partition(b"\n")[0]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
