"""What one load of the configuration leaves to the next: nothing that was voided, and nothing open."""

import asyncio
import base64
import gc
import json
import os
import weakref
from typing import Any

import pytest
from harness.client import request
from harness.people import People, api_key, open_people, revoke
from harness.site import Running, Site, until
from harness.upstream import OK, Line, Upstream

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.keys import Keys
from gateway.settings.load import Loaded

ISSUER = {"name": "acme", "issuer": "http://127.0.0.1:1", "audiences": ["a"], "algorithms": ["RS256"]}


def signed_with(upstream: Upstream) -> object:
    """The `kid` of the last assertion that an upstream was sent."""
    head = upstream.requests[-1].one(b"x-mycelium-assertion").split(b".")[0]
    return json.loads(base64.urlsafe_b64decode(head + b"=="))["kid"]


async def published(site: Site, running: Running) -> set[object]:
    client = await site.client(running)
    answer = await client.ask("/.well-known/jwks.json")
    return {key["kid"] for key in json.loads(answer.body)["keys"]}


async def replace_keys(people: People) -> None:
    """As `gateway keys rotate --force` does it, from another process."""
    store = await open_people(people)
    try:
        await Keys(store.keys, Clock()).rotate_signing("EdDSA", force=True)
    finally:
        await store.aclose()


async def test_a_void_key_signs_nothing_more(site: Site) -> None:
    """Also where the caller's own credential, an opaque token, needs no key of ours."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    field = await api_key(running.people)
    client = await site.client(running)
    await client.ask("/secure/x", field)
    old = signed_with(upstream)
    await replace_keys(running.people)
    await asyncio.sleep(1.0)
    assert (await client.ask("/secure/x", field)).status == 200
    assert signed_with(upstream) != old
    assert signed_with(upstream) in await published(site, running)


async def test_a_purge_reads_the_keys_again(site: Site) -> None:
    """At once: the operator need not wait for the poll."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.ask("/secure/x", running.people.ada.field)
    old = signed_with(upstream)
    field = await api_key(running.people)
    await running.gateway.poll.aclose()
    await replace_keys(running.people)
    await running.gateway.purge()
    await client.ask("/secure/x", field)
    assert signed_with(upstream) != old


async def test_a_generation_that_goes_is_purged_too(site: Site) -> None:
    """A request that waited in the queue goes by the old one, and its credential was revoked meanwhile."""
    release = asyncio.Event()

    async def script(line: Line) -> None:
        while True:
            got = await line.request()
            if got.target == b"/public/slow":
                await release.wait()
            line.send(OK)

    running = await site.gateway(await site.upstream(script))
    ada = running.people.ada
    client = await site.client(running)
    await client.ask("/auth/warm", ada.field)
    await client.send(request("/public/slow"), request("/auth/late", ada.field))
    await asyncio.sleep(0.1)
    await running.gateway.reload()
    await revoke(running.people, ada.grant_id)
    await asyncio.sleep(1.0)
    release.set()
    assert ((await client.answer()).status, (await client.answer()).status) == (200, 401)


