"""A postman over a real outbox, with a clock that only the test moves and a log that can be waited for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from gateway.clock import Clock
from gateway.identity.letters import Letter
from gateway.mail.delivery import Transport
from gateway.mail.outbox import Postman
from gateway.mail.render import Renderer
from gateway.mail.transport import make_transport
from gateway.settings.values import mail_url
from gateway.store.engines import engine_of
from gateway.store.outbox import Outbox, post
from gateway.store.schema import migrate
from gateway.store.seal import Sealer

TO = "ada@example.org"
LINK = "https://gateway.example/login#s3cret-token"
LETTER = Letter("magic_link", TO, {"link": LINK, "minutes": "15", "when": "", "ip": "", "platform": ""})
DECOY = Letter("magic_link", TO, LETTER.values, decoy=True)
RENDERER = Renderer("gateway@example.org", "https://gateway.example")


@dataclass
class Lines:
    """The log: event and fields. `said` waits for one."""

    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def info(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))
        self._more.set()

    warning = error = info

    async def said(self, event: str, times: int = 1) -> dict[str, object]:
        """The fields of the last one, once it was said so often."""
        async with asyncio.timeout(10):
            while len(found := [fields for name, fields in self.lines if name == event]) < times:
                self._more.clear()
                await self._more.wait()
        return found[-1]


class Office:
    def __init__(self, path: Path) -> None:
        self.at = 1_800_000_000.0
        self.clock = Clock(now=lambda: self.at, monotonic=lambda: self.at)
        self.sealer = Sealer(bytes(32), self.clock.token_bytes)
        engine = engine_of(f"sqlite:///{path}")
        self.database = engine.database()
        self.reader = engine.reader()
        self._due = engine.statements.due
        self.outbox = Outbox(self.database, self.sealer, self.clock)
        self.log = Lines()
        self.failures: list[Exception] = []  # of the outbox, in turn
        self.postmen: list[Postman] = []

    @classmethod
    async def open(cls, folder: Path) -> "Office":
        await migrate(f"sqlite:///{folder}/gateway.db")
        return cls(folder / "gateway.db")

    async def is_due(self, now: float) -> bool:
        return bool((await self.reader.rows(self._due, (now,)))[0][0])

    async def opened(self) -> Outbox:
        if self.failures:
            raise self.failures.pop(0)
        return self.outbox

    def postman(self, transport: Transport) -> Postman:
        postman = Postman(self.is_due, self.opened, RENDERER, transport, self.clock, self.log)
        self.postmen.append(postman)
        postman.start()
        return postman

    def to(self, port: int) -> Postman:
        return self.postman(make_transport(mail_url(f"smtp://127.0.0.1:{port}")))

    async def post(self, letter: Letter = LETTER) -> None:
        async with self.database.writing() as connection:
            await post(connection, self.sealer, self.clock, letter)
        for postman in self.postmen:
            postman.wake()

    async def rows(self, columns: str) -> Sequence[Any]:
        async with self.database.reading() as connection:
            return [tuple(row) for row in await connection.execute(text(f"SELECT {columns} FROM outbox"))]

    async def become(self, columns: str, rows: object) -> None:
        """Returns when the rows are these. Each look goes through the database, so it gives way to the postman."""
        async with asyncio.timeout(10):
            while await self.rows(columns) != rows:  # noqa: ASYNC110 - the other side is a file
                await asyncio.sleep(0.002)

    def later(self, seconds: float) -> None:
        self.at += seconds
        for postman in self.postmen:
            postman.wake()

    async def aclose(self) -> None:
        for postman in self.postmen:
            await postman.aclose(grace=0.1)
        await self.reader.aclose()
        await self.database.aclose()
