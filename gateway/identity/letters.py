"""Mails as values: what is to be said to whom. How they look is `mail`; when they go is the outbox's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LetterKind = Literal[
    "magic_link",  # link, minutes, when, ip, platform
    "password_reset",  # code, minutes, when, ip, platform
    "password_changed",  # when, ip, platform
    "mfa_enabled",  # when, ip, platform
    "mfa_disabled",  # when, ip, platform
    "recovery_codes_replaced",  # when, ip, platform
    "recovery_code_used",  # left, when, ip, platform
    "connection_string_created",  # name, tenant, role, expires, when, ip, platform
    "login_approval",  # link, minutes, when, ip, platform
    "login_denied",  # when, ip, platform
    "email_confirmation",  # link, minutes, when, ip, platform
    "email_changed",  # when, ip, platform
    "identity_linked",  # provider, when, ip, platform
    "invitation",  # link, tenant, role, expires, when, ip, platform
]


@dataclass(frozen=True, slots=True)
class Letter:
    """to: the stored address, never one that a request wrote. values: texts by the names beside the kind.

    decoy: takes the place, and the time, of a mail to somebody who is not there; it is never sent.
    """

    kind: LetterKind
    to: str
    values: Mapping[str, str] = field(repr=False)  # links and codes are among them
    decoy: bool = False