async def test_a_generation_that_goes_forgets_what_it_verified(site: Site) -> None:
    """A tunnel may keep it for days."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    await client.ask("/auth/x", running.people.ada.field)
    old = running.gateway.core
    before = old.authenticator.entries
    await running.gateway.reload()
    assert (before, old.authenticator.entries) == (1, 0)


async def test_a_generation_that_nothing_uses_is_freed(site: Site) -> None:
    """Also where our own application has answered for it: else each reload would cost its whole size, for ever."""
    running = await site.gateway(await site.upstream())
    client, old = await site.client(running), weakref.ref(running.gateway.core)
    assert (await client.ask("/.well-known/jwks.json")).status == 200
    await running.gateway.reload()
    assert (await client.ask("/.well-known/jwks.json")).status == 200  # a connection remembers its last request

    def gone() -> bool:
        gc.collect()
        return old() is None

    await until(gone)


def refused(faults: Any) -> list[str]:
    return [fault["code"] for fault in faults]


async def test_a_refused_reload_leaves_nothing_open(site: Site) -> None:
    """Neither a refresh of keys that nobody asks for, nor a connection to the built-in application."""
    site.expected_errors = True
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    (running.people.folder / "full").mkdir()
    said = site.said(upstream, issuers=[{**ISSUER, "jwks_url": "http://127.0.0.1:1/k"}], log={"access": "./full"})
    running.write(said)
    codes = [refused(await running.gateway.reload())]  # with the first come the connections of the store
    tasks, files = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
    codes += [refused(await running.gateway.reload()) for _ in range(4)]
    assert codes == [["reload_failed"]] * 5
    await until(lambda: len(asyncio.all_tasks()) <= tasks and len(os.listdir("/proc/self/fd")) < files + 4)
    assert running.gateway.reloads == {"done": 0, "refused": 5}


async def test_a_refused_reload_leaves_no_counts(site: Site) -> None:
    """Of a limit that does not hold; those that do go on."""
    site.expected_errors = True
    upstream = await site.upstream()
    path = {"path": "/public/**", "access": "public"}
    rates = [{"by": "route", "at_most": 2, "in": window} for window in ("1d", "7d")]
    running = await site.gateway(upstream, routes=[{**path, "limits": {"rate": rates[:1]}}])
    client = await site.client(running)
    await client.ask()
    (running.people.folder / "full").mkdir()
    running.write(site.said(upstream, routes=[{**path, "limits": {"rate": rates}}], log={"access": "./full"}))
    assert refused(await running.gateway.reload()) == ["reload_failed"]
    assert [table.part * 10 for table in running.gateway.counts.tables] == [86400.0]
    assert [(await client.ask()).status for _ in range(2)] == [200, 429]


async def test_a_reload_without_the_master_key_is_refused(site: Site) -> None:
    """The key is left to its default, and there is none."""
    site.expected_errors = True
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    said = site.said(upstream)
    del said["secrets"]
    running.write(said)
    assert refused(await running.gateway.reload()) == ["secret_absent"]
    assert running.gateway.reloads["refused"] == 1


async def test_a_reload_is_told(site: Site) -> None:
    """One line, also when all is well."""
    running = await site.gateway(await site.upstream())
    await running.gateway.reload()
    assert [event for level, event, _ in running.log.lines if level == "info"] == ["reloaded"]


async def test_a_stopped_gateway_closes_the_generations_that_still_go(site: Site) -> None:
    """Also where the task that would have done so was cancelled before it began."""
    running = await site.gateway(await site.upstream())
    old = running.gateway.core
    await running.gateway.reload()
    await running.stop()
    with pytest.raises(RuntimeError):
        await old.builtin.connect()


async def test_a_stop_waits_for_the_reload_under_way(site: Site) -> None:
    """Else what it makes would be left open."""
    running = await site.gateway(await site.upstream())
    old = running.gateway.core
    reload = asyncio.create_task(running.gateway.reload())
    await asyncio.sleep(0)
    await running.stop()
    assert reload.done()
    assert running.gateway.core is not old
    with pytest.raises(RuntimeError):
        await running.gateway.core.builtin.connect()


async def test_a_gateway_that_stops_takes_no_new_configuration(site: Site) -> None:
    """The admin listener still answers while it drains: 503."""
    running = await site.gateway(await site.upstream())
    await running.gateway.drain()
    with pytest.raises(DependencyFailed, match="draining"):
        await running.gateway.reload()


async def test_the_counters_tell_of_a_reload_that_broke(site: Site) -> None:
    """Also where nobody has foreseen what went wrong."""
    running = await site.gateway(await site.upstream())

    def broken() -> Loaded:
        raise RuntimeError("unforeseen")

    running.gateway._reread = broken
    with pytest.raises(RuntimeError):
        await running.gateway.reload()
    assert running.gateway.reloads == {"done": 0, "refused": 1}
