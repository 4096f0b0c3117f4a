"""A desk with Pipelit's API: people with usernames and passwords, and requests in their name."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from e2e.world import Answer
from harness.hosted import hosted
from harness.people import MASTER_KEY, Pass, People
from harness.upstream import Upstream

from gateway.clock import Clock
from gateway.identity.accounts import NewAccount
from gateway.identity.keys import Keys
from gateway.store.schema import migrate
from gateway.store.seal import master_key
from gateway.store.sql import open_store

from .desk import PASSWORD, Desk, phc

AUTH: Final = "/api/v1/auth"
KEYS: Final = "/api/v1/users/me/keys"
KEY: Final = re.compile(r"[\w-]{43}")
TOO_MANY: Final = {"detail": "Too many MFA attempts. Please wait a minute."}
CREDENTIALS: Final = {"detail": "Invalid credentials."}
HERE: Final = {"X-Forwarded-For": "203.0.113.7"}
ELSEWHERE: Final = {"X-Forwarded-For": "203.0.113.8"}


@dataclass(frozen=True)
class Member:
    """Somebody with a password, and with a session once there is one."""

    username: str
    account: str
    email: str
    key: str = ""


@dataclass(frozen=True)
class Armed:
    """Somebody with a second factor, and the session that it was set up in."""

    username: str
    secret: str
    key: str
    codes: list[str]


class Booth(Desk):
    def member(self) -> Member:
        return self.host.do(self._member())

    async def _member(self) -> Member:
        name = f"user-{next(self._numbers)}"
        made = await self.accounts.create_account(NewAccount(f"{name}@example.org", username=name, phc=phc()))
        tenant = await self.accounts.create_tenant("Acme", made.id)
        await self.accounts.assign_role(made.id, tenant.id, "manager", "write")
        return Member(name, made.id, f"{name}@example.org")

    def token(self, username: str, password: str = PASSWORD, **headers: str) -> Answer:
        said = {"username": username, "password": password}
        return self.ask("POST", f"{AUTH}/token/", said, headers=spelled(headers))

    def key(self, member: Member | None = None) -> str:
        """Of a new session."""
        answer = self.token((member or self.member()).username)
        assert answer.status == 200, answer.body
        return str(answer.json()["key"])

    def auth(self, path: str, body: object = None, key: str | None = None, **headers: str) -> Answer:
        return self.ask("POST", f"{AUTH}/{path}", body, key, headers=spelled(headers))

    def pending_secret(self, key: str) -> str:
        answer = self.auth("mfa/setup/", key=key)
        assert answer.status == 200, answer.body
        return str(answer.json()["secret"])

    def armed(self, member: Member | None = None) -> Armed:
        member = member or self.member()
        key = self.key(member)
        secret = self.pending_secret(key)
        answer = self.auth("mfa/verify/", {"code": self.code(secret)}, key)
        assert answer.status == 200, answer.body
        return Armed(member.username, secret, key, answer.json()["recovery_codes"])

    def second(self, username: str, code: str, *, token: str | None = None, **headers: str) -> Answer:
        body = {"username": username, "code": code} | ({} if token is None else {"mfa_token": token})
        return self.auth("mfa/login-verify/", body, **headers)

    def api_key(self, key: str, **more: object) -> Answer:
        return self.ask("POST", KEYS, {"name": "nightly", **more}, key)


def spelled(headers: Mapping[str, str]) -> dict[str, str]:
    """As keyword arguments have them: `user_agent` is `User-Agent`."""
    return {name.replace("_", "-").title(): value for name, value in headers.items()}


@contextmanager
def pipelit(folder: Path, people: People, more: Mapping[str, Any] | None = None, **said: Any) -> Iterator[Booth]:
    """said: of the login API. more: merged into the configuration."""

    def configure(_: Upstream) -> Mapping[str, Any]:
        return {"login": {"pipelit": said}, **(more or {})}

    with hosted(folder, people, configure) as host:
        yield Booth(host)


async def _empty(folder: Path) -> People:
    (folder / "master.key").write_text(MASTER_KEY)
    (folder / "admin.token").write_text("0" * 32)
    blank = People(folder, Pass("", "", ""), Pass("", "", ""), b"", "")
    await migrate(blank.store_url)
    store = await open_store(blank.store_url, master_key(MASTER_KEY), Clock())
    try:
        await Keys(store.keys, Clock()).ensure("EdDSA")
    finally:
        await store.aclose()
    return blank


def empty(folder: Path) -> People:
    """A folder whose store has no account."""
    return asyncio.run(_empty(folder))
