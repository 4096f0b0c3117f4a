"""Passwords for one command."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.identity.passwords import Passwords


@contextmanager
def hashing() -> Iterator[Passwords]:
    passwords = Passwords(threads=1)
    try:
        yield passwords
    finally:
        passwords.close()
