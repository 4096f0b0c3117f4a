"""S-43: what is counted against an account is counted by its id: name, address and every spelling of them share it."""

from collections import Counter

import pytest
from conformance.adapters import Someone, someone
from dialects.desk import BASE, PASSWORD, Desk

PER_MINUTE = 5


def wrong(desk: Desk, how: str, who: Someone) -> int:
    """The status of a wrong password, given where `how` says, under one of the account's names."""
    password = {"password": "wrong horse battery"}
    by = {
        "mycelium": (f"{BASE}/users/login", {"email": who.email}),
        "mycelium, upper case": (f"{BASE}/users/login", {"email": who.email.upper()}),
        "mycelium, full width": (f"{BASE}/users/login", {"email": who.email.replace("example", "ｅｘａｍｐｌｅ")}),
        "mployr": ("/v1/login", {"email": who.email.title()}),
        "mikrocloud": ("/user/login", {"email": who.email.swapcase()}),
        "pipelit": ("/api/v1/auth/token/", {"username": who.username}),
        "pipelit, upper case": ("/api/v1/auth/token/", {"username": who.username.upper()}),
        "pipelit, full width": ("/api/v1/auth/token/", {"username": who.username.replace("some", "ｓｏｍｅ")}),
    }
    path, body = by[how]
    return desk.post(path, {**body, **password}).status


WAYS = (
    "mycelium", "mycelium, upper case", "mycelium, full width", "mployr", "mikrocloud", "pipelit",
    "pipelit, upper case", "pipelit, full width",
)  # fmt: skip


def test_s43_all_names_of_an_account_share_a_counter(desk: Desk) -> None:
    """Eight names at four APIs: five guesses in all, not five at each."""
    who = someone(desk)
    found = [wrong(desk, how, who) for how in WAYS]
    assert [status == 429 for status in found] == [False] * PER_MINUTE + [True] * 3


@pytest.mark.parametrize("how", ["mycelium", "mployr", "pipelit, full width"])
def test_s43_whichever_name_was_guessed_at_the_others_wait(desk: Desk, how: str) -> None:
    """And the right password as well: it is the account that has to rest. Another account's does not."""
    who, other = someone(desk), someone(desk)
    for _ in range(PER_MINUTE):
        wrong(desk, how, who)
    waiting = Counter(wrong(desk, one, who) for one in WAYS)
    right = desk.post(f"{BASE}/users/login", {"email": who.email, "password": PASSWORD}).status
    others = desk.post(f"{BASE}/users/login", {"email": other.email, "password": PASSWORD}).status
    assert (waiting, right, others) == ({429: len(WAYS)}, 429, 200)


def test_s43_spellings_share_the_limit_of_mails(desk: Desk) -> None:
    """Three to a mailbox in a quarter of an hour, by any kind of mail."""
    who = someone(desk)
    typed = (who.email, who.email.upper(), who.email.replace("example", "ＥＸＡＭＰＬＥ"), who.email.title())
    paths = ("magic-link/request", "start-password-reset", "magic-link/request", "start-password-reset")
    found = [desk.post(f"{BASE}/users/{path}", {"email": text}).status for path, text in zip(paths, typed, strict=True)]
    assert found == [200, 200, 200, 429]
