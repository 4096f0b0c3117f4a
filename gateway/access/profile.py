"""The profile of a caller as services get it: JSON, Zstandard, Base64. The only home of zstandard.

The exact bytes are a contract with the published client libraries: compact UTF-8 JSON in camelCase without a null; one
frame of level 3 that tells its content size (a decoder refuses frames without); padded standard Base64.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

import zstandard

from gateway.access.authorize import Permit, narrowed, owned
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.model import Account, Licence, Owner, Ownership, Principal

Form = Literal["records", "urls"]
DEFAULT_BUDGET: Final = 7168  # bytes; servers in common use refuse a header line beyond 8190
_RECENT: Final = 1024  # profiles that are kept: callers renew their tokens, and are verified anew every half minute
_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class ProfileCounts:
    """Profiles over the budget: those that fitted as urls, as a reference, and not at all."""

    urls: int
    reference: int
    refused: int


class ProfileEncoder:
    """budget: bytes of the header value. Not for more than one thread."""

    def __init__(self, budget: int = DEFAULT_BUDGET) -> None:
        self._budget = budget
        self._zstd = zstandard.ZstdCompressor(level=3, write_content_size=True)
        self._whole = lru_cache(_RECENT)(self._as_records)
        self._urls = 0
        self._reference = 0
        self._refused = 0

    @property
    def counts(self) -> ProfileCounts:
        return ProfileCounts(self._urls, self._reference, self._refused)

    def carry(self, before: ProfileCounts) -> None:
        """Counts of an encoder that this one takes the place of."""
        self._urls += before.urls
        self._reference += before.reference
        self._refused += before.refused

    def encode(self, permit: Permit) -> bytes:
        """The value of x-mycelium-profile for a route that gets one.

        The permit's licences are the route's and the credential's own already. If they do not fit into the budget as
        records, the `urls` form is tried; then a reference: the profile without licences and ownerships, which says
        so in `filteringState` ("1:reference:LICENCES") and fails closed in a service that does not read it. Such a
        service asks the profile endpoint. Raises DependencyFailed("profile_too_large") when not even that fits.
        """
        account = _account(permit.principal)
        narrow = permit.principal is not None and permit.principal.role is not None
        value = self._whole(account, narrow, permit.licences, permit.ownerships)
        if len(value) <= self._budget:
            return value
        head = _head(account, narrow)
        value = self._packed(head | _belongings(permit.licences, permit.ownerships, "urls"))
        if len(value) <= self._budget:
            self._urls += 1
            return value
        value = self._packed(head | {"filteringState": [f"1:reference:{len(permit.licences)}"]})
        if len(value) <= self._budget:
            self._reference += 1
            return value
        self._refused += 1
        raise DependencyFailed("profile_too_large")

    def _as_records(
        self, account: Account, narrow: bool, licences: tuple[Licence, ...], ownerships: tuple[Ownership, ...]
    ) -> bytes:
        return self._packed(_head(account, narrow) | _belongings(licences, ownerships, "records"))

    def _packed(self, profile: Mapping[str, object]) -> bytes:
        return base64.b64encode(self._zstd.compress(_COMPACT(profile).encode()))


def as_json(principal: Principal, form: Form = "records", tenant_id: str | None = None) -> dict[str, object]:
    """The caller's whole profile, of one tenant if asked for. Raises RequestRejected("no_account")."""
    licences, ownerships = narrowed(principal), owned(principal)
    if tenant_id is not None:
        licences = tuple(licence for licence in licences if licence.tenant_id == tenant_id)
        ownerships = tuple(ownership for ownership in ownerships if ownership.tenant_id == tenant_id)
    head = _head(_account(principal), narrow=principal.role is not None)
    return head | _belongings(licences, ownerships, form)


def _account(principal: Principal | None) -> Account:
    if principal is None or principal.account is None:
        raise RequestRejected("no_account")
    return principal.account


def _head(account: Account, narrow: bool) -> dict[str, object]:
    """narrow: the credential is fixed to a role, so that the powers of staff and managers do not come with it."""
    staff = account.is_staff and not narrow
    return {
        "owners": [_owner(account.owner)],
        "accId": account.id,
        "isSubscription": account.kind != "human",
        "isManager": (account.is_manager and not narrow) or staff,  # Mycelium says both of staff
        "isStaff": staff,
        "ownerIsActive": account.owner.is_active,
        "accountIsActive": account.status == "active",
        "accountWasApproved": account.approved,
        "accountWasArchived": account.archived,
        "accountWasDeleted": account.deleted,
        "verboseStatus": _verbose_status(account),
    }


def _owner(owner: Owner) -> dict[str, object]:
    names = {"firstName": owner.first_name, "lastName": owner.last_name, "username": owner.username}
    given = {name: value for name, value in names.items() if value is not None}
    return {"id": owner.id, "email": owner.email, **given, "isPrincipal": True}


def _verbose_status(account: Account) -> str:
    """The first that holds, in Mycelium's order."""
    if account.deleted:
        return "deleted"
    if account.status != "active":
        return "inactive"
    if not account.approved:
        return "unverified"
    return "archived" if account.archived else "verified"


def _belongings(licences: Sequence[Licence], ownerships: Sequence[Ownership], form: Form) -> dict[str, object]:
    """Left out when there are none: clients take an absent member for none, and refuse a null."""
    belongings: dict[str, object] = {}
    if licences:
        belongings["licensedResources"] = {form: list(_licences(licences, form))}
    if ownerships:
        belongings["tenantsOwnership"] = {form: list(_ownerships(ownerships, form))}
    return belongings


def _licences(licences: Iterable[Licence], form: Form) -> Iterable[object]:
    return map(_licence_record if form == "records" else _licence_url, licences)


def _ownerships(ownerships: Iterable[Ownership], form: Form) -> Iterable[object]:
    return map(_ownership_record if form == "records" else _ownership_url, ownerships)


def _licence_record(licence: Licence) -> dict[str, object]:
    return {
        "accId": licence.account_id,
        "sysAcc": False,
        "tenantId": licence.tenant_id,
        "accName": licence.account_name,
        "role": licence.role,
        "roleId": licence.role_id,
        "perm": licence.permission,
        "verified": licence.verified,
    }


def _licence_url(licence: Licence) -> str:
    path = f"t/{_hex(licence.tenant_id)}/a/{_hex(licence.account_id)}/r/{_hex(licence.role_id)}"
    permission = 1 if licence.permission == "write" else 0
    return f"{path}?p={licence.role}:{permission}&s=0&v={licence.verified:d}&n={_name(licence.account_name)}"


def _ownership_record(ownership: Ownership) -> dict[str, object]:
    return {"id": ownership.tenant_id, "name": ownership.name, "since": _rfc3339(ownership.since)}


def _ownership_url(ownership: Ownership) -> str:
    return f"tid/{_hex(ownership.tenant_id)}?since={_rfc3339(ownership.since)}&name={_name(ownership.name)}"


def _hex(uuid: str) -> str:
    return uuid.replace("-", "")


def _name(text: str) -> str:
    # Clients read the url as a form, where a bare plus is a space.
    return base64.b64encode(text.encode()).decode().replace("+", "%2B")


def _rfc3339(seconds: float) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%S}Z"
