"""`gateway keys`: what signs tokens and connection strings."""

from typing import Literal

import click

from gateway.cli.shared import Fields, Session, emit, operate, shared
from gateway.identity.model import KeyRecord
from gateway.login.rfc3339 import moment


def summary(key: KeyRecord) -> Fields:
    return {
        "id": key.id,
        "kind": key.kind,
        "purpose": key.purpose,
        "algorithm": key.algorithm,
        "state": key.state,
        "createdAt": moment(key.created_at),
        "liveGrants": key.live_grants if key.kind == "mac" else None,
    }


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
        if kind == "mac":
            return {"id": str((await session.keys.rotate_mac(force=force)).version), "kind": kind}
        return {
            "id": (await session.keys.rotate_signing(session.settings.tokens.algorithm, force=force)).kid,
            "kind": kind,
        }

    emit(operate(work))
