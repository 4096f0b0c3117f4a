"""The request that somebody wants explained: from words, or from a line of the access log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.errors import RequestRejected
from gateway.ops.logged import Logged

_WHOLE = re.compile(r"(?i)https?://([^/?#]*)(.*)", re.DOTALL).fullmatch


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a client at `address` would send it. fields: (name, value), Host among them; no line breaks.

    grant: the caller is its holder, whose credential nobody has. known: whether `fields` and `grant` say who calls.
    preflight: it was one of a browser's, and `fields` lack what that asked.
    """

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    address: str = "127.0.0.1"
    grant: str | None = None
    known: bool = True
    preflight: bool = False

    @property
    def head(self) -> bytes:
        lines = [b"%b: %b\r\n" % field for field in self.fields]
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (self.method, self.target, b"".join(lines))


def asked_for(
    method: str, url: str, given: Sequence[tuple[str, str]], public_url: str, address: str = "127.0.0.1"
) -> Asked:
    """url: a path, or a whole address, whose host becomes the Host header. given: more header fields.

    Raises ValueError, with a sentence, for what could not be sent as one request.
    """
    host, target = None, url
    if whole := _WHOLE(url):
        host, target = whole.groups()
        target = target if target.startswith("/") else f"/{target}"
    elif not url.startswith("/") and url != "*":
        raise ValueError("the URL is a path, or begins with http:// or https://")
    if not any(name.lower() == "host" for name, _ in given):
        ours = _WHOLE(public_url)
        given = [("Host", host if host is not None else ours[1] if ours else ""), *given]
    if any(mark in text for text in (method, target, *(part for field in given for part in field)) for mark in "\r\n"):
        raise ValueError("a request has no line breaks in its parts")
    fields = tuple((_raw(name), _raw(value)) for name, value in given)
    return Asked(_raw(method), _raw(target), fields, address)


def asked_again(logged: Logged, public_url: str) -> Asked:
    """The request of a line of the access log, as far as the line has it. Raises RequestRejected for one without."""
    if logged.path is None:
        raise RequestRejected("invalid_value", "The line has no path, or not all of it.")
    given = [("Host", logged.host)] if logged.host else []
    try:
        asked = asked_for(logged.method, logged.path, given, public_url, logged.client)
    except ValueError as error:  # it cannot be sent, so the gateway has not logged it
        raise RequestRejected("invalid_value", f"The line has no request: {error}.") from error
    known = logged.grant is not None or logged.anonymous
    return replace(asked, grant=logged.grant, known=known, preflight=logged.preflight)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
