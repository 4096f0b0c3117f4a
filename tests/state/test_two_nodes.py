"""Two gateways over one store and one Redis: what is changed at A, B obeys at once, and what is open there ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from edge.test_tunnel import HANDSHAKE, SWITCH
from harness.client import Client, request
from harness.people import open_people
from harness.redis import Server, Servers, until_async
from harness.site import ROUTES, Running, Site
from harness.upstream import OK, Line, Upstream
from identity.core.desk import Desk, bearer

from gateway.app.opening import StartFailed
from gateway.clock import Clock
from gateway.edge.tunnel import close_frame
from gateway.identity.accounts import Accounts
from gateway.identity.grants import Grants
from gateway.identity.model import Factor
from gateway.state.channel import LOOKS_APART

pytestmark = pytest.mark.usefixtures("patient")

BUSY = 10.0  # seconds: by then nobody obeys any more. How long it took is printed, and the soak holds on to the promise


async def service(line: Line) -> None:
    """A WebSocket, a stream without an end, or ok."""
    while got := await line.request():
        if b"upgrade" in got.names:
            line.send(SWITCH)
            await line.gone()
        elif got.target.endswith(b"/stream"):
            line.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
            await line.gone()
        else:
            line.send(OK)


@dataclass
class Fleet:
    """Ada is known to both nodes, and has a WebSocket and a stream open at B."""

    site: Site
    server: Server
    upstream: Upstream
    a: Running
    b: Running
    client: Client
    socket: Client
    stream: Client

    @property
    def looks(self) -> int:
        """Of B, because of news, that have ended."""
        assert self.b.gateway.shared is not None
        return self.b.gateway.shared.looks

    async def ask(self, path: str = "/secure/x") -> int:
        """At B."""
        return (await self.client.ask(path, self.a.people.ada.field)).status

    async def obeyed(self, change: Callable[[], Awaitable[object]], status: int, path: str = "/secure/x") -> None:
        """After the change at A: B is told, and obeys with its next look: it refuses, and ends what is open.

        Prints how long that took, from before the change.
        """
        looks, began = self.looks, time.monotonic()
        await change()
        await until_async(lambda: self.looks > looks, "news at B")
        found = await self.ask(path)
        took = time.monotonic() - began
        assert found == status
        assert took < BUSY
        assert await asyncio.wait_for(self.socket.rest(), 5) == close_frame(1008)
        await asyncio.wait_for(self.stream.rest(), 5)
        print(f"B obeyed {took * 1000:.1f} ms after the change at A")


async def told(a: Running) -> None:
    """As every change that is made through A ends."""
    await a.gateway._changed(None)


async def opened(site: Site, running: Running) -> tuple[Client, Client]:
    """Ada's WebSocket and her stream without an end."""
    socket, stream = [await site.client(running) for _ in range(2)]
    await socket.send(request("/secure/ws", *HANDSHAKE, running.people.ada.field))
    assert (await socket.head()).status == 101
    await stream.send(request("/secure/stream", running.people.ada.field))
    assert (await stream.head()).status == 200
    assert await stream.exactly(6) == b"1\r\nx\r\n"
    return socket, stream


MFA = {"path": "/mfa/**", "access": {"kind": "protected", "mfa": "required"}}


async def fleet(site: Site, servers: Servers) -> Fleet:
    server = servers.single()
    upstream = await site.upstream(service)
    routes = [*ROUTES, MFA]
    a = await site.gateway(upstream, state={"url": server.url}, routes=routes, mail={"url": "file:./outbox"})
    folder = a.config.parent
    of_a = {"store": {"url": f"sqlite:///{folder}/gateway.db"}, "mail": {"url": f"file:{folder}/outbox"}}
    b = await site.gateway(upstream, state={"url": server.url}, routes=routes, **of_a)
    await until_async(lambda: a.gateway.shared.subscribed and b.gateway.shared.subscribed, "subscriptions")  # type: ignore[union-attr]
    await until_async(lambda: a.gateway.shared.looks and b.gateway.shared.looks, "first looks")  # type: ignore[union-attr]
    field = a.people.ada.field
    client = await site.client(b)
    socket, stream = await opened(site, b)
    at_a = await site.client(a)
    assert (await at_a.ask("/secure/x", field)).status == 200
    made = Fleet(site, server, upstream, a, b, client, socket, stream)
    assert await made.ask() == 200
    return made


async def test_a_revoked_grant(site: Site, servers: Servers) -> None:
    """401, and nothing of it stays open."""
    made = await fleet(site, servers)
    store = await open_people(made.a.people)

    async def change() -> None:
        await Grants(store.grants, store.keys, Clock()).revoke(made.a.people.ada.grant_id)
        await told(made.a)

    await made.obeyed(change, 401)
    await store.aclose()


