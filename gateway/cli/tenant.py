"""`gateway tenant`: whom roles are held with."""

import click

from gateway.cli.arguments import IDENTIFIER
from gateway.cli.options import shared
from gateway.cli.shared import Fields, Session, emit, operate
from gateway.login.shown import tenant as summary


@click.group()
@shared
def tenant() -> None:
    """Create, list and show tenants."""


@tenant.command()
@shared
@click.argument("name")
@click.option("--owner", "owner_id", type=IDENTIFIER, help="Id of the account that owns it.")
def create(name: str, owner_id: str | None) -> None:
    """Create a tenant with an account of its own."""
    emit(summary(operate(lambda session: session.accounts.create_tenant(name, owner_id))))


@tenant.command("list")
@shared
def list_() -> None:
    """List tenants, oldest first."""

    async def work(session: Session) -> list[Fields]:
        return [summary(found) for found in await session.accounts.tenants()]

    emit(operate(work))


@tenant.command()
@shared
@click.argument("tenant_id", metavar="ID", type=IDENTIFIER)
def show(tenant_id: str) -> None:
    """Show one tenant."""
    emit(summary(operate(lambda session: session.accounts.tenant(tenant_id))))
