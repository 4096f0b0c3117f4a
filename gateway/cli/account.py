"""`gateway account`: people and programs that can be called somebody."""

import sys

import click

from gateway.cli.arguments import IDENTIFIER
from gateway.cli.shared import Fields, Misuse, Session, emit, operate, shared
from gateway.identity.accounts import NewAccount
from gateway.identity.model import Account
from gateway.identity.notices import written
from gateway.identity.origin import Origin
from gateway.identity.passwords import Passwords


def summary(account: Account) -> Fields:
    owner = account.owner
    return {"id": account.id, "email": owner.email, "username": owner.username, "status": account.status}


def details(account: Account) -> Fields:
    return {
        **summary(account),
        "name": account.name,
        "kind": account.kind,
        "userId": account.owner.id,
        "isStaff": account.is_staff,
        "isManager": account.is_manager,
    }


@click.group()
@shared
def account() -> None:
    """Create, list, show, disable and enable accounts."""


@account.command()
@shared
@click.option("--email", required=True, help="Its e-mail address, taken as verified.")
@click.option("--username", help="A name to log in with.")
@click.option("--password-stdin", is_flag=True, help="Read a password from one line of standard input.")
@click.option("--name", help="What it is called; the username or the address by default.")
@click.option("--staff", is_flag=True, help="A staff account: passes every role, and is a manager too.")
@click.option("--manager", is_flag=True, help="A manager account: passes every role.")
def create(
    email: str, username: str | None, password_stdin: bool, name: str | None, staff: bool, manager: bool
) -> None:
    """Create an account."""
    if staff and manager:
        raise click.UsageError("--staff or --manager, not both")
    password = read_password() if password_stdin else None

    async def work(session: Session) -> Account:
        phc = await digest(password) if password is not None else None
        new = NewAccount(email, username, name, phc, is_staff=staff, is_manager=manager)
        return await session.accounts.create_account(new)

    emit(summary(operate(work)))


def read_password() -> str:
    # an argument would be in the process list and in the shell's history
    line = sys.stdin.buffer.readline()
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Misuse("the password is not UTF-8") from error


async def digest(password: str) -> str:
    passwords = Passwords(threads=1)
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()


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
        found = await session.accounts.account(account_id)
        letter = written("mfa_disabled", found, Origin("", "the operator"), session.clock.now())
        removed = await session.store.changes().factors.remove(account_id, None, letter)
        return {**summary(found), "removed": removed}

    emit(operate(work))


@account.command()
@shared
@click.argument("account_id", metavar="ID", type=IDENTIFIER)
def enable(account_id: str) -> None:
    """Let a disabled account in again, with the credentials it had."""
    emit(summary(operate(lambda session: session.accounts.enable(account_id))))
