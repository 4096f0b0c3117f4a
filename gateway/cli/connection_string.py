"""`gateway connection-string`: a credential for a service, with one role in one tenant."""

import click

from gateway.cli.arguments import MOMENT, account_option, expiry, tenant_option
from gateway.cli.options import shared
from gateway.cli.shared import Fields, Session, emit, operate
from gateway.login.rfc3339 import moment


@click.group("connection-string")
@shared
def connection_string() -> None:
    """Create connection strings."""


@connection_string.command()
@shared
@account_option
@tenant_option
@click.option("--role", required=True, metavar="SLUG", help="A role that the account holds in the tenant.")
@click.option("--expires-at", "at", type=MOMENT, required=True, help="2027-01-01T00:00:00Z, or a lifetime: 30d.")
@click.option("--name", default="", help="To tell it from others in a list.")
def create(account_id: str, tenant_id: str, role: str, at: float, name: str) -> None:
    """Create a connection string. It is shown this once.

    The expiry may come out seconds earlier: no two connection strings are alike.
    """

    async def work(session: Session) -> Fields:
        until = expiry(at, session.clock.now())
        handed = await session.grants.create_connection_string(account_id, tenant_id, role, until, name)
        return {"connectionString": handed.secret, "expiresAt": moment(handed.grant.expires_at)}

    emit(operate(work))
