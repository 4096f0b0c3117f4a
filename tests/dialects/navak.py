"""Where people log in with Navak's API: accounts with a name and a proven address, links, and buttons."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from e2e.world import Answer
from harness.people import PUBLIC_URL, People

from gateway.identity.accounts import NewAccount

from .desk import Desk, opened

AUTH: Final = "/auth"
LINK: Final = re.compile(re.escape(PUBLIC_URL) + r"/auth/confirm/([\w-]{43})\s")
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
NOT_READY: Final = {"error": "The auth id is invalid, expired, or not yet authorized"}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Named:
    username: str
    email: str
    account: str


@contextmanager
def door(folder: Path, people: People, registration: str = "open") -> Iterator[Desk]:
    with opened(folder, people, login={"navak": {"registration": registration}}) as desk:
        yield desk


def fresh_name() -> str:
    return f"yun-{next(_numbers)}"


def named(desk: Desk) -> Named:
    """Somebody whose address is proven."""
    name = fresh_name()
    address = f"{name}@example.org"
    made = desk.host.do(desk.accounts.create_account(NewAccount(address, username=name)))
    return Named(name, address, made.id)


def register(desk: Desk, end: str = "", **body: object) -> Answer:
    said = {"username": fresh_name(), "session_platform": "cURL", **body}
    return desk.post(f"{AUTH}/registration{end}", said)


def login(desk: Desk, username: str, email: str, platform: str = "cURL", end: str = "") -> Answer:
    return desk.post(f"{AUTH}/login{end}", {"username": username, "email": email, "session_platform": platform})


def begun(desk: Desk, one: Named, platform: str = "cURL") -> tuple[str, str]:
    """The client's auth_id, and the token of the mail's link."""
    answer = login(desk, one.username, one.email, platform)
    assert answer.status == 200, answer.body
    return str(answer.json()["auth_id"]), desk.host.mailed(one.email, LINK)


def poll(desk: Desk, auth_id: str, end: str = "", method: str = "GET") -> Answer:
    """A second after the last."""
    desk.hand.rested += 1
    return desk.ask(method, f"{AUTH}/session/{auth_id}{end}")


def page(desk: Desk, link: str, end: str = "") -> Answer:
    return desk.ask("GET", f"{AUTH}/confirm/{link}{end}")


def decide(desk: Desk, link: str, decision: str = "approve", end: str = "", **fields: str) -> Answer:
    body = urlencode({"decision": decision, **fields}).encode()
    return desk.ask("POST", f"{AUTH}/confirm/{link}{end}", body, headers=FORM)


def session(desk: Desk, one: Named | None = None, platform: str = "cURL") -> str:
    """A session's token."""
    auth_id, link = begun(desk, one or named(desk), platform)
    assert decide(desk, link).status == 200
    answer = poll(desk, auth_id)
    assert answer.status == 200, answer.body
    return str(answer.json()["session_token"])
