"""What servers make of a path: as RFC 3986 has it, and as some do besides."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

_ABSOLUTE = re.compile(rb"\Ahttps?://[^/?#]*", re.IGNORECASE)
_UNRESERVED = re.compile(rb"%(2D|2E|5F|7E|3[0-9]|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])", re.IGNORECASE)
_BLANK = rb"(?:[\x00-\x20\x7f-\xa0]|\xc2[\x80-\xa0]|\xe3\x80\x80)"
_TRIMMED = re.compile(rb"(?<=/)%b+|%b+(?=/|\Z)" % (_BLANK, _BLANK))
_ROUNDS: Final = 4


def without_dots(path: bytes) -> bytes:
    """RFC 3986 section 5.2.4."""
    kept: list[bytes] = []
    segments = path.split(b"/")
    for segment in segments[1:]:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def path_of(target: bytes) -> bytes:
    return _ABSOLUTE.sub(b"", target).partition(b"?")[0]


def rfc_reading(target: bytes) -> bytes:
    """The path in the normal form of RFC 3986 section 6.2.2: what any two servers agree on."""
    path = path_of(target).partition(b"#")[0]
    return without_dots(_UNRESERVED.sub(lambda found: bytes([int(found[1], 16)]), path))


def is_under(path: bytes, prefix: bytes) -> bool:
    return path == prefix or path.startswith(prefix + b"/")


# Each of them is what some server does before it looks for who serves a path.
_HABITS: Final[tuple[Callable[[bytes], bytes], ...]] = (
    unquote_to_bytes,
    without_dots,
    lambda path: path.replace(b"\\", b"/"),  # IIS, and URL parsers of browsers
    lambda path: re.sub(rb"/{2,}", b"/", path),  # nginx, Apache
    lambda path: re.sub(rb";[^/]*", b"", path),  # Tomcat, Jetty: path parameters
    lambda path: path.partition(b"\0")[0],  # C strings
    lambda path: path.partition(b"#")[0],  # fragments
    lambda path: path.partition(b"?")[0],  # a query that was encoded
    lambda path: _TRIMMED.sub(b"", path),  # names that are trimmed, as on Windows and by `str.strip`
    lambda path: path.replace(b"\xc0\xae", b".").replace(b"\xc0\xaf", b"/"),  # overlong UTF-8
    lambda path: re.sub(rb"%u00([0-9a-fA-F]{2})", lambda found: bytes([int(found[1], 16)]), path),  # IIS
    bytes.lower,
)


def reading_under(target: bytes, prefix: bytes) -> bytes | None:
    """A reading that some server has of the target and that lies under the prefix; None if there is none."""
    lower = prefix.lower()
    seen = {path_of(target)}
    fresh = set(seen)
    for _ in range(_ROUNDS):
        fresh = {habit(path) for path in fresh for habit in _HABITS} - seen
        seen |= fresh
    return next((path for path in sorted(seen) if is_under(path, prefix) or is_under(path, lower)), None)
