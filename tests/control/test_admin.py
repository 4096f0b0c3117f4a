"""The admin listener: what is open, what wants the token, and under which names it answers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from harness.kept import Kept
from pytest_aiohttp.plugin import AiohttpClient

from gateway.control import admin
from gateway.control.admin import AdminAccess, host_allowed
from gateway.identity.audit import Event, Scope, scope
from gateway.ops.health import Readiness
from gateway.ops.question import Question

TOKEN = "the-admin-token"
FAULT = {"file": "config.yaml", "line": 3, "column": 1, "code": "unknown_key", "message": "no such key"}


@dataclass
class Operated:
    """Answers as it is told, and keeps what was asked of it."""

    found: Readiness = field(default_factory=Readiness)
    faults: Sequence[Mapping[str, object]] = ()
    done: list[str] = field(default_factory=list)

    async def readiness(self) -> Readiness:
        return self.found

    async def reload(self) -> Sequence[Mapping[str, object]]:
        self.done.append("reload")
        return self.faults

    async def purge(self) -> None:
        self.done.append("purge")

    async def explain(self, question: Question) -> Mapping[str, object]:
        return question.as_json()

    def metrics(self) -> bytes:
        return b"up 1\n"


@pytest.fixture
def operated() -> Operated:
    return Operated()


class Refused:
    """What the audit trail is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Event, Scope]] = []

    def refused(self, event: Event) -> None:
        self.events.append((event, scope()))


@pytest.fixture
def refused() -> Refused:
    return Refused()


@pytest.fixture
def access() -> list[AdminAccess]:
    """One element, which a test may replace while the listener runs."""
    return [AdminAccess(TOKEN.encode(), frozenset({"gateway.internal"}))]


@pytest.fixture
async def client(
    aiohttp_client: AiohttpClient, operated: Operated, access: list[AdminAccess], refused: Refused
) -> TestClient:  # type: ignore[type-arg]
    return await aiohttp_client(admin.build(operated, lambda: access[0], Kept(), refusals=refused))


async def ask(client, method: str, path: str, token: str | None = TOKEN, host: str | None = None) -> ClientResponse:
    fields = {"Authorization": f"Bearer {token}"} if token is not None else {}
    if host is not None:
        fields["Host"] = host
    return await client.request(method, path, headers=fields)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/none"])
async def test_no_answer_names_the_server_software(client, path: str) -> None:
    """Its version would tell an attacker what to try."""
    assert "Server" not in (await ask(client, "GET", path)).headers


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_and_a_collector_on_loopback_need_no_token(client, path: str) -> None:
    """They have none."""
    assert (await ask(client, "GET", path, None)).status == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/reload"), ("POST", "/purge"), ("GET", "/reload"), ("GET", "/nowhere")]
)
@pytest.mark.parametrize(
    ("token", "code"), [(None, "no_credential"), ("wrong", "invalid_credential"), ("", "invalid_credential")]
)
async def test_all_else_wants_the_token(client, operated: Operated, method, path, token, code) -> None:
    """From loopback too, and for paths and methods that do not exist."""
    answer = await ask(client, method, path, token)
    assert (answer.status, (await answer.json())["code"], operated.done) == (401, code, [])


async def test_without_a_configured_token_nobody_has_it(client, operated: Operated, access) -> None:
    """An empty bearer is not equal to an absent token."""
    access[0] = AdminAccess(None)
    assert ((await ask(client, "POST", "/purge", "")).status, operated.done) == (401, [])


async def test_a_changed_token_counts_at_once(client, access) -> None:
    """A reload of the configuration needs no restart of the listener."""
    access[0] = AdminAccess(b"another")
    statuses = [(await ask(client, "POST", "/purge", token)).status for token in (TOKEN, "another")]
    assert statuses == [401, 200]


async def test_another_scheme_is_not_the_token(client) -> None:
    """`Basic` before the right bytes is wrong."""
    assert (await client.post("/purge", headers={"Authorization": f"Basic {TOKEN}"})).status == 401


async def test_purge_forgets(client, operated: Operated) -> None:
    """With the token."""
    answer = await ask(client, "POST", "/purge")
    assert (answer.status, await answer.json(), operated.done) == (200, {"purged": True}, ["purge"])


