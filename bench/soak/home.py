"""The gateway under test: its folder, its people, its configuration, and the program itself with two workers."""

import json
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from os import environ
from pathlib import Path
from typing import Any

import yaml

from bench.ours import PROGRAM
from bench.processes import LOOPBACK, NotStartedError, Process, Stable, free_port
from bench.soak import upstream
from bench.soak.aside import Aside
from gateway.cli.hashing import hashing
from gateway.cli.shared import Session, opened
from gateway.clock import Clock
from gateway.identity.accounts import NewAccount
from gateway.identity.grants import Terms, session_claims
from gateway.identity.keys import active
from gateway.identity.model import Account
from gateway.identity.tokens import mint
from gateway.settings.load import load

PUBLIC_URL = "http://soak.example"
WORKERS = 2
PEOPLE = 16
DAY = 86400.0
READY_SECONDS = 30.0
ACCESS = {"public": "public", "known": "authenticated", "secure": "protected"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a session's token, a connection string for the role manager, an API key, and a password."""

    account: Account
    password: str
    token: str
    string: str
    key: str

    @property
    def email(self) -> str:
        return self.account.owner.email


@dataclass(frozen=True, slots=True)
class Doomed:
    """A credential that is to be revoked."""

    grant: str
    header: tuple[str, str]


@dataclass
class Door:
    """The store, opened beside the gateway as a command does it: in another process, for each change."""

    aside: Aside[Session]
    tenant: str = ""
    people: Sequence[Person] = ()

    async def fill(self) -> None:
        self.tenant, self.people = await self.aside(_fill)

    async def doomed(self, number: int) -> Doomed:
        """Of each kind in turn."""
        account = self.people[number % PEOPLE].account
        return await self.aside(partial(_doomed, account=account, tenant=self.tenant, kind=number % 3))

    async def revoke(self, doomed: Doomed) -> None:
        await self.aside(partial(_revoke, grant=doomed.grant))


async def _fill(session: Session) -> tuple[str, Sequence[Person]]:
    """The id of a tenant, and those who hold a role in it."""
    accounts, people = session.accounts, []
    tenant = (await accounts.create_tenant("Soak")).id
    with hashing() as passwords:
        for number in range(PEOPLE):
            password = secrets.token_urlsafe(16)
            new = NewAccount(f"person{number}@soak.example")
            account = await session.administration.create_account(new, passwords, password)
            await accounts.assign_role(account.id, tenant, "manager", "write")
            string, key = await _string(session, account, tenant), await _key(session, account)
            people.append(Person(account, password, (await _token(session, account))[1], string[1], key[1]))
    return tenant, people


async def _doomed(session: Session, account: Account, tenant: str, kind: int) -> Doomed:
    if kind == 0:
        grant, string = await _string(session, account, tenant)
        return Doomed(grant, ("x-mycelium-connection-string", string))
    grant, secret = await (_token if kind == 1 else _key)(session, account)
    return Doomed(grant, ("Authorization", f"Bearer {secret}"))


async def _revoke(session: Session, grant: str) -> None:
    await session.grants.revoke(grant)


async def _token(session: Session, account: Account) -> tuple[str, str]:
    grant = await session.grants.issue_session(account.id, Terms(DAY, name="soak"))
    key = active(await session.store.keys.signing_keys(), "token")
    return grant.id, mint(session_claims(grant, account, PUBLIC_URL, PUBLIC_URL), key)


async def _string(session: Session, account: Account, tenant: str) -> tuple[str, str]:
    until = session.clock.now() + DAY
    handed = await session.grants.create_connection_string(account.id, tenant, "manager", until)
    return handed.grant.id, handed.secret


async def _key(session: Session, account: Account) -> tuple[str, str]:
    handed = await session.grants.issue_opaque(account.id, Terms(DAY, name="soak"))
    return handed.grant.id, handed.secret


@asynccontextmanager
async def _store(config: Path) -> AsyncIterator[Session]:
    async with opened(load(config, environ).settings, Clock()) as session:
        yield session


@dataclass
class Home:
    """state: url of a Redis. generation: which of its configurations is in force; a route has its number."""

    stable: Stable
    state: str
    service_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    generation: int = 0
    service: Process = field(init=False)
    gateway: Process = field(init=False)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def admin(self) -> str:
        return f"http://{LOOPBACK}:{self.admin_port}"

    @property
    def folder(self) -> Path:
        return self.stable.folder / "home"

    def make(self) -> None:
        done = subprocess.run([str(PROGRAM), "init", "--dir", str(self.folder)], capture_output=True, text=True)
        if done.returncode:
            raise NotStartedError(f"gateway init: {done.stderr.strip()}")
        self.write()

    def write(self, **more: object) -> None:
        """The configuration of this generation, with other sections where they are given."""
        routes: list[dict[str, Any]] = [
            {"path": f"/{name}/**", "upstream": "app", "access": access, "strip_prefix": f"/{name}"}
            for name, access in ACCESS.items()
        ]
        role = {"roles": [{"role": "manager", "permission": "write"}]}
        routes.append({"path": "/manager/**", "upstream": "app", "access": role, "strip_prefix": "/manager"})
        now = f"/generation/{self.generation}"
        routes.append({"path": f"{now}/**", "upstream": "app", "access": "public", "strip_prefix": now})
        said: dict[str, Any] = {
            "public_url": PUBLIC_URL,
            "listen": {"address": f"{LOOPBACK}:{self.port}", "workers": WORKERS},
            "admin": {"address": f"{LOOPBACK}:{self.admin_port}"},
            "state": {"url": self.state},
            "log": {"access": "./access.log", "format": "json"},
            "cache": {"credentials": f"{20 + self.generation % 10}s"},
            "reload": {"watch": False},
            "upstreams": {"app": {"endpoints": [f"http://{LOOPBACK}:{self.service_port}"]}},
            "routes": routes,
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(said | more, sort_keys=False))

    @asynccontextmanager
    async def door(self) -> AsyncIterator[Door]:
        """The configuration as it is now; what it says of the store does not change."""
        said = self.folder / "door.yaml"
        said.write_bytes((self.folder / "config.yaml").read_bytes())
        async with Aside(partial(_store, said)) as aside:
            yield Door(aside)

    def start_service(self) -> None:
        command = [sys.executable, upstream.__file__, str(self.service_port)]
        self.service = self.stable.start("service", command, core=None)
        self.service.wait_until_open(self.service_port)

    def start_gateway(self) -> None:
        """Returns once every worker is ready."""
        command = [str(PROGRAM), "serve", "-c", str(self.folder / "config.yaml")]
        self.gateway = self.stable.start("gateway", command, core=None)
        self.gateway.wait_until_open(self.port)
        deadline = time.monotonic() + READY_SECONDS
        while (said := self.complaints()) or len(self.workers()) != WORKERS:
            if time.monotonic() > deadline:
                raise NotStartedError(f"the gateway is not ready: {said}: {self.gateway.last_words()}")
            time.sleep(0.02)

    def complaints(self) -> Sequence[str]:
        status, body = self.operate("/readyz", "GET")
        found = json.loads(body) if status in (200, 503) else {"reasons": [str(status)], "warnings": []}
        return [*found["reasons"], *found["warnings"]]

    def workers(self) -> list[int]:
        """Process numbers."""
        return sorted(self.gateway.family()[1:])

    def operate(self, path: str, method: str = "POST") -> tuple[int, bytes]:
        """Status and body of the admin listener's answer; 0 when nobody answers."""
        token = (self.folder / "var/admin.token").read_text().strip()
        asked = urllib.request.Request(self.admin + path, method=method, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError as error:
            return 0, str(error).encode()

    def gauges(self) -> Mapping[str, float]:
        """Samples of /metrics, by name and labels as they are written there."""
        lines = self.operate("/metrics", "GET")[1].decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def told(self) -> list[str]:
        """Lines of the application log so far."""
        return self.gateway.log.read_text(errors="replace").splitlines()
