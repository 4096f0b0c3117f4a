"""The ways on which it is found out who calls: one for each kind of credential, and for each detour on them."""

import asyncio
import math
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import asyncpg
from edge.test_decide import about
from harness.client import request

from gateway.edge.turns import MOST_PER_TURN
from gateway.store.postgres.address import parse

from .grounds import LONG, Grounds, seal_anew, soon, status

WAITING: Final = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE wait_event_type = 'Lock' AND datname = current_database()"""

Come = Callable[[str], bool]  # whether the request has come as far as to wait for this, or has failed before


@dataclass(frozen=True, slots=True)
class Way:
    """prepare: what has to be so before the request. ask: sends it; the status. good: the status when nothing fails.

    forwarded: whether it goes to an upstream then. once: what comes a second time may as well not.
    """

    name: str
    ask: Callable[[Grounds, Come], Awaitable[int]]
    prepare: Callable[[Grounds], Awaitable[object]] = Grounds.chill
    good: int = 200
    forwarded: bool = True
    once: bool = False


def _with(field: Callable[[Grounds], bytes], path: str = "/secure/x") -> Callable[[Grounds, Come], Awaitable[int]]:
    async def ask(grounds: Grounds, come: Come) -> int:
        return await grounds.ask(field(grounds), path=path)

    return ask


def _stranger(grounds: Grounds) -> bytes:
    """Nobody has seen this subject before: an account is made."""
    grounds.strangers += 1
    return grounds.external(f"stranger-{grounds.strangers}")


async def _keys_too_old(grounds: Grounds) -> None:
    await grounds.chill(LONG)


async def _new_kid(grounds: Grounds) -> None:
    """The keys are held, and the issuer has another one since."""
    grounds.published[:] = ["k1"]
    await grounds.chill(LONG)
    await grounds.core.jwks.refresh()
    grounds.published.append("k2")


async def _rotated_elsewhere(grounds: Grounds) -> None:
    """Our own key is not known here yet, and nobody has told."""
    await grounds.chill()
    await grounds.core.authenticator.reload_keys()
    verifiers = grounds.core.authenticator._verifiers
    verifiers._token_keys, verifiers._keys_loaded_at = {}, -math.inf


async def _sealed_anew(grounds: Grounds) -> None:
    """Keys are sealed with a data key that is not known here yet."""
    sealer = grounds.core._store.keys._sealer
    if sealer.active == 1:
        await seal_anew(grounds.store_url)
    await grounds.chill()
    sealer.take({1: sealer.keys[1]}, 1)


async def _locked(grounds: Grounds, come: Come) -> int:
    """Somebody keeps everybody out of the database, for as long as it takes to notice: a copy is in the file's place,
    and who put it there has not let go of it yet."""
    folder = grounds.running.people.folder
    home, copy = folder / "gateway.db", folder / "copy.db"
    with closing(sqlite3.connect(home)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    with closing(sqlite3.connect(copy, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        for beside in ("-wal", "-shm"):
            (folder / f"gateway.db{beside}").unlink(missing_ok=True)
        copy.rename(home)
        client = await grounds.sent(request("/secure/x", grounds.held.key))
        await soon(lambda: come("run_in_executor"))
    return await status(client)


async def _queued(grounds: Grounds, come: Come) -> int:
    client = await grounds.sent(request("/narrow/x", grounds.held.token.field))
    await soon(lambda: come("ticket"))
    grounds.go.set()
    return await status(client)


def _occupied(before: int) -> Callable[[Grounds], Awaitable[object]]:
    """So many wait for the one connection that there is, which is taken."""

    async def prepare(grounds: Grounds) -> None:
        await grounds.chill()
        grounds.go.clear()
        narrow, ledger = len(grounds.narrow.requests), grounds.core.upstreams["narrow"].ledger
        await grounds.sent(request("/narrow/y", grounds.held.token.field))
        await grounds.narrow.got(narrow + 1)
        for number in range(before):
            await grounds.sent(request("/narrow/y", grounds.held.token.field))
            await soon(lambda number=number: ledger.waiting > number)

    return prepare


async def _decide(grounds: Grounds, come: Come) -> int:
    return await status(await grounds.sent(about("/secure/x", grounds.held.token.field, kind="haproxy")))


async def _in_company_of(grounds: Grounds) -> None:
    """Somebody else presents the same, and waits for the issuer's keys."""
    await _keys_too_old(grounds)
    grounds.go.clear()
    await grounds.sent(request("/roles/y", grounds.external("regular")))
    await soon(lambda: grounds.core.authenticator._flights)


