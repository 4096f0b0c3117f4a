"""Conformance: tenants' Telegram bots, and that a stolen file does not tell their secrets."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.model import TelegramBot
from gateway.store.seal import Sealer
from gateway.store.telegram import TelegramBots

from .world import MASTER_KEY, World, stored

BOT = TelegramBot("5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8", "webhook-secret-of-acme", "manager", 86400.0)


def opened(world: World, key: bytes = MASTER_KEY) -> TelegramBots:
    return TelegramBots(world.store.changes().database, Sealer(key, world.clock.token_bytes), world.clock)


@pytest.fixture
def bots(world: World) -> TelegramBots:
    return opened(world)


async def test_a_bot_comes_back_as_it_was_put(world: World, bots: TelegramBots) -> None:
    """For its tenant alone."""
    tenant, other = await world.accounts.create_tenant("Acme"), await world.accounts.create_tenant("Other")
    await bots.put_bot(tenant.id, BOT)
    assert [await bots.bot(tenant.id), await bots.bot(other.id)] == [BOT, None]


async def test_the_next_bot_takes_the_place_of_the_last(world: World, bots: TelegramBots) -> None:
    """A tenant has one."""
    tenant = await world.accounts.create_tenant("Acme")
    changed = replace(BOT, token="1:other", role="reader", lifetime=60.0)
    await bots.put_bot(tenant.id, BOT)
    await bots.put_bot(tenant.id, changed)
    assert await bots.bot(tenant.id) == changed


async def test_a_tenant_that_is_not_there_is_not_found(bots: TelegramBots) -> None:
    """Rather than a broken constraint."""
    with pytest.raises(RequestRejected, match="not_found"):
        await bots.put_bot("00000000-0000-4000-8000-000000000000", BOT)


async def test_no_secret_of_a_bot_can_be_read_in_the_file(world: World, bots: TelegramBots) -> None:
    """Nor in its log."""
    await bots.put_bot((await world.accounts.create_tenant("Acme")).id, BOT)
    text = await stored(world.url)
    assert b"Acme" in text
    assert [secret in text for secret in (BOT.token.encode(), BOT.webhook_secret.encode())] == [False, False]


@pytest.mark.parametrize("column", ["token_enc", "secret_enc"])
async def test_a_secret_opens_in_its_own_place_only(world: World, bots: TelegramBots, column: str) -> None:
    """Whoever writes to the file cannot give one tenant's bot to another."""
    tenant, other = await world.accounts.create_tenant("Acme"), await world.accounts.create_tenant("Other")
    await bots.put_bot(tenant.id, BOT)
    await bots.put_bot(other.id, replace(BOT, token="1:other"))
    moved = f"UPDATE telegram_bot SET {column} = (SELECT {column} FROM telegram_bot WHERE tenant_id = :other)"
    async with world.store.changes().database.writing() as connection:
        await connection.execute(text(moved), {"other": other.id})
    with pytest.raises(DependencyFailed, match="does not open"):
        await bots.bot(tenant.id)


async def test_another_master_key_opens_nothing(world: World, bots: TelegramBots) -> None:
    """And says so, rather than that there is no bot."""
    tenant = await world.accounts.create_tenant("Acme")
    await bots.put_bot(tenant.id, BOT)
    with pytest.raises(DependencyFailed, match="does not open"):
        await opened(world, bytes(32)).bot(tenant.id)


def test_a_bot_does_not_print_its_secrets() -> None:
    """Values end up in logs and tracebacks."""
    assert [secret in repr(BOT) for secret in (BOT.token, BOT.webhook_secret)] == [False, False]
