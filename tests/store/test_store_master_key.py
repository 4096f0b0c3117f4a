"""Conformance: the master key is changed, interrupted, and changed again; what was sealed before is what it was."""

import asyncio
import itertools
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select, update

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity import codes
from gateway.identity.audit import Event
from gateway.identity.challenge import Challenge
from gateway.identity.grants import Terms
from gateway.identity.letters import Letter
from gateway.identity.model import Factor, MacKey, SigningKey, TelegramBot
from gateway.store import masterkey, sealed
from gateway.store.anchors import Anchors
from gateway.store.audit_read import Wanted
from gateway.store.chain import GENESIS, Anchor, Chain
from gateway.store.seal import Sealer
from gateway.store.sealed import SEALED
from gateway.store.sql import Store, open_store
from gateway.store.tables import audit_anchor, audit_event, data_key, metadata

from .world import MASTER_KEY, World, change, rows

NEW, NEWER, WRONG = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
BOT = TelegramBot("5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8", "webhook-secret-of-acme", "manager", 86400.0)
SECRET, RECOVERY = "A" * 32, ("abcde-fghij", "klmno-pqrst")
LETTER = Letter("login_denied", "ada@example.org", {"ip": "192.0.2.1"})
PEOPLE = 3
INTERRUPTED = Path(__file__).with_name("interrupted_change.py")


@dataclass(frozen=True)
class Held:
    """What is read again afterwards."""

    signing: list[SigningKey]
    macs: list[MacKey]
    bot: TelegramBot | None
    secrets: list[str]
    challenge: Challenge | None
    root: bytes


async def fill(world: World) -> None:
    """With one of everything that is sealed, and three factors."""
    changes, at = world.store.changes(), world.hand.at
    for number in range(PEOPLE):
        account = await world.ada(f"ada{number}@example.org")
        grant = await world.grants.issue_session(account.id, Terms(3600))
        pending = Factor(world.clock.uuid4(), account.id, SECRET, expires_at=at + 60)
        await changes.factors.begin(pending)
        macs = [codes.recovery_mac(world.store.pepper, account.id, code) or b"" for code in RECOVERY]
        assert await changes.factors.confirm(pending, 1, macs, grant.id, LETTER)
    tenant = await world.accounts.create_tenant("Acme")
    await changes.bots.put_bot(tenant.id, BOT)
    value = Challenge(
        "c1", "login", at, at + 10**6, "navak", address="ada@example.org", address_key="ada", draft=SECRET,
        tries_left=5, code_mac=codes.code_mac(world.store.pepper, "c1", "123456"),
    )  # fmt: skip
    await changes.challenges.begin(value, b"link", LETTER)


async def held(store: Store, url: str) -> Held:
    changes = store.changes()
    await store.keys.read_data_keys()  # as a gateway does that was told
    people = [id for (id,) in await rows(url, "SELECT account_id FROM factor ORDER BY account_id")]
    tenants = [id for (id,) in await rows(url, "SELECT tenant_id FROM telegram_bot")]
    factors = [(await changes.factors.held(account)).active for account in people]
    return Held(
        sorted(await store.keys.signing_keys(), key=lambda key: key.kid),
        list(await store.keys.mac_keys()),
        await changes.bots.bot(tenants[0]),
        [factor.secret for factor in factors if factor is not None],
        await changes.challenges.by_link(b"link"),
        store.pepper("link code", b""),
    )


async def changed(world: World, new: bytes, old: bytes) -> masterkey.Changed:
    async def sleep(seconds: float) -> None:
        world.hand.at += seconds

    store = await open_store(world.url, new, world.clock, previous=old)
    try:
        return await store.changes().master_key(store.masters, sleep, 15.0).change()
    finally:
        await store.aclose()


async def opens(url: str, key: bytes) -> list[str]:
    """Places of the values that this key opens, sealed keys among them."""
    found = []
    columns = [(one.column, one.key[0], one.place) for one in SEALED]
    columns.append((data_key.c.key_enc, data_key.c.version, lambda version: f"data_key:{version}:key_enc"))
    for column, row_key, place in columns:
        for row_id, value in await rows(url, str(select(row_key, column).where(column.is_not(None)))):
            for start in (1, 5):
                try:
                    AESGCM(key).decrypt(value[start : start + 12], value[start + 12 :], place(row_id).encode())
                    found.append(place(row_id))
                except (InvalidTag, ValueError):
                    continue
    return found


