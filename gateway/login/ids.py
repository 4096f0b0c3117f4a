"""Ids of ours as callers name them: UUIDs."""

import re
from typing import Final

from gateway.errors import RequestRejected
from gateway.identity.connection_string import UUID
from gateway.login.dialect import Call

_UUID: Final = re.compile(UUID).fullmatch


def is_id(text: str) -> bool:
    """In lower case, as ours are written."""
    return _UUID(text) is not None


def id_param(call: Call, name: str, absent: str = "") -> str:
    """Of the path, in lower case. Raises RequestRejected("not_found") for what is no UUID. absent: its detail."""
    value = call.params[name].lower()
    if not is_id(value):
        raise RequestRejected("not_found", absent)
    return value