async def test_a_reload_that_went_well_says_so(client) -> None:
    """200 and no faults."""
    answer = await ask(client, "POST", "/reload")
    assert (answer.status, await answer.json()) == (200, {"reloaded": True, "faults": []})


async def test_a_reload_that_was_refused_tells_every_fault(client, operated: Operated) -> None:
    """422: the old configuration still runs."""
    operated.faults = [FAULT]
    answer = await ask(client, "POST", "/reload")
    assert (answer.status, await answer.json()) == (422, {"reloaded": False, "faults": [FAULT]})


async def test_a_copy_that_is_not_ready_says_why(client, operated: Operated) -> None:
    """503 with the reasons; a warning alone does not take it out of service."""
    operated.found = Readiness(("draining",), ("upstream_unreachable: orders",))
    answer = await ask(client, "GET", "/readyz", None)
    body = {"ready": False, "reasons": ["draining"], "warnings": ["upstream_unreachable: orders"]}
    assert (answer.status, await answer.json()) == (503, body)


async def test_a_copy_with_warnings_is_ready(client, operated: Operated) -> None:
    """200: what hits every copy alike takes none out."""
    operated.found = Readiness((), ("upstream_unreachable: orders",))
    assert (await ask(client, "GET", "/readyz", None)).status == 200


async def test_metrics_are_the_exposition(client) -> None:
    """Its bytes and its media type."""
    answer = await ask(client, "GET", "/metrics", None)
    assert (await answer.read(), answer.content_type) == (b"up 1\n", "text/plain")


async def test_another_method_is_405_with_allow(client) -> None:
    """Told to who has the token."""
    answer = await ask(client, "GET", "/reload")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/purge"])
async def test_a_name_that_is_not_listed_is_misdirected(client, path: str) -> None:
    """A page that has rebound its name to loopback gets nothing, not even of what is open."""
    answer = await ask(client, "GET", path, host="evil.example")
    assert (answer.status, (await answer.json())["code"]) == (421, "misdirected")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:9901", True),
        ("10.1.2.3:9901", True),
        ("[::1]", True),
        ("[::1]:9901", True),
        ("localhost", True),
        ("LOCALHOST:9901", True),
        ("localhost.", True),
        ("gateway.internal:9901", True),
        ("Gateway.Internal", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("gateway.internal.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("[evil.example]", False),
        ("127.0.0.1:port", False),
        ("127.0.0.1:123456", False),
        ("::1", False),
        ("127.1", False),
        ("", False),
        (":9901", False),
    ],
)
def test_the_host_is_an_address_localhost_or_a_listed_name(host: str, allowed: bool) -> None:
    """Both sides of the rule."""
    assert host_allowed(host, frozenset({"gateway.internal"})) is allowed


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"200"),  # a balancer's probe
        (b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n", b"400"),
    ],
)
async def test_only_http_1_0_may_leave_the_host_out(client, head: bytes, status: bytes) -> None:
    """RFC 9112 section 3.2."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(head)
    line = await reader.readline()
    writer.close()
    assert line.split()[1] == status


def test_the_token_is_not_in_a_repr() -> None:
    """A settings object in a log line is how tokens leak."""
    assert TOKEN not in repr(AdminAccess(TOKEN.encode()))


@pytest.mark.parametrize(("token", "reason"), [(None, "no_credential"), ("guessed", "invalid_credential")])
async def test_a_call_without_the_token_is_told(client, refused: Refused, token: str | None, reason: str) -> None:
    """Whoever guesses it is found in the audit trail."""
    assert (await ask(client, "POST", "/purge", token)).status == 401
    [(event, by)] = refused.events
    assert (event.kind, event.outcome, event.reason) == ("admin_refused", "refused", reason)
    assert (by.actor, by.address) == ("anonymous", "127.0.0.1")


async def test_a_call_with_the_token_is_not_told_as_refused(client, refused: Refused) -> None:
    """Nor one that wants none."""
    await ask(client, "POST", "/purge")
    await ask(client, "GET", "/healthz", None)
    assert refused.events == []
