"""Passwords that are guessed first: common ones, and what is known of whoever sets one (NIST SP 800-63B 3.1.1.2)."""

from collections.abc import Iterable
from pathlib import Path

from gateway.identity.model import Account

LIST = Path(__file__).with_name("weak_passwords.txt")  # its head says where it is from
OURS = ("password", "mycelium", "gateway")
_DIGITS = "0123456789"


def common() -> frozenset[str]:
    """11,611 of them, casefolded: all that are long enough to be set. 1.5 MB."""
    lines = LIST.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def context_of(account: Account) -> tuple[str, ...]:
    """What an attacker knows of somebody."""
    owner = account.owner
    words = (account.name, owner.username, owner.first_name, owner.last_name, *of_address(owner.email))
    return tuple(word for word in words if word)


def of_address(address: str) -> tuple[str, ...]:
    """An e-mail address, and what stands before its `@`."""
    return (address, address.partition("@")[0])


def is_known(password: str, context: Iterable[str]) -> bool:
    """Whether it is a word of the context or one of ours, but for case, spaces and digits at the end."""
    folded = _folded(password)
    bare = folded.rstrip(_DIGITS)
    words = {_folded(word) for word in (*OURS, *context)}
    return folded in words or (bare != "" and bare in {word.rstrip(_DIGITS) for word in words})


def _folded(text: str) -> str:
    return "".join(text.casefold().split())
