"""`gateway migrate`: the database in the form that this version needs."""

import asyncio

import click

from gateway.app.audit import migration
from gateway.cli.options import shared
from gateway.cli.progress import progress
from gateway.cli.shared import Fields, emit, opened, settings
from gateway.clock import Clock
from gateway.settings.model import Settings
from gateway.store.told import Told, silent

TRAIL = "0003"  # the revision that brings the audit trail


async def prepare(found: Settings, told: Told = silent) -> Fields:
    """The tables brought up to date, and the keys that are missing made. `from` is None for a new database."""
    from gateway.store import schema  # Alembic, which no other command needs

    before, after = await schema.migrate(found.store.url, found.store.secret, told)
    async with opened(found, Clock()) as session:
        if before is not None and before < TRAIL:
            await session.store.changes().seals.begin()
        if before != after:
            await session.store.changes().audit.record(migration(before, after))
        made = await session.keys.ensure(found.tokens.algorithm, mployr=found.login.mployr is not None)
    return {"from": before, "to": after, "keysMade": made}


@click.command()
@shared
def migrate() -> None:
    """Bring the database up to date; make it, and the first keys, when there are none."""
    found = settings()
    with progress("run it again: it goes on from the last revision that is whole") as told:
        done = asyncio.run(prepare(found, told))
    emit(done)
