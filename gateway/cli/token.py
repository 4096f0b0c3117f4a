"""`gateway token`: a session for an account, without a login."""

import click

from gateway.cli.arguments import LIFETIME, account_option
from gateway.cli.shared import Fields, Session, emit, operate, shared
from gateway.identity.grants import Terms, session_claims
from gateway.identity.keys import active
from gateway.identity.tokens import mint
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
        tokens = session.settings.tokens
        key = active(await session.store.keys.signing_keys(), "token")
        account = await session.accounts.account(account_id)
        terms = Terms(tokens.lifetime if lifetime is None else lifetime, name="command line")
        grant = await session.grants.issue_session(account_id, terms)
        claims = session_claims(grant, account, tokens.issuer, tokens.audience)
        return {"token": mint(claims, key), "expiresAt": moment(grant.expires_at)}

    emit(operate(work))
