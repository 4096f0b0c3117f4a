"""The audit trail of a gateway that runs: requests say who they are, refusals are written, rows sealed and removed."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any, cast

import pytest
from harness.kept import Kept
from harness.people import MASTER_KEY, People
from harness.site import Running, Site

from gateway.app.audit import RARELY, Auditing
from gateway.clock import Clock
from gateway.identity.audit import Event, Scope
from gateway.store.audit_read import Wanted
from gateway.store.chain import Anchor, Entry
from gateway.store.changes import Changes
from gateway.store.seal import master_key
from gateway.store.sql import Store, open_store

PATIENCE = 20.0


async def until(found: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (value := await found()):  # noqa: ASYNC110 - another process could write it, who tells nobody
            await asyncio.sleep(0.02)
    return value


@asynccontextmanager
async def door(running: Running) -> AsyncIterator[Store]:
    """A second one to the gateway's database, as a command has it."""
    url = f"sqlite:///{running.people.folder}/gateway.db"
    store = await open_store(url, master_key(MASTER_KEY), running.hand.clock)
    try:
        yield store
    finally:
        await store.aclose()


async def rows(store: Store, kind: str) -> list[Entry]:
    return [link.entry async for link in store.changes().trail.list(Wanted(kind=kind))]


async def admin(running: Running, path: str) -> None:
    host, port = running.gateway.admin_address
    reader, writer = await asyncio.open_connection(host, port)
    token = (running.people.folder / "admin.token").read_text().strip()
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nUser-Agent: ops\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
    )
    assert b" 200 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def login(running: Running, address: str, password: str) -> None:
    reader, writer = await asyncio.open_connection(*running.gateway.address)
    body = f'{{"email": "{address}", "password": "{password}"}}'
    writer.write(
        "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.5.0\r\nX-Request-Id: r-1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
    )
    await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.fixture
async def running(site: Site) -> Running:
    upstream = await site.upstream()
    return await site.gateway(upstream, login={"mployr": {}})


async def test_a_refused_login_is_written_and_sealed(running: Running) -> None:
    """With the client's address, its program, the API and the request's id."""
    await login(running, "nobody@example.org", "wrong wrong wrong")
    async with door(running) as store:
        [row] = await until(lambda: rows(store, "login_refused"))
        assert (row.actor, row.ip, row.agent, row.dialect, row.reason) == (
            "anonymous", "127.0.0.1", "curl/8.5.0", "mployr", "code_wrong",
        )  # fmt: skip
        assert row.request_id

        async def sealed() -> bool:
            return not await store.audit_waits()

        await until(sealed)
        assert (await store.changes().trail.verify()).broken is None


async def test_a_spray_of_a_running_gateway_is_two_rows(running: Running) -> None:
    """The first at once, the others when it ends."""
    for _ in range(30):
        await login(running, "nobody@example.org", "wrong wrong wrong")
    await running.stop()
    async with door(running) as store:
        found = await rows(store, "login_refused")
        assert len(found) <= 6  # two reasons, and what was counted while the first was written
        verdict = await store.changes().trail.verify()
        assert (verdict.broken, verdict.waiting) == (None, 0)


@pytest.mark.parametrize(("path", "kind"), [("/purge", "cache_purged"), ("/reload", "configuration_reloaded")])
async def test_what_an_operator_asks_for_is_told(running: Running, path: str, kind: str) -> None:
    """By whoever has the admin token."""
    await admin(running, path)
    async with door(running) as store:
        [row] = await rows(store, kind)
        assert (row.actor, row.ip, row.agent, row.outcome) == ("admin", "127.0.0.1", "ops", "done")


async def test_a_refused_reload_is_told(site: Site, running: Running) -> None:
    """Of a configuration with a fault."""
    site.expected_errors = True
    running.config.write_text("{")
    assert await running.gateway.reload()
    async with door(running) as store:
        [row] = await rows(store, "configuration_reloaded")
        assert (row.actor, row.outcome) == ("gateway", "refused")


async def test_old_rows_leave_a_running_gateway(people: People, tmp_path: Path) -> None:
    """By the settings of the moment, once an hour at most."""
    async with opened(people, tmp_path) as (store, auditing, hand):
        hand[0] += 2 * 86400.0
        await auditing.record(Event("cache_purged"))
        await auditing.work()
        hand[0] += RARELY
        await auditing.work()
        assert [link.entry.kind async for link in store.changes().trail.list(Wanted())] == [
            "cache_purged", "trail_trimmed",
        ]  # fmt: skip


async def test_rows_that_another_worker_removed_are_not_told(people: People, tmp_path: Path) -> None:
    """They were there when this one looked, and are not when it has the lock: it says nothing."""
    log = Kept()
    async with opened(people, tmp_path, log) as (store, auditing, hand):
        late = Late(store)
        auditing.attach(late, lambda: 86400.0)
        hand[0] += RARELY
        await auditing.work()
        assert late.looks == 1
    assert "old rows left the audit trail" not in [event for _, event, _ in log.lines]


async def test_what_is_being_written_at_the_end_is_written_once(people: People, tmp_path: Path) -> None:
    """The look is cancelled after the rows have arrived, and before that is known."""
    async with opened(people, tmp_path) as (store, auditing, _hand):
        slow = Late(store)
        auditing.attach(slow, lambda: 86400.0)
        auditing.refusals.refused(Event("login_refused", outcome="refused", reason="code_wrong"))
        look = asyncio.create_task(auditing.work())
        await slow.arrived.wait()
        look.cancel()
        end = asyncio.create_task(auditing.aclose())
        for _ in range(10):
            await asyncio.sleep(0)
        slow.answer.set()
        await end
        assert len(await rows(store, "login_refused")) == 1