@pytest.mark.parametrize("what", ["disabled", "role"])
async def test_a_changed_account(site: Site, servers: Servers, what: str) -> None:
    """A disabled one is refused; one that lost its role is asked for anew, on the next request and the next socket."""
    made = await fleet(site, servers)
    people = made.a.people
    store = await open_people(people)
    accounts = Accounts(store.accounts, store.tenants, store.roles, Clock())
    at_b = await site.client(made.b)
    assert (await at_b.ask("/roles/x", people.ada.field)).status == 200

    async def change() -> None:
        if what == "disabled":
            await accounts.disable(people.ada.account_id)
        else:
            await accounts.remove_role(people.ada.account_id, people.tenant_id, "manager", "write")
        await told(made.a)

    await made.obeyed(change, 401 if what == "disabled" else 200)
    assert (await at_b.ask("/roles/x", people.ada.field)).status == (401 if what == "disabled" else 403)
    await store.aclose()


async def test_a_logout(site: Site, servers: Servers) -> None:
    """Through A's own endpoint, as people do it."""
    made = await fleet(site, servers)
    at_a = await site.client(made.a)

    async def change() -> None:
        answer = await at_a.ask("/_adm/beginners/users/logout", made.a.people.ada.field, method="POST", body=b"")
        assert answer.status in (200, 204), answer

    await made.obeyed(change, 401)


@pytest.mark.parametrize("raised", [True, False])
async def test_what_a_session_proves(site: Site, servers: Servers, raised: bool) -> None:
    """A second factor that was confirmed at A is believed at B at once; one that was taken away is not any more."""
    made = await fleet(site, servers)
    ada = made.a.people.ada
    store = await open_people(made.a.people)
    factors, clock = store.changes().factors, Clock()
    pending = Factor(clock.uuid4(), ada.account_id, "A" * 32, expires_at=clock.now() + 60)
    await factors.begin(pending)
    if not raised:
        assert await factors.confirm(pending, 1, [b"code"], ada.grant_id, None)
        looks = made.looks
        await told(made.a)
        await until_async(lambda: made.looks > looks, "news at B")
    assert await made.ask("/mfa/x") == (403 if raised else 200)
    if not raised:  # what was open ended with the first change
        made.socket, made.stream = await opened(site, made.b)

    async def change() -> None:
        if raised:
            assert await factors.confirm(pending, 1, [b"code"], ada.grant_id, None)
        else:
            await factors.remove(ada.account_id, ada.grant_id, None)
        await made.a.gateway._changed(ada.grant_id)

    await made.obeyed(change, 200 if raised else 403, "/mfa/x")
    await store.aclose()


async def test_a_lifted_session(site: Site, servers: Servers) -> None:
    """A login that waits for its second factor is refused at B; given at A, the token that it has is good at B."""
    made = await fleet(site, servers)
    desk = Desk(site, made.a, made.upstream)
    await desk.give_password("ada@example.org")
    app, _ = await desk.enrol(await desk.login("ada@example.org"))
    made.b.hand.ahead = made.a.hand.ahead
    pending = await desk.login("ada@example.org")
    at_b = await site.client(made.b)
    refused = await at_b.ask("/secure/x", bearer(pending))
    assert (refused.status, refused.code) == (401, "mfa_required")
    looks, began = made.looks, time.monotonic()
    await desk.done("POST", "users/totp/check-token", {"token": app.code()}, pending)
    await until_async(lambda: made.looks > looks, "news at B")
    while (await at_b.ask("/secure/x", bearer(pending))).status != 200:  # a look for the enrolment may come between
        assert made.looks <= looks + 2
        assert time.monotonic() - began < BUSY
    await desk.quiet()


async def test_news_that_nobody_hears_cost_the_time_of_a_poll(site: Site, servers: Servers) -> None:
    """Redis is dead: B polls the table twice a second, and A's change waits for nothing."""
    made = await fleet(site, servers)
    made.server.kill()
    store = await open_people(made.a.people)
    began = time.monotonic()
    await Grants(store.grants, store.keys, Clock()).revoke(made.a.people.ada.grant_id)
    await told(made.a)
    while await made.ask() != 401:
        assert time.monotonic() - began < BUSY
    print(f"B obeyed {(time.monotonic() - began) * 1000:.1f} ms after the change at A, without Redis")
    assert await asyncio.wait_for(made.socket.rest(), 5) == close_frame(1008)
    await store.aclose()