def test_every_sealed_column_is_in_the_list() -> None:
    """By their names; a MAC of a short secret is called so. Those of the trail are of no secret."""
    named = {
        column
        for table in metadata.tables.values()
        if table not in (audit_event, audit_anchor)
        for column in table.columns
        if column.name.endswith("_enc") or column.name in ("mac", "code_mac")
    }
    assert named == {one.column for one in SEALED} | {data_key.c.key_enc}


async def test_what_was_sealed_is_what_it_was(world: World) -> None:
    """Read with the new key alone, which is all that opens it."""
    await fill(world)
    before = await held(world.store, world.url)
    assert before.secrets == [SECRET] * PEOPLE
    assert len(await opens(world.url, MASTER_KEY)) >= 10
    done = await changed(world, NEW, MASTER_KEY)
    assert (done.version, done.unread) == (2, [])
    store = await open_store(world.url, NEW, world.clock)
    assert await held(store, world.url) == before
    taken = await store.changes().outbox.take(10, 60)
    assert [one.letter for one in taken] == [LETTER] * (PEOPLE + 1)
    await store.aclose()


async def test_the_trail_has_the_change(world: World) -> None:
    """Once, with the data key that is used from then on; and it is whole under the new key."""
    await fill(world)
    await changed(world, NEW, MASTER_KEY)
    store = await open_store(world.url, NEW, world.clock)
    rows = [row async for row in store.changes().trail.list(Wanted(kind="master_key_changed"))]
    assert [row.entry.subject for row in rows] == ["2"]
    assert (await store.changes().trail.verify()).broken is None
    await store.aclose()


@pytest.mark.parametrize("head", [False, True])
async def test_the_old_key_chains_no_other_trail(world: World, head: bool) -> None:
    """Who has it makes rows and links of ours, but not the record of where they end. head: writes that one too."""
    await fill(world)
    await changed(world, NEW, MASTER_KEY)
    store = await open_store(world.url, NEW, world.clock)
    assert (await store.changes().trail.verify()).broken is None
    chain = Chain(Sealer(MASTER_KEY, world.clock.token_bytes))
    links = [link async for link in store.changes().trail.list(Wanted())]
    seq, mac = 0, GENESIS
    async with store.changes().database.writing() as connection:
        for link in sorted(links, key=lambda link: link.seq or 0):
            entry = replace(link.entry, actor="cli:mallory")
            seq, tag = seq + 1, chain.tag(entry)
            mac = chain.link(mac, seq, link.id, tag)
            forged = {"actor": entry.actor, "tag": tag, "mac": mac}
            await connection.execute(update(audit_event).where(audit_event.c.id == link.id).values(forged))
        if head:
            await Anchors(chain).put(connection, Anchor("head", seq, mac, world.hand.at))
    broken = (await store.changes().trail.verify()).broken
    assert broken is not None
    assert broken.what == ("forged" if head else "truncated")
    await store.aclose()


async def test_a_gateway_that_has_not_read_the_new_key_leaves_sealing_to_others(world: World) -> None:
    """Its rows are sealed by those that have; the record of the ends never goes back to the old key."""
    await fill(world)
    late = await open_store(world.url, MASTER_KEY, world.clock)
    await changed(world, NEW, MASTER_KEY)
    await late.changes().audit.record(Event("cache_purged"))
    with pytest.raises(DependencyFailed, match="not read yet"):
        await late.changes().seals.seal()
    await late.aclose()
    store = await open_store(world.url, NEW, world.clock)
    assert (await store.changes().trail.verify()).broken is None
    assert await rows(world.url, "SELECT DISTINCT version FROM audit_anchor") == [(2,)]
    await store.aclose()


async def test_the_old_key_opens_nothing(world: World) -> None:
    """No value, and not the database."""
    await fill(world)
    await changed(world, NEW, MASTER_KEY)
    assert await opens(world.url, MASTER_KEY) == []
    assert await opens(world.url, NEW) == ["data_key:1:key_enc", "data_key:2:key_enc"]
    with pytest.raises(DependencyFailed, match=r"secrets\.master_key"):
        await open_store(world.url, MASTER_KEY, world.clock)


