"""A gateway in a thread of its own, for tests that are plain functions: what they send with `curl` and `http.client`
blocks, and the gateway must go on meanwhile. Its mails are files, and its clocks are moved by hand.
"""

import asyncio
import email
import email.policy
import re
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from shutil import copytree
from typing import Any, Final, TypeVar

import uvloop

from gateway.clock import Clock
from gateway.store.seal import master_key
from gateway.store.sql import Store, open_store
from harness.people import MASTER_KEY, PUBLIC_URL, People
from harness.site import Hand, Running, Site
from harness.upstream import Script, Upstream

T = TypeVar("T")
Configure = Callable[[Upstream], Mapping[str, Any]]

BEGIN: Final = datetime(2026, 6, 1, tzinfo=UTC).timestamp()  # before every date that a seed shows
REST: Final = 5 * 3600.0  # seconds: longer than any limit of guesses remembers
PATIENCE: Final = 45.0  # seconds, on a busy machine
LINK: Final = re.compile(re.escape(PUBLIC_URL) + r"/_adm/beginners/users/magic-link/display/([\w-]{43})\s")
CODE: Final = re.compile(r"^(\d{6})\s*$", re.MULTILINE)


class TwoHands(Hand):
    """Both clocks go on by themselves from BEGIN, whatever the date is, and can be put forward."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()

    def now(self) -> float:
        return BEGIN + self.ahead + time.monotonic() - self._began

    @property
    def clock(self) -> Clock:
        return Clock(now=self.now, monotonic=lambda: time.monotonic() + self.rested)

    def rest(self) -> None:
        """Limits of guesses and of mails begin anew; nothing expires by it."""
        self.rested += REST


class Hosted:
    """url: of the gateway, without a slash at the end. store: a second door to its database, as a command has it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path, people: People) -> None:
        self._loop = loop
        self._folder = folder
        self.hand = TwoHands()
        self.running = Running(people.at(folder / "gateway"))
        self.running.hand = self.hand
        self.url = ""
        self._used: set[str] = set()
        self._mails: dict[Path, EmailMessage] = {}
        self._site: Site
        self.upstream: Upstream
        self.store: Store

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """In the gateway's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def open(self, people: People, configure: Configure, script: Script | None) -> None:
        copytree(people.folder, self.running.people.folder)
        self._site = Site(self._folder, people)
        self.upstream = await self._site.upstream(script)
        said = self._site.said(self.upstream, mail={"url": "file:./outbox"}, **configure(self.upstream))
        self.store = await open_store(self.running.people.store_url, master_key(MASTER_KEY), self.hand.clock)
        await self.running.start(said)
        host, port = self.running.gateway.address
        self.url = f"http://{host}:{port}"

    async def aclose(self) -> None:
        """An error in the gateway's log fails the test that closes."""
        await self.stop()
        await self.store.aclose()
        await self._site.aclose()
        assert not self.running.log.errors, self.running.log.errors

    async def stop(self) -> None:
        """The gateway alone: its access log is whole then."""
        await self.running.stop()

    def access_log(self) -> str:
        """Up to now."""
        return (self.running.people.folder / "access.log").read_text()

    # mails

    def mailed(self, to: str, what: re.Pattern[str]) -> str:
        """What the pattern's group finds in the next mail to this address that has it."""
        deadline = time.monotonic() + PATIENCE
        while (found := self._find(to, what)) is None:
            assert time.monotonic() < deadline, f"no mail with {what.pattern}"
            time.sleep(0.005)
        return found

    def mails(self, to: str) -> list[EmailMessage]:
        """All so far, oldest first."""
        return [message for message in self._received() if message["To"] == to]

    def _find(self, to: str, what: re.Pattern[str]) -> str | None:
        for message in self.mails(to):
            part = message.get_body(("plain",))
            found = what.search(part.get_content()) if part is not None else None
            if found and message["Message-ID"] not in self._used:
                self._used.add(message["Message-ID"])
                return found[1]
        return None

    def _received(self) -> list[EmailMessage]:
        """Each file is read once."""
        for path in sorted((self.running.people.folder / "outbox").glob("*.eml")):
            if path not in self._mails:
                self._mails[path] = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        return list(self._mails.values())


@contextmanager
def hosted(
    folder: Path, people: People, configure: Configure = lambda _: {}, script: Script | None = None
) -> Iterator[Hosted]:
    """folder: an empty one. configure: what is merged into the configuration. script: of the upstream."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="hosted gateway")
    thread.start()
    try:
        host = Hosted(loop, folder, people)
        host.do(host.open(people, configure, script))
        try:
            yield host
        finally:
            host.do(host.aclose())
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()
