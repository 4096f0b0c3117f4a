"""The path of a route as written, read into segments. Nothing is matched here."""

import re
from dataclasses import dataclass

from gateway.errors import RequestRejected
from gateway.wire.target import read_target

_PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}").fullmatch


@dataclass(frozen=True, slots=True)
class Template:
    """segments: bytes for a literal, None for `{name}`; a trailing slash is a last b"". rest: it ends in `/**`.

    Two templates are equal when they take the same paths: names of parameters do not count.
    """

    segments: tuple[bytes | None, ...]
    rest: bool


def read_template(path: str) -> Template:
    """`/orders/{id}/**` as a Template. Literals are compared with the bytes that clients send, so they are written as
    clients send them: percent-encoded, and in a spelling that can arrive.

    Raises ValueError, with what to write instead, for a path that no request could have or that says too little.
    """
    if not path.startswith("/"):
        raise ValueError("a path begins with /")
    rest = path.endswith("/**")
    parts = path.removesuffix("/**").split("/")[1:]
    if any("*" in part for part in parts):
        raise ValueError("* stands only in /** at the end; one segment is {name}")
    segments = tuple(_segment(part) for part in parts)
    example = ["x" if segment is None else segment for segment in segments] + ["x"] * rest
    _refuse_unreachable("/" + "/".join(example))
    return Template(tuple(segment if segment is None else segment.encode() for segment in segments), rest)


def _segment(part: str) -> str | None:
    if _PARAMETER(part):
        return None
    if "{" in part or "}" in part:
        raise ValueError("{name} is a whole segment, of letters, digits and _")
    return part


def _refuse_unreachable(path: str) -> None:
    """A literal that is always refused with 400 would be a rule that never holds."""
    if "?" in path or not path.isascii():
        raise ValueError("a path has no query, and other than ASCII is percent-encoded")
    try:
        read_target(path.encode(), b"GET")
    except RequestRejected as refused:
        raise ValueError(f"no request can have this path: {refused.detail}") from refused