async def test_no_code_can_be_guessed_with_the_old_key(world: World) -> None:
    """Its MAC is sealed besides, one from before as one from after."""
    await fill(world)
    await changed(world, NEW, MASTER_KEY)
    store = await open_store(world.url, NEW, world.clock)
    account = await world.ada("later@example.org")
    grant = await world.grants.issue_session(account.id, Terms(3600))
    pending = Factor(world.clock.uuid4(), account.id, SECRET, expires_at=world.hand.at + 60)
    await store.changes().factors.begin(pending)
    await store.changes().factors.confirm(pending, 1, [bytes(32)], grant.id, None)
    macs = await world.rows("SELECT mac FROM recovery_code UNION ALL SELECT code_mac FROM challenge")
    assert {len(mac) for (mac,) in macs} == {5 + 12 + 32 + 16}
    await store.aclose()


async def test_a_recovery_code_from_before_is_accepted_once(world: World) -> None:
    """And one that is none is not."""
    await fill(world)
    await changed(world, NEW, MASTER_KEY)
    store = await open_store(world.url, NEW, world.clock)
    (account_id,) = (await world.rows("SELECT account_id FROM recovery_code ORDER BY account_id"))[0]
    tries = [codes.recovery_mac(store.pepper, account_id, code) or b"" for code in (RECOVERY[0], *RECOVERY, "2" * 10)]
    spent = [await store.changes().factors.use_recovery_code(account_id, mac, None) for mac in tries]
    assert spent == [True, False, True, False]
    await store.aclose()


async def test_it_can_be_changed_again(world: World) -> None:
    """Each time with a data key that is new."""
    await fill(world)
    before = await held(world.store, world.url)
    await changed(world, NEW, MASTER_KEY)
    done = await changed(world, NEWER, NEW)
    assert done.version == 3
    store = await open_store(world.url, NEWER, world.clock)
    assert await held(store, world.url) == before
    assert [await opens(world.url, key) for key in (MASTER_KEY, NEW)] == [[], []]
    await store.aclose()


async def test_a_repeated_change_has_nothing_left_to_do(world: World) -> None:
    """Nor does it make another key."""
    await fill(world)
    first = await changed(world, NEW, MASTER_KEY)
    again = await changed(world, NEW, MASTER_KEY)
    assert (first.resealed > 10, again) == (True, masterkey.Changed(2, 0, []))
    assert await world.rows("SELECT version, state FROM data_key ORDER BY version") == [(1, "retiring"), (2, "active")]


