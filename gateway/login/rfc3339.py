"""Times as login APIs and the command line write them. For people: `identity.notices`."""

from datetime import UTC, datetime
from typing import overload


@overload
def moment(at: float) -> str: ...
@overload
def moment(at: None) -> None: ...
@overload
def moment(at: float | None) -> str | None: ...
def moment(at: float | None) -> str | None:
    """at: seconds since the epoch. RFC 3339, whole seconds, UTC."""
    return None if at is None else f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%dT%H:%M:%SZ}"
