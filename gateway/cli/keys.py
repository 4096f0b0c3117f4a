"""`gateway keys`: what signs tokens and connection strings."""

from typing import Literal

import click

from gateway.cli.shared import Fields, Session, emit, operate, shared
from gateway.login.shown import key as summary


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
@click.option("--kind", type=click.Choice(["signing", "mac"]), default="signing", show_default=True)
@click.option("--force", is_flag=True, help="End what hangs on an old key: it is refused, or revoked, at once.")
def rotate(kind: Literal["signing", "mac"], force: bool) -> None:
    """Make a new key and sign with it from now on.

    Old signing keys go on verifying as long as a live session may need them. Three MAC keys live at most.
    """

    async def work(session: Session) -> Fields:
        return {"id": await session.administration.rotate(kind, force=force), "kind": kind}

    emit(operate(work))
