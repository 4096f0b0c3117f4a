"""One operation of the admin API: who may, what it takes, what it answers; and how its calls are checked."""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.errors import RequestRejected
from gateway.identity.authority import Authority
from gateway.identity.model import Mark, Page
from gateway.identity.origin import Origin

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

MAX_FAULTS: Final = 20  # that are told of one call
MAX_PLACE: Final = 100  # characters


class Unfit(RequestRejected):
    """What was sent has these faults: pairs of a place and what is wrong there."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        told = "; ".join(f"{place}: {message}" for place, message in faults)
        super().__init__("invalid_value", told)
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that may be made. params: of the path, ids in lower case."""

    authority: Authority
    origin: Origin
    params: Mapping[str, str]
    body: BaseModel | None = field(default=None, repr=False)
    query: BaseModel | None = None

    def said(self, kind: type[M]) -> M:
        """The body."""
        assert isinstance(self.body, kind)
        return self.body

    def sought(self, kind: type[M]) -> M:
        """The query."""
        assert isinstance(self.query, kind)
        return self.query


Handler = Callable[[Asked], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Operation:
    """name: its id in the document, and its row in `identity.authority.RULES`. path: below the API's base.

    answer: None for 204. changes: whether others must be told that something is different now.
    """

    name: str
    method: str
    path: str
    tag: str
    summary: str
    handler: Handler
    answer: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    status: int = 200
    description: str = ""

    @property
    def changes(self) -> bool:
        return self.method != "GET"


def checked(kind: type[M], values: Mapping[str, object], where: str) -> M:
    """Raises Unfit, which names every fault and repeats no value."""
    try:
        return kind.model_validate(values, by_alias=True)
    except ValidationError as error:
        found = [
            (_place(where, fault["loc"]), _message(fault["type"], fault["msg"]))
            for fault in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_FAULTS]
        ]
        raise Unfit(found) from None


def _place(where: str, path: tuple[int | str, ...]) -> str:
    text = ".".join([where, *map(str, path)])[:MAX_PLACE]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _message(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such member"
    return "it is missing" if kind == "missing" else message


# places in lists


def marked(page: Page[T], shown: Callable[[T], object]) -> Mapping[str, object]:
    """A page as it is answered."""
    return {"items": [shown(item) for item in page.items], "next": None if page.next is None else _text(page.next)}


def mark(text: str | None, *kinds: type) -> Mark | None:
    """What `next` said. kinds: of its values, in their order. Raises Unfit."""
    if text is None:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        found = None
    if not isinstance(found, list) or len(found) != len(kinds) or not all(map(_fits, found, kinds)):
        raise Unfit([("query.after", "it is not what a page answered as `next`")])
    return tuple(found)


def _fits(value: object, kind: type) -> bool:
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    if isinstance(value, int):
        return abs(value) < 2**63  # what a database takes
    if isinstance(value, str):
        return value.isascii() and value.isprintable()
    return isinstance(value, float) and abs(value) < 1e12


def _text(place: Mark) -> str:
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).rstrip(b"=").decode()
