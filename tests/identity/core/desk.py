"""A gateway as somebody at a desk uses it: calls over real sockets, and mails read from the folder they are written to.

Its limits are off: what the endpoints do is to be seen, not how often they may be asked.
"""

import email
import email.policy
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from argon2 import PasswordHasher
from harness.client import Answer, request
from harness.people import DAY, open_people
from harness.site import Running, Site, until
from harness.upstream import Upstream

from gateway.app.logins import paths
from gateway.login.dialect import Endpoint

from .world import STEP, App, Unlimited

ADA, BOB = "ada@example.org", "bob@example.org"
PASSWORD = "correct horse battery"
BASE = "/_adm/beginners"
JSON = b"Content-Type: application/json"
PROXIED = ("/auth/x", "/secure/x", "/roles/x")
_LINK = re.compile(r"/magic-link/display/([\w-]{43})\s")
_CODE = re.compile(r"^(\d{6})\s*$", re.MULTILINE)
_SHOWN = re.compile(rb">([0-9]{6})</output>")


@cache
def phc() -> str:
    """With the parameters of the gateway, and hashed once for all tests."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)


def bearer(token: str) -> bytes:
    return b"Authorization: Bearer " + token.encode()


@dataclass
class Now:
    """The gateway's clock, as an app's."""

    running: Running

    @property
    def at(self) -> float:
        return self.running.hand.clock.now()


class Desk:
    """upstream: what stands behind the gateway's routes."""

    def __init__(self, site: Site, running: Running, upstream: Upstream) -> None:
        self.site = site
        self.running = running
        self.upstream = upstream

    @property
    def outbox(self) -> Path:
        return self.running.people.folder / "outbox"

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """Of all login APIs."""
        found = [dialect for dialect in paths(self.running.gateway.core.settings) if dialect.name != "admin"]
        return [one for dialect in found for one in dialect.endpoints()]

    async def quiet(self) -> None:
        """Every mail has gone: a worker that stops while it takes some does not wait for them."""
        path = self.running.people.folder / "gateway.db"
        with closing(sqlite3.connect(path)) as connection:
            waiting = "SELECT count(*) FROM outbox WHERE sent_at IS NULL AND failed_at IS NULL"
            await until(lambda: connection.execute(waiting).fetchone() == (0,))

    async def send(self, method: str, path: str, *fields: bytes, body: bytes | None = None) -> Answer:
        """path: whole."""
        client = await self.site.client(self.running)
        await client.send(request(path, *fields, method=method, body=body))
        try:
            return await client.answer(method)
        finally:
            client.close()

    async def call(self, method: str, path: str, body: Mapping[str, object] | None = None, token: str = "") -> Answer:
        """path: below `beginners`, or whole. token: to present."""
        fields = [bearer(token)] if token else []
        whole = path if path.startswith("/") else f"{BASE}/{path}"
        if body is None:
            return await self.send(method, whole, *fields)
        return await self.send(method, whole, *fields, JSON, body=json.dumps(body).encode())

    async def done(self, method: str, path: str, body: Mapping[str, object] | None = None, token: str = "") -> Any:
        """What is answered to a call that must succeed."""
        answer = await self.call(method, path, body, token)
        assert answer.status in (200, 204), (path, answer.status, answer.body)
        return json.loads(answer.body) if answer.body.startswith((b"{", b"[")) else answer.body

    async def mailed(self, path: str, address: str, what: re.Pattern[str]) -> str:
        """What the mail that the call causes says. Others may come meanwhile: of a password that was changed."""
        seen, found = set(self.outbox.glob("*.eml")), list[str]()

        def looked() -> bool:
            new = set(self.outbox.glob("*.eml")) - seen
            seen.update(new)
            found.extend(match[1] for file in new if (match := what.search(plain(file))))
            return bool(found)

        await self.done("POST", path, {"email": address})
        await until(looked)
        return found[0]

    async def link(self, address: str) -> str:
        """The token of a link that was just mailed."""
        return await self.mailed("users/magic-link/request", address, _LINK)

    async def code(self, token: str) -> str:
        """What the page of a link shows, once its button is pressed."""
        found = _SHOWN.search((await self.call("POST", f"users/magic-link/display/{quote(token)}")).body)
        assert found is not None
        return found[1].decode()

    async def reset_code(self, address: str) -> str:
        return await self.mailed("users/start-password-reset", address, _CODE)

    async def give_password(self, address: str) -> None:
        """Past the gateway, so that no mail has to be waited for."""
        store = await open_people(self.running.people)
        try:
            people = store.changes().accounts
            account = await people.by_email(address)
            assert account is not None
            await people.set_password(account.id, phc(), None, None)
        finally:
            await store.aclose()

    async def reset(self, address: str) -> None:
        """The same password again, as its owner sets one by mail. All sessions end."""
        body = {"email": address, "token": await self.reset_code(address), "newPassword": PASSWORD}
        await self.done("POST", "users/reset-password", body)

    async def login(self, address: str) -> str:
        """The token of a login by password."""
        return str((await self.done("POST", "users/login", {"email": address, "password": PASSWORD}))["token"])

    async def enable(self, token: str) -> App:
        """A pending enrolment."""
        return App((await self.done("POST", "users/totp/enable", token=token))["totpUrl"], Now(self.running))

    async def enrol(self, token: str) -> tuple[App, list[str]]:
        """A second factor, and its recovery codes. A step later: its next code is fresh."""
        app = await self.enable(token)
        done = await self.done("POST", "users/totp/validate-app", {"token": app.code()}, token)
        self.running.hand.ahead += STEP
        return app, done["recoveryCodes"]

    async def connection_string(self, token: str) -> str:
        """Ada's: she is the manager of a tenant."""
        tenant = self.running.people.tenant_id
        body = {"tenantId": tenant, "role": "manager", "expiration": int(DAY), "name": "test"}
        return str((await self.done("POST", "tokens", body, token))["connectionString"])


def message(file: Path) -> EmailMessage:
    return email.message_from_bytes(file.read_bytes(), policy=email.policy.default)


def plain(file: Path) -> str:
    """The plain text of a mail."""
    part = message(file).get_body(("plain",))
    return "" if part is None else str(part.get_content())


async def seated(site: Site, **said: Any) -> Desk:
    """A gateway without limits before an upstream that says ok."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, mail={"url": "file:./outbox"}, **said)
    running.gateway._lasting.throttle._counters = Unlimited()
    desk = Desk(site, running, upstream)
    site._closers.append(desk.quiet)
    return desk