async def test_a_change_that_was_given_up_is_none(world: World) -> None:
    """Its data key was never used; the next change, of the master key that it began with, makes another."""
    await fill(world)
    before = await held(world.store, world.url)
    store = await open_store(world.url, NEW, world.clock, previous=MASTER_KEY)

    async def gives_up(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await store.changes().master_key(store.masters, gives_up, 15.0).change()
    assert await held(store, world.url) == before
    assert (await changed(world, NEWER, NEW)).version == 3
    states = await world.rows("SELECT version, state FROM data_key ORDER BY version")
    assert states == [(1, "retiring"), (2, "retiring"), (3, "active")]
    later = await open_store(world.url, NEWER, world.clock)
    assert await held(later, world.url) == before
    await store.aclose()
    await later.aclose()


ALTERED = {
    "back": "CASE version WHEN 1 THEN 'active' ELSE 'retiring' END",
    "not yet": "CASE version WHEN 1 THEN 'active' ELSE 'next' END",
    "both": "'active'",
    "none": "'retiring'",
}


@pytest.mark.parametrize("how", ALTERED)
async def test_a_data_key_that_was_replaced_is_not_brought_back(world: World, how: str) -> None:
    """Whoever has the old master key, and writes to the database, would have all that is sealed from then on."""
    await fill(world)
    running = await open_store(world.url, NEW, world.clock, previous=MASTER_KEY)
    await changed(world, NEW, MASTER_KEY)
    await running.keys.read_data_keys()
    root = running.root
    await change(world.url, f"UPDATE data_key SET state = {ALTERED[how]}")
    with pytest.raises(DependencyFailed, match="states of the data keys"):
        await running.keys.read_data_keys()
    assert running.root == root
    with pytest.raises(DependencyFailed, match="states of the data keys"):
        await open_store(world.url, NEW, world.clock)
    with pytest.raises(DependencyFailed, match="states of the data keys"):
        await changed(world, NEWER, NEW)
    await running.aclose()


@pytest.mark.parametrize(("new", "old"), [(NEW, WRONG), (MASTER_KEY, NEW), (NEW, None)])
async def test_a_wrong_key_is_refused_before_anything_changes(world: World, new: bytes, old: bytes | None) -> None:
    """An old one that is another database's; the two the wrong way round; none."""
    await fill(world)
    before = [await world.rows(f"SELECT * FROM {table} ORDER BY 1") for table in metadata.tables]
    with pytest.raises((DependencyFailed, RequestRejected), match="master_key"):
        await changed(world, new, old)  # type: ignore[arg-type]
    assert [await world.rows(f"SELECT * FROM {table} ORDER BY 1") for table in metadata.tables] == before


async def test_a_value_that_no_key_opens_is_told_and_stays(world: World) -> None:
    """Once, however many batches come after it; the others are done."""
    await fill(world)
    (factor_id, sealed_then), *_ = await world.rows("SELECT id, secret_enc FROM factor ORDER BY id")
    await change(world.url, f"UPDATE factor SET id = 'moved' WHERE id = '{factor_id}'")
    done = await changed(world, NEW, MASTER_KEY)
    assert done.unread == ["factor:moved:secret_enc"]
    assert await world.rows("SELECT secret_enc FROM factor WHERE id = 'moved'") == [(sealed_then,)]
    assert await opens(world.url, MASTER_KEY) == []


async def test_a_value_that_changed_meanwhile_is_not_overwritten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch is small, and between two of them somebody sets another bot; what is there then counts."""
    monkeypatch.setattr(sealed, "BATCH", 1)
    await fill(world)
    other = TelegramBot("1:other", "other", "manager", 60.0)
    (tenant,) = (await world.rows("SELECT tenant_id FROM telegram_bot"))[0]
    store = await open_store(world.url, NEW, world.clock, previous=MASTER_KEY)
    await world.store.changes().bots.put_bot(tenant, other)

    async def sleep(seconds: float) -> None:
        world.hand.at += seconds
        await world.store.changes().bots.put_bot(tenant, other)  # by a gateway that has not read the new keys

    await store.changes().master_key(store.masters, sleep, 15.0).change()
    await store.keys.read_data_keys()
    assert await store.changes().bots.bot(tenant) == other
    await store.aclose()


async def test_a_gateway_reads_the_new_key_before_anybody_seals_with_it(world: World) -> None:
    """It is told twice: when there is one, and when it is to be used."""
    await fill(world)
    last = await world.store.revocations.latest()
    gateway = await open_store(world.url, NEW, world.clock, previous=MASTER_KEY)
    before = await held(gateway, world.url)
    await changed(world, NEW, MASTER_KEY)
    told = [(row.kind, row.subject) for row in await world.store.revocations.since(last)]
    assert told == [("keys", "data")] * 2
    assert await held(gateway, world.url) == before
    await gateway.aclose()


async def test_a_mail_whose_key_is_not_read_yet_is_kept(world: World) -> None:
    """It is not given up: the worker that took it is behind."""
    await fill(world)
    behind = await open_store(world.url, NEW, world.clock, previous=MASTER_KEY)
    await changed(world, NEW, MASTER_KEY)
    with pytest.raises(DependencyFailed, match="not read yet"):
        await behind.changes().outbox.take(10, 60)
    await behind.keys.read_data_keys()
    assert len(await behind.changes().outbox.take(10, 60)) == PEOPLE + 1
    await behind.aclose()


@pytest.mark.timeout(180)  # a program is started for each of them
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_an_interrupted_change_goes_on_where_it_was(world: World, how: str) -> None:
    """In a process of its own that ends at every thirteenth of its statements; both keys open all at any time."""
    await fill(world)
    before = await held(world.store, world.url)
    for last in itertools.count(4, 13):
        words = (world.url, NEW.hex(), MASTER_KEY.hex(), str(last), how)
        program = (sys.executable, INTERRUPTED)
        done = await asyncio.to_thread(subprocess.run, (*program, *words), capture_output=True, check=False)
        store = await open_store(world.url, NEW, Clock(now=world.hand.now), previous=MASTER_KEY)
        assert await held(store, world.url) == before
        await store.aclose()
        if done.returncode == 0:
            break
        assert done.returncode == -signal.Signals[how], done.stderr.decode()
    assert last > 20
    assert await opens(world.url, MASTER_KEY) == []
    store = await open_store(world.url, NEW, Clock(now=world.hand.now))
    assert await held(store, world.url) == before
    await store.aclose()
