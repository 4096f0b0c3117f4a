"""`gateway account`: people and programs that can be called somebody."""

import sys

import click

from gateway.cli.arguments import IDENTIFIER
from gateway.cli.hashing import hashing
from gateway.cli.imports import import_
from gateway.cli.options import Misuse, shared
from gateway.cli.shared import Fields, Session, emit, operate
from gateway.identity.accounts import NewAccount
from gateway.identity.model import Account
from gateway.identity.origin import Origin
from gateway.login.shown import account as summary
from gateway.login.shown import account_details as details
from gateway.login.shown import requirement

OPERATOR = Origin("", "the operator")


@click.group()
@shared
def account() -> None:
    """Create, import, list, show, disable and enable accounts."""


@account.command()
@shared
@click.option("--email", required=True, help="Its e-mail address, taken as verified.")
@click.option("--username", help="A name to log in with.")
@click.option("--password-stdin", is_flag=True, help="Read a password from one line of standard input.")
@click.option(
    "--password-hash-stdin", is_flag=True, help="Read another system's hash: of bcrypt, or argon2's PHC string."
)
@click.option("--name", help="What it is called; the username or the address by default.")
@click.option("--staff", is_flag=True, help="A staff account: passes every role, and is a manager too.")
@click.option("--manager", is_flag=True, help="A manager account: passes every role.")
def create(
    email: str,
    username: str | None,
    password_stdin: bool,
    password_hash_stdin: bool,
    name: str | None,
    staff: bool,
    manager: bool,
) -> None:
    """Create an account."""
    if staff and manager:
        raise click.UsageError("--staff or --manager, not both")
    if password_stdin and password_hash_stdin:
        raise click.UsageError("--password-stdin or --password-hash-stdin, not both")
    line = read_password() if password_stdin or password_hash_stdin else None

    async def work(session: Session) -> Account:
        new = NewAccount(email, username, name, is_staff=staff, is_manager=manager)
        password, imported = (None, line) if password_hash_stdin else (line, None)
        with hashing() as passwords:
            return await session.administration.create_account(new, passwords, password, imported)

    emit(summary(operate(work)))


def read_password() -> str:
    # an argument would be in the process list and in the shell's history
    line = sys.stdin.buffer.readline()
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Misuse("the password is not UTF-8") from error


@account.command("list")
@shared
def list_() -> None:
    """List accounts, oldest first."""

    async def work(session: Session) -> list[Fields]:
        return [details(found) for found in await session.accounts.accounts()]

    emit(operate(work), ("id", "email", "username", "status", "name"))


@account.command()
@shared
@click.argument("account_id", metavar="ID", type=IDENTIFIER)
def show(account_id: str) -> None:
    """Show one account."""
    emit(details(operate(lambda session: session.accounts.account(account_id))))


@account.command()
@shared
@click.argument("account_id", metavar="ID", type=IDENTIFIER)
def disable(account_id: str) -> None:
    """Stop all its credentials, within a second."""
    emit(summary(operate(lambda session: session.accounts.disable(account_id))))


@account.command("reset-mfa")
@shared
@click.argument("account_id", metavar="ID", type=IDENTIFIER)
def reset_mfa(account_id: str) -> None:
    """Take its second factor away, for somebody who has lost it. All its credentials end, within a second."""

    async def work(session: Session) -> Fields:
        found, removed = await session.administration.reset_mfa(account_id, OPERATOR)
        return {**summary(found), "removed": removed}

    emit(operate(work))


@account.command("require-mfa")
@shared
@click.argument("account_id", metavar="ID", type=IDENTIFIER)
def require_mfa(account_id: str) -> None:
    """Demand a second factor: until it has one, only MikroCloud's login, which enrols one, lets it in."""
    emit(requirement(operate(lambda session: session.accounts.require_mfa(account_id, True))))


@account.command("allow-no-mfa")
@shared
@click.argument("account_id", metavar="ID", type=IDENTIFIER)
def allow_no_mfa(account_id: str) -> None:
    """Ask for a second factor no longer. One that is on stays on."""
    emit(requirement(operate(lambda session: session.accounts.require_mfa(account_id, False))))


@account.command("set-password")
@shared
@click.argument("account_id", metavar="ID", type=IDENTIFIER)
@click.option("--password-stdin", is_flag=True, required=True, help="Read it from one line of standard input.")
def set_password(account_id: str, password_stdin: bool) -> None:
    """Set its password. All its credentials end, within a second, and a mail tells its holder."""
    password = read_password()

    async def work(session: Session) -> Account:
        with hashing() as passwords:
            return await session.administration.set_password(account_id, password, passwords, OPERATOR)

    emit(summary(operate(work)))


@account.command("send-reset")
@shared
@click.argument("account_id", metavar="ID", type=IDENTIFIER)
def send_reset(account_id: str) -> None:
    """Mail its holder a code that sets a new password, once."""
    from gateway.app.logins import services  # the whole gateway, which the other commands do without

    async def work(session: Session) -> Account:
        with hashing() as passwords:
            core = services(session.settings, session.store, session.clock, passwords)
            return await session.administration.send_reset(account_id, core.logins, OPERATOR)

    emit(summary(operate(work)))


@account.command()
@shared
@click.argument("account_id", metavar="ID", type=IDENTIFIER)
def enable(account_id: str) -> None:
    """Let a disabled account in again, with the credentials it had."""
    emit(summary(operate(lambda session: session.accounts.enable(account_id))))


account.add_command(import_)
