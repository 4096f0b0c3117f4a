"""S-25: whatever takes a permit away ends the WebSockets and the event streams that stand on it, while nobody does
anything to them. How soon is measured by `python -m bench.soak`: here the machine is busy with other tests.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from edge.test_tunnel import HANDSHAKE, SWITCH
from harness.client import Client, request
from harness.people import open_people, revoke, rotate_by_force
from harness.site import Running, Site
from harness.upstream import Line
from identity.core.desk import ADA, PASSWORD, Desk, bearer, phc

from gateway.clock import Clock
from gateway.edge.tunnel import close_frame
from gateway.identity.accounts import Accounts

PATIENCE = 20  # seconds: less than any time after which a quiet connection ends by itself
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n"


async def _serve(line: Line) -> None:
    got = await line.request()
    line.send(SWITCH if got.all(b"upgrade") else STREAM)
    await line.gone()


async def _accounts(running: Running, work: Callable[[Accounts], Awaitable[object]]) -> None:
    """As a command does it, from another process."""
    store = await open_people(running.people)
    try:
        await work(Accounts(store.accounts, store.tenants, store.roles, Clock()))
    finally:
        await store.aclose()


Way = Callable[[Desk, str], Awaitable[object]]


async def logout(desk: Desk, token: str) -> object:
    return await desk.done("POST", "users/logout", token=token)


async def end_session(desk: Desk, token: str) -> object:
    other = await desk.login(ADA)
    found = await desk.done("GET", "sessions", token=token)
    (mine,) = (session["id"] for session in found if session["current"])
    return await desk.done("DELETE", f"sessions/{mine}", token=other)


async def end_others(desk: Desk, token: str) -> object:
    return await desk.done("DELETE", "sessions", token=await desk.login(ADA))


async def new_password(desk: Desk, token: str) -> object:
    said = {"currentPassword": PASSWORD, "newPassword": "another horse battery"}
    return await desk.done("PUT", "users/password", said, await desk.login(ADA))


async def by_command(desk: Desk, token: str) -> object:
    return await revoke(desk.running.people, json.loads(_payload(token))["sid"])


async def expiry(desk: Desk, token: str) -> object:
    desk.running.hand.ahead += 2 * 86_400
    return None


async def disabled(desk: Desk, token: str) -> object:
    account = desk.running.people.ada.account_id
    return await _accounts(desk.running, lambda accounts: accounts.disable(account))


async def role_gone(desk: Desk, token: str) -> object:
    people = desk.running.people
    account, tenant = people.ada.account_id, people.tenant_id
    return await _accounts(desk.running, lambda accounts: accounts.remove_role(account, tenant, "manager"))


async def keys_dropped(desk: Desk, token: str) -> object:
    return await rotate_by_force(desk.running.people)


def _payload(token: str) -> bytes:
    import base64

    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


WAYS = {
    "logout": logout,
    "end of the session": end_session,
    "end of all others": end_others,
    "password": new_password,
    "command": by_command,
    "expiry": expiry,
    "disabled account": disabled,
    "role": role_gone,
    "keys": keys_dropped,
}


async def _seat(site: Site) -> Desk:
    upstream = await site.upstream(_serve)
    running = await site.gateway(upstream, mail={"url": "file:./outbox"})
    desk = Desk(site, running, upstream)
    site._closers.append(desk.quiet)
    store = await open_people(running.people)
    try:
        await store.changes().accounts.set_password(running.people.ada.account_id, phc(), None, None)
    finally:
        await store.aclose()
    return desk


async def _opened(desk: Desk, what: str, field: bytes) -> Client:
    client = await desk.site.client(desk.running)
    await client.send(request("/roles/x", *(HANDSHAKE if what == "websocket" else ()), field))
    assert (await client.head()).status == (101 if what == "websocket" else 200)
    if what != "websocket":
        await client.exactly(len(b"5\r\nevent\r\n"))
    return client


@pytest.mark.parametrize("what", ["websocket", "event stream"])
@pytest.mark.parametrize("way", WAYS)
async def test_s25_it_ends_with_its_permit(site: Site, way: str, what: str) -> None:
    """A WebSocket with a Close frame (1008), an event stream without its last chunk; and its upstream sees the end."""
    desk = await _seat(site)
    token = await desk.login(ADA)
    client = await _opened(desk, what, bearer(token))
    line = await desk.upstream.line(1)
    await WAYS[way](desk, token)
    rest = await asyncio.wait_for(client.rest(), PATIENCE)
    assert rest == (close_frame(1008) if what == "websocket" else b"")
    await asyncio.wait_for(line.ended.wait(), PATIENCE)
    status = (await desk.call("GET", "/roles/x", token=token)).status
    assert status == (403 if way == "role" else 401)
