"""Passwords that were wrong too often, and accounts that no mail reaches."""

from dataclasses import dataclass, field

import pytest

from gateway.identity.model import Account, Owner, Password
from gateway.identity.passwords import Passwords
from gateway.identity.people import MAX_FAILURES, check_password


@dataclass
class One:
    """The password of one account. told: what was counted."""

    stored: Password
    told: list[bool] = field(default_factory=list)

    async def password(self, account_id: str) -> Password | None:
        return self.stored

    async def guessed(self, account_id: str, right: bool) -> None:
        self.told.append(right)


@pytest.mark.parametrize(
    ("email", "failures", "good"),
    [
        ("ada@example.org", MAX_FAILURES - 1, True),
        ("ada@example.org", MAX_FAILURES, False),
        ("", MAX_FAILURES, True),
    ],
)
async def test_too_many_wrong_ones_want_a_mail_where_one_can_be_sent(email: str, failures: int, good: bool) -> None:
    """Who has no address could be locked out for good by a stranger."""
    passwords = Passwords(threads=1)
    try:
        people = One(Password(await passwords.hash("correct horse battery"), failures))
        account = Account("a", "Ada", Owner("o", email))
        found = await check_password(people, passwords, account, "correct horse battery")  # type: ignore[arg-type]
        assert (found, people.told) == (good, [good])
    finally:
        passwords.close()
