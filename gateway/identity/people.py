"""Whose account it is, and whether a password is theirs: what every login asks first."""

from contextlib import suppress
from typing import Protocol

from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.challenge import Mailed
from gateway.identity.letters import Letter
from gateway.identity.model import Account, Issue, Password
from gateway.identity.passwords import Passwords

MAX_FAILURES = 100  # wrong passwords in a row; then a mail has to set a new one
NOBODY = "00000000-0000-0000-0000-000000000000"  # no id of ours: theirs have version 4


class People(Protocol):
    """The part of the account store that logins need. Raises as the other stores do (`identity.ports`)."""

    async def by_email(self, key: str) -> Account | None:
        """The account that has verified this address."""

    async def by_username(self, key: str) -> Account | None: ...

    async def account(self, account_id: str) -> Account: ...

    async def add_account(self, account: Account, email_key: str, *, provisioned: bool = False) -> None:
        """With its address as a proven one. provisioned: by its own first login. May be "conflict": it is taken."""

    async def register(
        self, account: Account, username_key: str, session: Issue, phc: str | None = None, wish: Mailed | None = None
    ) -> None:
        """Store a new account that has no address yet, with its first session, its password, and the wish for an
        address with its mail: all or nothing. May be "conflict": the name is taken."""

    async def has_people(self) -> bool:
        """Whether any account of a person is there, in whatever status."""

    async def add_first(self, account: Account, username_key: str, phc: str) -> bool:
        """Store the first account of a person, which has no address. False when there is one already: exactly one of
        parallel calls wins."""

    async def password(self, account_id: str) -> Password | None: ...

    async def guessed(self, account_id: str, right: bool) -> None:
        """Count a wrong one more in a row, or end the row."""

    async def set_password(self, account_id: str, phc: str, keep: str | None, letter: Letter | None) -> None:
        """And revoke all grants but `keep`."""

    async def rehash(self, account_id: str, old: str, new: str) -> None:
        """The same password in newer parameters, unless it was changed meanwhile."""


def require_factor(account: Account, on: bool) -> None:
    """Whoever has proved who they are comes no further, where the operator demands a factor that is not there.

    An API whose login can enrol one lets them in. Raises RequestRejected("forbidden").
    """
    if account.mfa_policy == "required" and not on:
        raise RequestRejected("forbidden", "This account needs a second factor, and has none yet.")


async def check_password(people: People, passwords: Passwords, account: Account | None, password: str) -> bool:
    """Whether it is the account's. For nobody it takes as long, and is wrong.

    After `MAX_FAILURES` wrong ones in a row even the right one is: then a mail must set a new one.
    """
    account_id = account.id if account else NOBODY
    stored = await people.password(account_id)
    good = await passwords.verify(stored.phc if stored else None, password)
    # without an address no mail could help: then the growing delay alone holds guesses up
    worn = stored is not None and stored.failures >= MAX_FAILURES and account is not None and account.owner.email != ""
    if not good or stored is None or worn:
        await people.guessed(account_id, right=False)
        return False
    if stored.failures:
        await people.guessed(account_id, right=True)
    if passwords.needs_rehash(stored.phc):
        with suppress(DependencyFailed):  # the pool is full: the next login does it
            await people.rehash(account_id, stored.phc, await passwords.rehash(password))
    return True
