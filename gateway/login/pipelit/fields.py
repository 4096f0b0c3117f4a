"""Members of request bodies, and what FastAPI says of those that are wrong: all of them at once, and never the value
itself, which may be a password.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from gateway.errors import RequestRejected
from gateway.identity import addresses, codes
from gateway.identity.passwords import MAX_LENGTH, MIN_LENGTH

Entry = Mapping[str, object]  # type, loc, msg, ctx

MAX_NAME = 200  # characters of an API key's name

_CODE = r"^\d{6}$"
_RECOVERY = re.compile(r"[A-Za-z2-7]{5}[ -]?[A-Za-z2-7]{5}")  # as `identity.codes` makes them


class Malformed(RequestRejected):
    """entries: of FastAPI's `detail` list."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__("invalid_value")
        self.entries = tuple(entries)


class Fields:
    """One body, read member by member; `check` tells of all that was wrong."""

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body = body
        self._wrong: list[Entry] = []

    def check(self) -> None:
        """Raises Malformed."""
        if self._wrong:
            raise Malformed(self._wrong)

    def text(self, name: str) -> str:
        """ "" where it is wrong."""
        if name not in self._body:
            return self._refuse(name, "missing", "Field required")
        value = self._body[name]
        return value if isinstance(value, str) else self._refuse(name, "string_type", "Input should be a valid string")

    def optional(self, name: str) -> str | None:
        """None where it is absent, or null."""
        return None if self._body.get(name) is None else self.text(name)

    def username(self, name: str) -> str:
        """Of somebody new."""
        before = len(self._wrong)
        value = self.text(name)
        if len(self._wrong) > before:
            return value
        if not value:
            return self._short(name, 1)
        try:
            return addresses.username(value)[0]
        except RequestRejected as fault:
            return self._refuse(name, "value_error", f"Value error, {fault.detail}")

    def password(self, name: str, check: Callable[[str], object]) -> str:
        """A new one. check: raises RequestRejected, which says what is wrong with it."""
        before = len(self._wrong)
        value = self.text(name)
        if len(self._wrong) > before:
            return value
        try:
            check(value)
        except RequestRejected as fault:
            if len(value) < MIN_LENGTH:
                return self._short(name, MIN_LENGTH)
            if len(value) > MAX_LENGTH:
                return self._long(name, MAX_LENGTH)
            return self._refuse(name, "value_error", f"Value error, {fault.detail}")
        return value

    def code(self, name: str, *, recovery: bool = False) -> str:
        """Six digits, with spaces around them forgiven. recovery: or a recovery code."""
        before = len(self._wrong)
        value = self.text(name)
        if len(self._wrong) > before or codes.digits(value) is not None:
            return value
        if recovery and _RECOVERY.fullmatch(value.strip(" ")):
            return value
        message = f"String should match pattern '{_CODE}'"
        return self._refuse(name, "string_pattern_mismatch", message, {"pattern": _CODE})

    def label(self, name: str) -> str:
        """Of a key: printable."""
        before = len(self._wrong)
        value = self.text(name).strip()
        if len(self._wrong) > before:
            return value
        if not value:
            return self._short(name, 1)
        if len(value) > MAX_NAME:
            return self._long(name, MAX_NAME)
        return value if value.isprintable() else self._refuse(name, "value_error", "Value error, not printable")

    def moment(self, name: str) -> float | None:
        """Seconds since the epoch of an ISO 8601 date-time, which is in UTC if it says no zone. None where absent."""
        before = len(self._wrong)
        value = self.optional(name)
        if value is None or len(self._wrong) > before:
            return None
        try:
            found = datetime.fromisoformat(value)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            self._refuse(name, "datetime_parsing", "Input should be a valid datetime")
            return None

    def _short(self, name: str, least: int) -> str:
        plural = "" if least == 1 else "s"
        message = f"String should have at least {least} character{plural}"
        return self._refuse(name, "string_too_short", message, {"min_length": least})

    def _long(self, name: str, most: int) -> str:
        message = f"String should have at most {most} characters"
        return self._refuse(name, "string_too_long", message, {"max_length": most})

    def _refuse(self, name: str, kind: str, message: str, context: Entry | None = None) -> str:
        entry = {"type": kind, "loc": ["body", name], "msg": message}
        self._wrong.append(entry if context is None else {**entry, "ctx": context})
        return ""
