"""Tenants' Telegram bots: the BotStore port. Both secrets of a bot are sealed."""

from sqlalchemy import delete, insert, select

from gateway.clock import Clock
from gateway.identity.model import TelegramBot
from gateway.store.database import Database
from gateway.store.locks import hold
from gateway.store.seal import Sealer
from gateway.store.tables import telegram_bot
from gateway.store.tenants import require_tenant


def token_place(tenant_id: str) -> str:
    return f"telegram_bot:{tenant_id}:token_enc"


def secret_place(tenant_id: str) -> str:
    return f"telegram_bot:{tenant_id}:secret_enc"


class TelegramBots:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def put_bot(self, tenant_id: str, bot: TelegramBot) -> None:
        row = {
            "tenant_id": tenant_id,
            "token_enc": self._sealer.seal(bot.token.encode(), token_place(tenant_id)),
            "secret_enc": self._sealer.seal(bot.webhook_secret.encode(), secret_place(tenant_id)),
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

    async def bot(self, tenant_id: str) -> TelegramBot | None:
        async with self._database.reading() as connection:
            found = await connection.execute(select(telegram_bot).where(telegram_bot.c.tenant_id == tenant_id))
            row = found.first()
        if row is None:
            return None
        token = self._sealer.open(row.token_enc, token_place(tenant_id)).decode()
        secret = self._sealer.open(row.secret_enc, secret_place(tenant_id)).decode()
        return TelegramBot(token, secret, row.role, row.lifetime)
