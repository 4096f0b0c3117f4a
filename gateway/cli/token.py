"""`gateway token`: a session for an account, without a login."""

import click

from gateway.cli.arguments import LIFETIME, account_option
from gateway.cli.options import shared
from gateway.cli.shared import Fields, Session, emit, operate
from gateway.login.rfc3339 import moment


@click.group()
@shared
def token() -> None:
    """Issue tokens."""


@token.command()
@shared
@account_option
@click.option("--lifetime", type=LIFETIME, help="Such as 1h; tokens.lifetime by default.")
def issue(account_id: str, lifetime: float | None) -> None:
    """Issue a JWT, to be sent as `Authorization: Bearer`."""

    async def work(session: Session) -> Fields:
        token, grant = await session.administration.issue_token(account_id, lifetime, "command line")
        return {"token": token, "expiresAt": moment(grant.expires_at)}

    emit(operate(work))
