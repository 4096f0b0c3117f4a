"""`gateway grant`: the credentials that were handed out."""

import click

from gateway.cli.arguments import IDENTIFIER, account_option
from gateway.cli.options import shared
from gateway.cli.shared import Fields, Session, emit, operate
from gateway.login.shown import grant as summary


@click.group()
@shared
def grant() -> None:
    """List and revoke credentials."""


@grant.command("list")
@shared
@account_option
def list_(account_id: str) -> None:
    """List an account's credentials, live and dead, newest first."""

    async def work(session: Session) -> list[Fields]:
        return [summary(found) for found in await session.grants.grants(account_id)]

    emit(operate(work), ("id", "kind", "name", "role", "expiresAt", "revokedAt"))


@grant.command()
@shared
@click.argument("grant_id", metavar="ID", type=IDENTIFIER)
def revoke(grant_id: str) -> None:
    """End a credential, within a second."""
    fresh = operate(lambda session: session.grants.revoke(grant_id, "command line"))
    emit({"id": grant_id, "revoked": True, "before": not fresh})