async def _in_company(grounds: Grounds, come: Come) -> int:
    client = await grounds.sent(request("/secure/x", grounds.external("regular")))
    await soon(lambda: come("shield(flight)"))
    grounds.go.set()
    return await status(client)


async def _many_begin(grounds: Grounds) -> None:
    """All that a turn of the loop has room for is taken, until `go`."""
    await grounds.chill()
    grounds.go.clear()
    turns = grounds.running.gateway.edge.turns

    async def begin() -> None:
        while not grounds.go.is_set():
            await turns.take()

    grounds.beginning = [asyncio.get_running_loop().create_task(begin()) for _ in range(2 * MOST_PER_TURN)]


async def _behind_them(grounds: Grounds, come: Come) -> int:
    client = await grounds.sent(request("/secure/x", grounds.held.token.field))
    await soon(lambda: come("ticket"))
    grounds.go.set()
    await asyncio.gather(*grounds.beginning)
    return await status(client)


WAYS: Final = (
    Way("external", _with(lambda grounds: grounds.external("regular"))),
    Way("external-keys-fetched", _with(lambda grounds: grounds.external("regular")), _keys_too_old),
    Way("external-new-kid", _with(lambda grounds: grounds.external("regular", "k2")), _new_kid),
    Way("external-in-company", _in_company, _in_company_of),
    Way("external-provisioned", _with(_stranger)),
    Way("own-token", _with(lambda grounds: grounds.held.token.field)),
    Way("own-token-rotated-elsewhere", _with(lambda grounds: grounds.held.token.field), _rotated_elsewhere),
    Way("roles", _with(lambda grounds: grounds.held.token.field, "/roles/x")),
    Way("own-token-sealed-anew", _with(lambda grounds: grounds.held.token.field), _sealed_anew),
    Way("connection-string", _with(lambda grounds: grounds.held.string)),
    Way("api-key", _with(lambda grounds: grounds.held.key)),
    Way("restricted", _with(lambda grounds: grounds.held.restricted), good=401, forwarded=False),
    Way("profile", _with(lambda grounds: grounds.held.token.field, "/_adm/beginners/profile"), forwarded=False),
    Way("decide", _decide, forwarded=False),
    Way("queued-first", _queued, _occupied(0)),
    Way("queued-behind", _queued, _occupied(1)),
    Way("behind-what-begins", _behind_them, _many_begin),
    Way("database-locked", _locked, once=True),
)


async def _session_ended(grounds: Grounds, come: Come) -> int:
    """The server ends the session while it reads, as it does when it is restarted."""
    at = parse(grounds.store_url)
    holder = await asyncpg.connect(user=at.user, host=at.host, port=at.port, database=at.database)
    try:
        await holder.execute("BEGIN")
        await holder.execute("LOCK TABLE grant_ IN ACCESS EXCLUSIVE MODE")
        client = await grounds.sent(request("/secure/x", grounds.held.key))
        answer = asyncio.ensure_future(status(client))
        while not await holder.fetch(WAITING) and not answer.done():
            await asyncio.wait((answer,), timeout=0.01)
    finally:
        await holder.close()
    return await answer


ON_POSTGRES: Final = (
    Way("postgres-external-provisioned", _with(_stranger)),
    Way("postgres-session-ended", _session_ended),
)