async def test_two_looks_at_once_write_what_is_refused_once(people: People, tmp_path: Path) -> None:
    """The others wait for the first, and then for one of them."""
    async with opened(people, tmp_path) as (store, auditing, _hand):
        slow = Late(store)
        auditing.attach(slow, lambda: 86400.0)
        auditing.refusals.refused(Event("login_refused", outcome="refused", reason="code_wrong"))
        looks = [asyncio.create_task(auditing.work()) for _ in range(3)]
        await slow.arrived.wait()
        auditing.refusals.refused(Event("factor_refused", outcome="refused", reason="code_wrong"))
        for _ in range(10):
            await asyncio.sleep(0)
        slow.answer.set()
        await asyncio.gather(*looks)
        assert [len(await rows(store, kind)) for kind in ("login_refused", "factor_refused")] == [1, 1]


async def test_the_head_is_told_to_the_log(people: People, tmp_path: Path) -> None:
    """Where whoever has the database does not reach it."""
    log = Kept()
    async with opened(people, tmp_path, log) as (store, auditing, hand):
        await auditing.record(Event("cache_purged"))
        await auditing.work()
        hand[0] += RARELY
        await auditing.work()
        head = await store.changes().trail.head()
        assert ("info", "audit head", {"head": str(head)}) in log.lines


async def test_a_trail_that_was_cut_back_is_told_to_the_log(people: People, tmp_path: Path) -> None:
    """A worker remembers the last head that it saw, whatever the database says."""
    log = Kept()
    async with opened(people, tmp_path, log) as (_, auditing, _hand):
        path = tmp_path / "copy" / "gateway.db"
        await auditing.record(Event("cache_purged"))
        await auditing.work()
        old = sqlite3.connect(path)
        anchors = old.execute("SELECT * FROM audit_anchor").fetchall()
        await auditing.record(Event("cache_purged"))
        await auditing.record(Event("cache_purged"))
        await auditing.work()
        old.execute(
            "DELETE FROM audit_event WHERE seq > ?", (anchors[1][1] if anchors[1][0] == "head" else anchors[0][1],)
        )
        old.execute("DELETE FROM audit_anchor")
        old.executemany("INSERT INTO audit_anchor VALUES (?, ?, ?, ?, ?, ?)", anchors)
        old.commit()
        old.close()
        await auditing.record(Event("cache_purged"))
        await auditing.work()
        assert [event for _, event, _ in log.errors] == ["the audit trail was cut back"]


async def test_a_migration_at_a_start_is_told_once(people: People, tmp_path: Path) -> None:
    """One that found nothing to do is none."""
    async with opened(people, tmp_path) as (store, auditing, _hand):
        await auditing.migrated(("0002", "0003"))
        await auditing.migrated(("0003", "0003"))
        await auditing.migrated(None)
        [row] = await rows(store, "store_migrated")
        assert row.detail == '{"from":"0002","to":"0003"}'


async def test_a_store_that_is_away_stops_no_reload(people: People, tmp_path: Path) -> None:
    """The log has what the trail has not."""
    log = Kept()
    async with opened(people, tmp_path, log) as (_, auditing, _hand):
        (tmp_path / "copy" / "gateway.db").rename(tmp_path / "elsewhere")
        await auditing.record(Event("cache_purged"))
        (tmp_path / "elsewhere").rename(tmp_path / "copy" / "gateway.db")
    assert log.errors[0][1] == "the audit trail has no row of this"


class Late:
    """A store whose rows are too old when it is asked, and gone then; and that answers, when told to, that rows have
    arrived. It is `Audit` too."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.looks = 0
        self.arrived, self.answer = asyncio.Event(), asyncio.Event()

    async def audit_waits(self) -> bool:
        return await self._store.audit_waits()

    async def audit_oldest(self) -> float:
        self.looks += 1
        return 0.0

    async def open_changes(self) -> None:
        await self._store.open_changes()

    def changes(self) -> Changes:
        return cast(Changes, SimpleNamespace(audit=self, seals=self._store.changes().seals))

    async def record_all(self, rows: Sequence[tuple[Event, Scope]]) -> None:
        await self._store.changes().audit.record_all(rows)
        self.arrived.set()
        await self.answer.wait()


@asynccontextmanager
async def opened(
    people: People, folder: Path, log: Kept | None = None
) -> AsyncIterator[tuple[Store, Auditing, list[float]]]:
    """What a worker does, without its clock: hand is both of its clocks."""
    copytree(people.folder, folder / "copy")
    hand = [Clock().now()]
    clock = Clock(now=lambda: hand[0], monotonic=lambda: hand[0])
    store = await open_store(f"sqlite:///{folder}/copy/gateway.db", master_key(MASTER_KEY), clock)
    auditing = Auditing(clock, log or Kept())
    auditing.attach(store, lambda: 86400.0)
    hand[0] += RARELY
    await auditing.work()
    try:
        yield store, auditing, hand
    finally:
        await auditing.aclose()
        await store.aclose()


def test_an_anchor_is_written_as_it_is_read() -> None:
    """A number and a hash, with a colon between."""
    assert str(Anchor("head", 7, bytes(32), 0.0)) == "7:" + "00" * 32
