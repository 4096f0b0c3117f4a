"""`gateway role`: what an account may do in a tenant. A slug is created when first used."""

import click

from gateway.cli.arguments import account_option, tenant_option
from gateway.cli.options import shared
from gateway.cli.shared import Fields, Session, emit, operate
from gateway.identity.model import Permission
from gateway.login.shown import assignment as summary

slug_option = click.option("--role", "slug", required=True, metavar="SLUG", help="a-z, 0-9, _ and -, up to 64.")
PERMISSION = click.Choice(["read", "write"])


@click.group()
@shared
def role() -> None:
    """Assign, remove and list roles."""


@role.command()
@shared
@account_option
@tenant_option
@slug_option
@click.option("--permission", type=PERMISSION, required=True, help="write includes read.")
def assign(account_id: str, tenant_id: str, slug: str, permission: Permission) -> None:
    """Let an account hold a role in a tenant."""

    async def work(session: Session) -> Fields:
        return summary(await session.administration.assign_role(account_id, tenant_id, slug, permission))

    emit(operate(work))


@role.command()
@shared
@account_option
@tenant_option
@slug_option
@click.option("--permission", type=PERMISSION, help="Only this one; both by default.")
def remove(account_id: str, tenant_id: str, slug: str, permission: Permission | None) -> None:
    """Take a role away, within a second."""
    operate(lambda session: session.accounts.remove_role(account_id, tenant_id, slug, permission))
    emit({"accountId": account_id, "tenantId": tenant_id, "role": slug, "permission": permission, "removed": True})


@role.command("list")
@shared
@account_option
def list_(account_id: str) -> None:
    """List the roles that an account holds."""

    async def work(session: Session) -> list[Fields]:
        return [summary(held) for held in await session.accounts.assignments(account_id)]

    emit(operate(work), ("tenantId", "tenantName", "role", "permission", "accepted"))
