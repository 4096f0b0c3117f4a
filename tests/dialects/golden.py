"""What a golden exchange is: a request in the name of somebody, and the answer as a client's programmer would note it.

In a noted body a type stands for any value of that type, a pattern for any text that it matches as a whole.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from e2e.world import Answer

from .desk import Desk

ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME: Final = re.compile(r"2026-\d\d-\d\dT\d\d:\d\d:\d\dZ")
JWT: Final = re.compile(r"ey[\w-]+\.ey[\w-]+\.[\w-]+")
TEXT: Final = re.compile(r".+")
RECOVERY: Final = re.compile(r"[a-z2-7]{5}-[a-z2-7]{5}")

Ask = Callable[[Desk, str], Answer]


@dataclass(frozen=True)
class Golden:
    """endpoint: method and template, from the mount on. shows: what is special about it. ask: sends it; its second
    argument is the end of the path, a slash or none. body: None for no bytes; a pattern for what is not JSON.
    """

    endpoint: str
    shows: str
    ask: Ask
    status: int
    body: object = None
    challenge: str | None = None

    @property
    def name(self) -> str:
        return f"{self.endpoint}: {self.shows}"


def refused(
    endpoint: str, shows: str, ask: Callable[[Desk], Answer], status: int, code: str, challenge: str | None = None
) -> Golden:
    """A 401 asks for a bearer token, as RFC 9110 section 11.6.1 wants it."""
    body = {"msg": TEXT, "code": code, "request_id": ID}
    return Golden(endpoint, shows, lambda desk, _: ask(desk), status, body, "Bearer" if status == 401 else challenge)


def fits(noted: object, found: object) -> bool:
    if isinstance(noted, type):
        return type(found) is noted
    if isinstance(noted, re.Pattern):
        return isinstance(found, str) and noted.fullmatch(found) is not None
    return type(found) is type(noted) and found == noted


def as_noted(noted: object, found: object) -> Any:
    """What was found, with the note itself wherever it fits: equal to the note if all of it does."""
    if isinstance(noted, dict) and isinstance(found, dict):
        return {key: as_noted(noted[key], value) if key in noted else value for key, value in found.items()}
    if isinstance(noted, list) and isinstance(found, list) and len(noted) == len(found):
        return [as_noted(*both) for both in zip(noted, found, strict=True)]
    return noted if fits(noted, found) else found
