"""The master key of a fleet is changed, as docs/keys.md has it, under callers: nobody gets a wrong answer."""

import asyncio
import base64
import json
import subprocess
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness.ports import free_port
from harness.postgres import Postgres
from sqlalchemy import func, select

from gateway.cli.shared import Session
from gateway.store.tables import data_key

from . import world
from .parts import LOOPBACK, Process, until
from .seeding import in_store, person
from .world import PROGRAM, Gateway, Home, Person, ask, bearer

SECRET = "correct horse battery"
BASE = "/_adm/beginners"
SETTLE = "3s"
LOGIN = json.dumps({"email": "carol@example.org", "password": SECRET}).encode()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(params=["sqlite", "postgresql"])
def said(request: pytest.FixtureRequest, service: int) -> dict[str, Any]:
    """A configuration over an empty database."""
    if request.param == "sqlite":
        return world.configuration({"app": service})
    server: Postgres = request.getfixturevalue("postgres")
    name = f"keys_{uuid.uuid4().hex}"
    asyncio.run(server.execute(f"CREATE DATABASE {name}"))
    return world.configuration({"app": service}, store={"url": server.url(name)})


@pytest.fixture
def home(said: dict[str, Any], tmp_path: Path) -> Home:
    """With Carol, who has a password and manages a tenant."""
    nobody = Person("", "", "")
    empty = Home(tmp_path, nobody, nobody, "", "")
    empty.configure(said)
    empty.told("init")
    create = [PROGRAM, "account", "create", "--email", "carol@example.org", "--password-stdin", "--json"]
    made = subprocess.run(create, cwd=tmp_path, input=SECRET, capture_output=True, text=True, check=True)
    carol = json.loads(made.stdout)["id"]
    tenant = empty.told("tenant", "create", "Acme")["id"]
    role = ("--account", carol, "--tenant", tenant, "--role", "manager")
    empty.told("role", "assign", *role, "--permission", "write")
    string = empty.told("connection-string", "create", *role, "--expires-at", "2036-01-01T00:00:00Z")

    async def work(session: Session) -> Person:
        return await person(session, await session.accounts.account(carol))

    return Home(tmp_path, in_store(empty, work), nobody, tenant, string["connectionString"])


class Callers:
    """One at each gateway: logs in, calls with the new token, an old one and a connection string, begins to enrol a
    factor that is sealed. wrong: what was not answered as it should be."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._done = threading.Event()
        self._urls: list[str] = []
        self._lock = threading.Lock()
        self.wrong: list[tuple[str, int, bytes]] = []
        self.rounds = 0
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def at(self, url: str) -> Iterator[None]:
        """While it runs."""
        with self._lock:
            self._urls.append(url)
        try:
            yield
        finally:
            with self._lock:
                self._urls.remove(url)

    def __enter__(self) -> "Callers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._done.wait(0.05):
            with self._lock:  # so that a gateway is not stopped in the middle of a call
                for url in self._urls:
                    self._round(url)
            self.rounds += 1

    def _round(self, url: str) -> None:
        answer = ask(f"{url}{BASE}/users/login", "POST", JSON, LOGIN)
        self._check("login", answer)
        if answer.status == 200:
            token = answer.json()["token"]
            self._check("token", ask(f"{url}/app/echo", headers=bearer(token)))
            self._check("enrol", ask(f"{url}{BASE}/users/totp/enable", "POST", bearer(token)))
        self._check("old token", ask(f"{url}/app/echo", headers=self._home.ada.headers))
        string = {world.CONNECTION_STRING: self._home.string}
        self._check("string", ask(f"{url}/manager/app/echo", headers=string))

    def _check(self, what: str, answer: world.Answer) -> None:
        if answer.status != 200:
            self.wrong.append((what, answer.status, answer.body))


class Fleet:
    """Two gateways over one database, replaced one after the other."""

    def __init__(self, home: Home, said: dict[str, Any], callers: Callers, stack: ExitStack) -> None:
        self._home = home
        self._said = said
        self._callers = callers
        self._stack = stack
        self._nodes: list[ExitStack] = []

    def configure(self, secrets: dict[str, Any]) -> None:
        self._said = {**self._said, "secrets": secrets}
        self._home.configure(self._said)

    def roll(self) -> None:
        """A new one, before an old one goes."""
        old, self._nodes = self._nodes, []
        for number in range(2):
            self._start()
            if old:
                old[number].close()

    def _start(self) -> None:
        ports = {name: self._said[name] | {"address": f"{LOOPBACK}:{free_port()}"} for name in ("listen", "admin")}
        folder = self._home.folder / f"node-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        stack = ExitStack()
        self._stack.push(stack)
        said = absolute({**self._said, **ports}, self._home.folder)
        node = Home(folder, self._home.ada, self._home.bob, self._home.tenant, self._home.string)
        gateway: Gateway = stack.enter_context(world.running(node, said))
        stack.enter_context(self._callers.at(gateway.url))
        self._nodes.append(stack)


def absolute(said: dict[str, Any], folder: Path) -> dict[str, Any]:
    """For a configuration in another folder."""
    found = dict(said)
    found["secrets"] = {name: {"file": str(folder / one["file"])} for name, one in said["secrets"].items()}
    found["admin"] = said["admin"] | {"token": {"file": str(folder / "var/admin.token")}}
    found.setdefault("store", {"url": f"sqlite:///{folder}/var/gateway.db"})
    return found


def rotate(home: Home) -> Sequence[str]:
    return [str(PROGRAM), "keys", "rotate", "--kind", "master", "--settle", SETTLE, "--json"]


@pytest.mark.timeout(300)  # six gateways are started
def test_the_master_key_of_a_fleet_is_changed(home: Home, said: dict[str, Any]) -> None:
    """A first try is killed while it waits. Every answer is right, and at the end the old key is worth nothing."""
    old, new = {"file": "var/master.key"}, {"file": "var/new.key"}
    (home.folder / "var/new.key").write_text(base64.b64encode(bytes(range(1, 33))).decode())
    with ExitStack() as stack:
        callers = stack.enter_context(Callers(home))
        fleet = Fleet(home, said, callers, stack)
        fleet.configure({"master_key": old})
        fleet.roll()
        fleet.configure({"master_key": new, "previous_master_key": old})
        fleet.roll()
        with Process(rotate(home), home.folder, "killed") as first:
            until(lambda: versions(home) == 2, "that it has begun")
            first.kill()
        done = subprocess.run(rotate(home), cwd=home.folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert callers.wrong == []
        assert json.loads(done.stdout)["reencrypted"] >= 3  # what callers wrote meanwhile is sealed with the new one
        fleet.configure({"master_key": new})
        fleet.roll()
        before = callers.rounds
        until(lambda: callers.rounds > before + 3, "that callers go on")
    assert callers.wrong == []
    assert callers.rounds > 20
    home.configure({**said, "secrets": {"master_key": old}})
    refused = home.run("keys", "list")
    assert (refused.returncode, "secrets.master_key does not open" in refused.stderr) == (3, True)


def versions(home: Home) -> int:
    """Of data keys."""

    async def work(session: Session) -> int:
        async with session.store.changes().database.reading() as connection:
            return int((await connection.execute(select(func.count()).select_from(data_key))).scalar_one())

    return in_store(home, work)
