"""Accounts that come from another system: one line of JSON each, as `gateway account import` reads them.

What a line says is checked here, alone; what is there already is the store's to say.
"""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from gateway.errors import RequestRejected
from gateway.identity.accounts import require_slug
from gateway.identity.addresses import Address, address, display_name, username
from gateway.identity.model import Permission
from gateway.identity.passwords import require_known

Status = Literal["active", "disabled"]

FIELDS: Mapping[str, type] = {
    "email": str,
    "username": str,
    "name": str,
    "status": str,
    "isStaff": bool,
    "isManager": bool,
    "passwordHash": str,
    "totpSecret": str,
    "roles": list,
}
ROLE = ("tenant", "role", "permission")
MAX_ROLES = 1000  # of one account
SECRET = range(10, 129)  # bytes; Google's app began with 10, SHA-1 makes no use of more than 64, some have 128


@dataclass(frozen=True, slots=True)
class Held:
    """A role in a tenant."""

    tenant_id: str
    role: str
    permission: Permission


@dataclass(frozen=True, slots=True)
class Arrival:
    """username: as shown, and the key that it is compared by. totp: base32, without padding."""

    line: int
    email: Address
    username: tuple[str, str] | None
    name: str
    is_staff: bool
    is_manager: bool
    status: Status
    phc: str | None = field(repr=False)
    totp: str | None = field(repr=False)
    roles: frozenset[Held]


def read(line: int, text: bytes, tenant: Callable[[str], str]) -> Arrival:
    """tenant: its id, by id or name; raises as this does.

    Raises RequestRejected("invalid_value"), which says what to change and repeats no secret.
    """
    said = _object(text)
    if "email" not in said:
        raise _wrong('there is no "email"')
    email = address(str(said["email"]))
    named = username(str(said["username"])) if "username" in said else None
    name = display_name(str(said["name"])) if "name" in said else named[0] if named else email.text
    phc = str(said["passwordHash"]) if "passwordHash" in said else None
    if phc is not None:
        require_known(phc)
    staff = said.get("isStaff") is True
    return Arrival(
        line=line,
        email=email,
        username=named,
        name=name,
        is_staff=staff,
        # as `accounts.create_account` has it
        is_manager=staff or said.get("isManager") is True,
        status=_status(str(said.get("status", "active"))),
        phc=phc,
        totp=_secret(str(said["totpSecret"])) if "totpSecret" in said else None,
        roles=_roles(cast(list[object], said.get("roles", [])), tenant),
    )


def _object(text: bytes) -> Mapping[str, object]:
    """Without what is null."""
    try:
        said = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one
        raise _wrong("this is not one object of JSON in UTF-8") from error
    if not isinstance(said, dict):
        raise _wrong("this is not one object of JSON in UTF-8")
    _require_names(said, FIELDS)
    found = {str(name): value for name, value in said.items() if value is not None}
    for name, value in found.items():
        if not isinstance(value, FIELDS[name]):
            kind = {str: "text", bool: "true or false", list: "a list"}[FIELDS[name]]
            raise _wrong(f'"{name}" must be {kind}')
    return found


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """What stands there twice would count once, and nobody knows which."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _require_names(said: Collection[object], known: Collection[str]) -> None:
    for name in said:
        if name not in known:
            raise _wrong(f"{json.dumps(str(name)[:64])} is not one of {', '.join(known)}")


def _status(text: str) -> Status:
    if text not in get_args(Status):
        raise _wrong('"status" is active or disabled')
    return cast(Status, text)


def _secret(text: str) -> str:
    bare = text.replace(" ", "").replace("-", "").upper().rstrip("=")
    try:
        raw = base64.b32decode(bare + "=" * (-len(bare) % 8))
    except (binascii.Error, ValueError) as error:
        raise _wrong('"totpSecret" must be base32, as an authenticator app takes it') from error
    if len(raw) not in SECRET:
        raise _wrong(f'"totpSecret" must have {SECRET.start} to {SECRET.stop - 1} bytes')
    return bare


def _roles(said: list[object], tenant: Callable[[str], str]) -> frozenset[Held]:
    if len(said) > MAX_ROLES:
        raise _wrong(f"an account has at most {MAX_ROLES} roles")
    return frozenset(_role(one, tenant) for one in said)


def _role(said: object, tenant: Callable[[str], str]) -> Held:
    if not isinstance(said, dict) or set(said) != set(ROLE) or not all(isinstance(one, str) for one in said.values()):
        raise _wrong('each of "roles" must have the texts "tenant", "role" and "permission"')
    if said["permission"] not in get_args(Permission):
        raise _wrong('"permission" is read or write')
    require_slug(said["role"])
    return Held(tenant(said["tenant"]), said["role"], said["permission"])


def _wrong(why: str) -> RequestRejected:
    return RequestRejected("invalid_value", why)
