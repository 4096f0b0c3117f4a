"""Lines of the access log, read again: one by its request id, or one after the other."""

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast


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
    except ValueError:
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
    rest = (_text(found.get(name)) for name in ("reason", "account", "grant", "endpoint"))
    return Logged(time, id_, client, method, host, path, route, _text(found.get("upstream")), status, *rest)


def find(path: Path, request_id: str) -> Logged | None:
    """The last line with this id. A file of any size: it is searched, not read. Raises OSError."""
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # it is empty
            return None
        with data:
            at = data.rfind(b'"id":"%b"' % request_id.encode("ascii", "replace"))
            if at < 0:
                return None
            end = data.find(b"\n", at)
            return parse(data[data.rfind(b"\n", 0, at) + 1 : len(data) if end < 0 else end])


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