async def test_a_flood_of_forged_news_costs_few_looks(site: Site, servers: Servers) -> None:
    """Garbage, a thousand times: no more than five looks a second, and nobody is refused by it."""
    made = await fleet(site, servers)
    shared = made.b.gateway.shared
    assert shared is not None
    before, began = shared.looks, time.monotonic()
    garbage = b"\xff\x00{revoke: all}"
    for _ in range(1000):
        await shared._link.client.publish(shared._names.channel, garbage)
    await until_async(lambda: shared.looks > before, "a look")
    assert shared.looks - before <= (time.monotonic() - began) / LOOKS_APART + 2
    assert await made.ask() == 200


async def test_a_subscription_that_breaks_is_made_again_with_a_look(site: Site, servers: Servers) -> None:
    """What was published meanwhile was not heard."""
    made = await fleet(site, servers)
    shared = made.b.gateway.shared
    assert shared is not None
    looks = shared.looks
    made.server.cli("CLIENT", "KILL", "TYPE", "pubsub")
    await until_async(lambda: shared.looks > looks, "a look after the subscription")


async def test_unready_is_nobody_while_redis_is_away(site: Site, servers: Servers) -> None:
    """It is a warning, one line in the log and a metric; and they say when it is back."""
    made = await fleet(site, servers)
    gateway = made.a.gateway
    shared = gateway.shared
    assert shared is not None
    made.server.kill()
    await shared.counters.knows("x", "y")
    assert (await gateway.readiness()).reasons == ()
    assert (await gateway.readiness()).warnings == ("state_unavailable",)
    assert b"gateway_state_up 0.0" in gateway.metrics()
    made.server.start()
    await until_async(lambda: shared.alive and shared.subscribed, "Redis again")
    assert (await gateway.readiness()).warnings == ()
    assert b"gateway_state_up 1.0" in gateway.metrics()
    assert b"gateway_state_outages_total 1.0" in gateway.metrics()
    lines = [event for level, event, _ in made.a.log.lines if "shared state" in event]
    assert lines == [
        "the shared state is away: limits count in this process, news are polled",
        "the shared state is back",
    ]


async def test_a_user_without_rights_to_channels_is_warned_of(site: Site, servers: Servers) -> None:
    """Limits are shared and the server is up; news are polled, which nobody would see otherwise."""
    site.expected_errors = True
    server = servers.single()
    server.cli("ACL", "SETUSER", "default", "resetchannels")
    running = await site.gateway(await site.upstream(), state={"url": server.url})
    shared = running.gateway.shared
    assert shared is not None
    await until_async(lambda: shared.unheard, "a refusal")
    assert await running.warnings() == ("state_unsubscribed",)
    metrics = running.gateway.metrics()
    assert (b"gateway_state_up 1.0" in metrics, b"gateway_state_subscribed 0.0" in metrics) == (True, True)
    await running.gateway._changed(None)
    assert (shared.alive, shared.outages) == (True, 0)


async def test_a_wrong_password_ends_the_start(site: Site, servers: Servers, tmp_path: Path) -> None:
    """With a word why: no limit per process for ever."""
    server = servers.single("--requirepass", "s3cret")
    (tmp_path / "password").write_text("other")
    state = {"url": server.url, "password": {"file": str(tmp_path / "password")}}
    with pytest.raises(StartFailed, match=r"Redis refuses .* state\.password"):
        await site.gateway(await site.upstream(), state=state)


async def test_another_server_takes_a_restart(site: Site, servers: Servers) -> None:
    """A reload that names one is refused, at its place."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, state={"url": servers.single().url})
    running.write(site.said(upstream, state={"url": "memory"}))
    site.expected_errors = True
    (fault,) = await running.gateway.reload()
    assert (fault["code"], fault["message"]) == ("needs_restart", "state.url changes only with a restart")


async def test_a_start_does_not_need_redis(site: Site, servers: Servers) -> None:
    """It is a warning from the first moment, and found later."""
    server = servers.single()
    server.kill()
    running = await site.gateway(await site.upstream(), state={"url": server.url})
    assert await running.warnings() == ("state_unavailable",)
    server.start()
    shared = running.gateway.shared
    assert shared is not None
    await until_async(lambda: shared.alive and shared.subscribed, "Redis")


async def test_a_forwarded_request_asks_redis_nothing(site: Site, servers: Servers) -> None:
    """Two hundred of them, and the first of a credential too."""
    made = await fleet(site, servers)
    before = commands(made.server)
    for who in (made.a.people.ada, made.a.people.bob):
        for _ in range(100):
            assert (await made.client.ask("/auth/x", who.field)).status == 200
    assert commands(made.server) - before < 10  # the question itself, and a ping of a subscriber


def commands(server: Server) -> int:
    words = server.cli("INFO", "stats")
    return int(next(line for line in words.splitlines() if line.startswith("total_commands_processed")).split(":")[1])
