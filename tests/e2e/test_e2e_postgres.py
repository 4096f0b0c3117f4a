"""The gateway over PostgreSQL: made and looked after by its command line, logged in to, and what happens without it."""

import asyncio
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.postgres import PASSWORD, Postgres
from harness.postgres import running as serving

from . import world
from .parts import until
from .seeding import licensed
from .world import PROGRAM, Answer, Gateway, Home, Person

LOGIN = "/_adm/beginners/users/login"
SECRET = "correct horse battery"
BRIEFLY = 5.0  # seconds


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that may be stopped."""
    with serving(synchronous_commit="on") as server:
        yield server


@pytest.fixture
def said(own: Postgres, service: int) -> dict[str, Any]:
    name = f"gateway_{uuid.uuid4().hex}"
    asyncio.run(own.execute(f"CREATE DATABASE {name}"))
    store = {"url": own.tcp_url(name), "password": {"file": "var/database.password"}}
    return world.configuration({"app": service}, store=store)


@pytest.fixture
def home(said: dict[str, Any], tmp_path: Path) -> Home:
    """Everything by the command line, from an empty database."""
    nobody = Person("", "", "")
    empty = Home(tmp_path, nobody, nobody, "", "")
    (tmp_path / "var").mkdir()
    (tmp_path / "var/database.password").write_text(f"{PASSWORD}\n")
    empty.configure(said)
    assert empty.told("init")["revision"] == empty.told("migrate")["to"]
    create = [PROGRAM, "account", "create", "--email", "ada@example.org", "--password-stdin", "--json"]
    made = subprocess.run(create, cwd=tmp_path, input=SECRET, capture_output=True, text=True, check=True)
    ada = json.loads(made.stdout)["id"]
    tenant = empty.told("tenant", "create", "Acme")["id"]
    role = ("--account", ada, "--tenant", tenant, "--role", "manager")
    empty.told("role", "assign", *role, "--permission", "write")
    string = empty.told("connection-string", "create", *role, "--expires-at", "2036-01-01T00:00:00Z")
    bob = licensed(empty, 1, "bob")
    return Home(tmp_path, Person(ada, "", ""), bob, tenant, string["connectionString"])


def log_in(gateway: Gateway) -> Answer:
    body = json.dumps({"email": "ada@example.org", "password": SECRET}).encode()
    return gateway.ask(LOGIN, "POST", {"Content-Type": "application/json"}, body)


def get(gateway: Gateway, token: str, path: str = "/app/echo") -> Answer:
    return gateway.ask(path, headers=world.bearer(token))


def test_a_gateway_outlives_its_database(own: Postgres, home: Home, said: dict[str, Any]) -> None:
    """Callers that it knows go on, strangers get 503 and never pass, and it recovers by itself."""
    with world.running(home, said) as gateway:
        token = log_in(gateway).json()["token"]
        assert get(gateway, token).status == 200
        assert gateway.ask("/manager/app/echo", headers={world.CONNECTION_STRING: home.string}).status == 200
        own.stop()
        try:
            found = [
                get(gateway, token),
                get(gateway, home.bob.token),
                log_in(gateway),
                gateway.ask("/public/app/echo"),
            ]
            ready = world.ask(f"{gateway.admin}/readyz")
            done = home.run("account", "list")
        finally:
            own.start()
        assert [answer.status for answer in found] == [200, 503, 503, 200]
        assert (found[1].code, found[1].headers["Retry-After"]) == ("store_unavailable", "1")
        assert (ready.status, ready.json()["warnings"]) == (200, ["shared_store_unavailable"])  # all copies would go
        assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
        until(lambda: get(gateway, home.bob.token).status == 200, "that it recovers", BRIEFLY)
        until(lambda: not world.ask(f"{gateway.admin}/readyz").json()["warnings"], "that it is whole again", BRIEFLY)
        assert log_in(gateway).status == 200
        home.told("grant", "revoke", home.bob.grant)
        until(lambda: get(gateway, home.bob.token).status == 401, "that revocations are obeyed", BRIEFLY)
        assert PASSWORD not in gateway.process.complained() + done.stderr


def test_workers_bring_the_database_up_to_date_with_its_password(home: Home, said: dict[str, Any]) -> None:
    """`serve --migrate` with several of them; the first does it."""
    shared = {**said, "listen": said["listen"] | {"workers": 2}, "state": {"url": "redis://127.0.0.1:1"}}
    with world.running(home, shared, options=("--migrate",)) as gateway:
        assert get(gateway, home.bob.token).status == 200
