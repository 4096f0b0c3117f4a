"""`gateway keys`: what signs tokens and connection strings, and what the database is sealed with."""

import asyncio
from typing import TYPE_CHECKING, Literal

import click

from gateway.cli.arguments import LIFETIME
from gateway.cli.options import Failure, Misuse, shared
from gateway.cli.progress import progress
from gateway.cli.shared import Fields, Session, emit, operate, settings
from gateway.login.shown import key as summary
from gateway.store.told import Told

if TYPE_CHECKING:
    from gateway.store.masterkey import Changed

SHOWN = 10  # places of unreadable values; an operator looks at the first ones


@click.group()
@shared
def keys() -> None:
    """List and rotate keys."""


@keys.command("list")
@shared
def list_() -> None:
    """List keys, without their secrets."""

    async def work(session: Session) -> list[Fields]:
        return [summary(key) for key in await session.keys.records()]

    emit(operate(work))


@keys.command()
@shared
@click.option("--kind", type=click.Choice(["signing", "mac", "master"]), default="signing", show_default=True)
@click.option("--force", is_flag=True, help="End what hangs on an old key: it is refused, or revoked, at once.")
@click.option(
    "--settle", type=LIFETIME, default="15s", help="master: how long gateways may take to read new keys; 15s."
)
def rotate(kind: Literal["signing", "mac", "master"], force: bool, settle: float) -> None:
    """Make a new key and use it from now on.

    Old signing keys go on verifying as long as a live session may need them. Three MAC keys live at most. `master`
    takes a configuration with the new one in secrets.master_key and the old one in secrets.previous_master_key, which
    every gateway runs with: all that is sealed is sealed anew (docs/keys.md).
    """
    if kind == "master":
        if force:
            raise click.UsageError("--force goes with signing and MAC keys: nothing hangs on an old master key")
        emit(change_master(settle))
        return

    async def work(session: Session) -> Fields:
        return {"id": await session.administration.rotate(kind, force=force), "kind": kind}

    emit(operate(work))


def change_master(settle: float) -> Fields:
    """Raises Misuse, Interrupted; Failure when there are values that no key opens."""

    async def work(session: Session, told: Told) -> "Changed":
        login = session.settings.login.pipelit is not None
        if login and not await session.store.has_people():  # its setup token comes from the old key
            raise Failure("nobody has an account yet: delete the database and make one with the new key")
        change = session.store.changes().master_key(session.store.masters, asyncio.sleep, settle)
        return await change.change(told)

    if settings().secrets.previous_master_key is None:
        raise Misuse(
            "secrets.previous_master_key is not set: the old key goes there, a new one into secrets.master_key"
        )
    with progress("run it again: what is re-encrypted stays so") as told:
        done = operate(lambda session: work(session, told))
    if done.unread:
        places = ", ".join(done.unread[:SHOWN])
        raise Failure(f"{done.resealed} re-encrypted; {len(done.unread)} that no key opens stay as they are: {places}")
    return {"id": str(done.version), "kind": "master", "reencrypted": done.resealed}
