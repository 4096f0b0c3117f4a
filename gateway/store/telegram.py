"""Tenants' Telegram bots: the BotStore port. Both secrets of a bot are sealed."""

from sqlalchemy import delete, insert, select

from gateway.clock import Clock
from gateway.identity.audit import Event
from gateway.identity.model import TelegramBot
from gateway.store.database import Database
from gateway.store.locks import hold
from gateway.store.notes import noted
from gateway.store.seal import Sealer, bot_place, webhook_place
from gateway.store.tables import telegram_bot
from gateway.store.tenants import require_tenant


class TelegramBots:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def put_bot(self, tenant_id: str, bot: TelegramBot) -> None:
        row = {
            "tenant_id": tenant_id,
            "token_enc": self._sealer.seal(bot.token.encode(), bot_place(tenant_id)),
            "secret_enc": self._sealer.seal(bot.webhook_secret.encode(), webhook_place(tenant_id)),
            "role": bot.role,
            "lifetime": bot.lifetime,
            "updated_at": self._clock.now(),
        }
        async with self._database.writing() as connection:
            await hold(connection, "tenant", tenant_id, shared=True)
            await require_tenant(connection, tenant_id)
            await hold(connection, "bot", tenant_id)
            await connection.execute(delete(telegram_bot).where(telegram_bot.c.tenant_id == tenant_id))
            await connection.execute(insert(telegram_bot).values(row))
            noted(connection, Event("bot_configured", subject=tenant_id, detail={"role": bot.role}))

    async def bot(self, tenant_id: str) -> TelegramBot | None:
        async with self._database.reading() as connection:
            found = await connection.execute(select(telegram_bot).where(telegram_bot.c.tenant_id == tenant_id))
            row = found.first()
        if row is None:
            return None
        token = self._sealer.open(row.token_enc, bot_place(tenant_id)).decode()
        secret = self._sealer.open(row.secret_enc, webhook_place(tenant_id)).decode()
        return TelegramBot(token, secret, row.role, row.lifetime)
