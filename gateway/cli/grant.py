"""`gateway grant`: the credentials that were handed out."""

import click

from gateway.cli.arguments import IDENTIFIER, account_option
from gateway.cli.shared import Fields, Session, emit, operate, shared
from gateway.identity.model import Grant
from gateway.login.rfc3339 import moment


def summary(grant: Grant) -> Fields:
    return {
        "id": grant.id,
        "kind": grant.kind,
        "presentation": grant.presentation,
        "dialect": grant.dialect,
        "name": grant.name,
        "tenantId": grant.tenant_id,
        "role": grant.role,
        "createdAt": moment(grant.created_at),
        "expiresAt": moment(grant.expires_at),
        "lastUsedAt": moment(grant.last_used_at),
        "revokedAt": moment(grant.revoked_at),
    }


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
