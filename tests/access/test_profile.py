"""The profile header, byte for byte, and what happens to one that is too large."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
import zstandard
from identity.forge import NOW

from gateway.access.authorize import Permit
from gateway.access.profile import DEFAULT_BUDGET, ProfileCounts, ProfileEncoder, as_json
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.model import Account, Licence, Ownership, Principal

from .world import ALICE, LICENCES, OTHER_TENANT, OWNER, OWNERSHIPS, TENANT, licence, principal, route


def permit(
    who: Principal | None = None,
    licences: tuple[Licence, ...] = LICENCES,
    ownerships: tuple[Ownership, ...] = OWNERSHIPS,
) -> Permit:
    return Permit(who or principal(), route(), licences, ownerships, NOW + 1)


def decoded(value: bytes) -> dict[str, object]:
    profile = json.loads(zstandard.ZstdDecompressor().decompress(base64.b64decode(value, validate=True)))
    assert isinstance(profile, dict)
    return profile


def of(account: Account) -> Mapping[str, object]:
    return decoded(ProfileEncoder().encode(permit(principal(account=account))))


def many(number: int) -> tuple[Licence, ...]:
    return tuple(
        licence("reader", account_id=f"{index:032x}", role_id=f"{index * 7919:032x}") for index in range(number)
    )


def test_the_profile_is_the_json_that_clients_read() -> None:
    """The whole of it: names, order, types, and nothing that is null."""
    value = ProfileEncoder().encode(permit(licences=LICENCES[:1], ownerships=OWNERSHIPS[1:]))
    text = zstandard.ZstdDecompressor().decompress(base64.b64decode(value)).decode()
    assert text == (
        '{"owners":[{"id":"0e000000-0000-4000-8000-000000000001","email":"ada@example.org","firstName":"Ada",'
        '"username":"ada","isPrincipal":true}],"accId":"ac000000-0000-4000-8000-000000000001","isSubscription":false,'
        '"isManager":false,"isStaff":false,"ownerIsActive":true,"accountIsActive":true,"accountWasApproved":true,'
        '"accountWasArchived":false,"accountWasDeleted":false,"verboseStatus":"verified","licensedResources":'
        '{"records":[{"accId":"acc-1","sysAcc":false,"tenantId":"7a000000-0000-4000-8000-000000000001","accName":'
        '"Orders","role":"manager","roleId":"id-manager","perm":"write","verified":true}]},"tenantsOwnership":'
        '{"records":[{"id":"7a000000-0000-4000-8000-000000000002","name":"Other","since":"2023-11-14T22:13:20Z"}]}}'
    )


def test_the_frame_tells_its_content_size() -> None:
    """mycelium-http-tools 0.2.0 refuses a frame that does not."""
    frame = base64.b64decode(ProfileEncoder().encode(permit()))
    size = zstandard.frame_content_size(frame)
    assert size == len(zstandard.ZstdDecompressor().decompress(frame)) > 0


def test_the_frame_is_one_and_has_neither_checksum_nor_dictionary() -> None:
    """What every client was seen to read."""
    parameters = zstandard.get_frame_parameters(base64.b64decode(ProfileEncoder().encode(permit())))
    assert (parameters.has_checksum, parameters.dict_id) == (False, 0)


def test_the_value_is_standard_padded_base64() -> None:
    """The URL-safe alphabet and a missing padding are refused by every client."""
    for number in range(12):
        value = ProfileEncoder().encode(permit(licences=many(number)))
        assert len(value) % 4 == 0
        assert re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", value)


def test_an_encoder_is_used_again_and_again() -> None:
    """One compressor, the same bytes."""
    encoder = ProfileEncoder()
    assert encoder.encode(permit()) == encoder.encode(permit())


def test_without_licences_and_ownerships_their_members_are_absent() -> None:
    """Absent, not null and not empty."""
    profile = decoded(ProfileEncoder().encode(permit(licences=(), ownerships=())))
    assert not {"licensedResources", "tenantsOwnership", "meta", "filteringState"} & profile.keys()


def test_names_that_are_not_known_are_absent() -> None:
    """A null would be refused."""
    account = replace(ALICE, owner=replace(OWNER, username=None, first_name=None, last_name="L", email=""))
    assert of(account)["owners"] == [{"id": OWNER.id, "email": "", "lastName": "L", "isPrincipal": True}]


def test_a_name_may_hold_anything() -> None:
    """It is inside the frame, so that a line break is no header."""
    account = replace(ALICE, owner=replace(OWNER, first_name='Zoë\r\nx-evil: 1 "😀'))
    assert of(account)["owners"][0]["firstName"] == 'Zoë\r\nx-evil: 1 "😀'  # type: ignore[index]


@pytest.mark.parametrize(
    ("account", "status"),
    [
        (ALICE, "verified"),
        (replace(ALICE, archived=True), "archived"),
        (replace(ALICE, archived=True, approved=False), "unverified"),
        (replace(ALICE, approved=False, status="disabled"), "inactive"),
        (replace(ALICE, status="disabled", deleted=True), "deleted"),
    ],
)
def test_the_verbose_status_is_the_first_that_holds(account: Account, status: str) -> None:
    """deleted, inactive, unverified, archived, verified: Mycelium's order."""
    assert of(account)["verboseStatus"] == status


@pytest.mark.parametrize(
    ("account", "flags"),
    [
        (ALICE, (False, False)),
        (replace(ALICE, is_manager=True), (False, True)),
        (replace(ALICE, is_staff=True), (True, True)),
    ],
)
def test_staff_are_managers_too(account: Account, flags: tuple[bool, bool]) -> None:
    """As Mycelium says it."""
    profile = of(account)
    assert (profile["isStaff"], profile["isManager"]) == flags


@pytest.mark.parametrize(
    ("changes", "member", "value"),
    [
        ({"kind": "service"}, "isSubscription", True),
        ({"status": "disabled"}, "accountIsActive", False),
        ({"approved": False}, "accountWasApproved", False),
        ({"archived": True}, "accountWasArchived", True),
        ({"deleted": True}, "accountWasDeleted", True),
        ({"owner": replace(OWNER, is_active=False)}, "ownerIsActive", False),
    ],
)
def test_a_flag_follows_its_column(changes: dict[str, object], member: str, value: bool) -> None:
    """One row of the account for each."""
    assert of(replace(ALICE, **changes))[member] is value  # type: ignore[arg-type]


@pytest.mark.parametrize("account", [replace(ALICE, is_staff=True), replace(ALICE, is_manager=True)])
def test_a_credential_fixed_to_a_role_carries_no_power_of_staff(account: Account) -> None:
    """A client library takes isStaff for every permission there is."""
    who = principal(account=account, tenant_id=TENANT, role="reader")
    profile = decoded(ProfileEncoder().encode(permit(who)))
    assert (profile["isStaff"], profile["isManager"]) == (False, False)


def test_ten_licences_fit_as_records() -> None:
    """The usual case is far below the budget."""
    encoder = ProfileEncoder()
    assert len(encoder.encode(permit(licences=many(10)))) < DEFAULT_BUDGET / 4
    assert encoder.counts == ProfileCounts(0, 0, 0)


def test_a_profile_of_exactly_the_budget_stays_as_it_is() -> None:
    """The bound itself is inside."""
    size = len(ProfileEncoder().encode(permit()))
    encoder = ProfileEncoder(size)
    assert len(encoder.encode(permit())) == size
    assert encoder.counts == ProfileCounts(0, 0, 0)


def test_a_profile_one_byte_over_the_budget_is_sent_in_another_form() -> None:
    """The other side of the bound."""
    encoder = ProfileEncoder(len(ProfileEncoder().encode(permit())) - 1)
    encoder.encode(permit())
    assert encoder.counts != ProfileCounts(0, 0, 0)


def test_over_the_budget_licences_become_urls() -> None:
    """Exactly one of records and urls, in the form that Mycelium's clients parse."""
    held = tuple(
        replace(entry, tenant_id=TENANT, account_id=ALICE.id, role_id=OWNER.id, account_name="Orders & ü>>>?")
        for entry in many(40)
    )
    encoder = ProfileEncoder(len(ProfileEncoder().encode(permit(licences=held))) - 1)
    profile = decoded(encoder.encode(permit(licences=held)))
    assert encoder.counts == ProfileCounts(1, 0, 0)
    assert profile["licensedResources"] == {
        "urls": [
            "t/7a000000000040008000000000000001/a/ac000000000040008000000000000001/r/0e000000000040008000000000000001"
            "?p=reader:0&s=0&v=1&n=T3JkZXJzICYgw7w%2BPj4/"
        ]
        * 40
    }
    assert profile["tenantsOwnership"] == {
        "urls": [
            "tid/7a000000000040008000000000000001?since=2023-11-14T22:13:20Z&name=QWNtZQ==",
            "tid/7a000000000040008000000000000002?since=2023-11-14T22:13:20Z&name=T3RoZXI=",
        ]
    }


def test_far_over_the_budget_the_profile_is_a_reference() -> None:
    """Without licences it fails closed, and it says how many there are."""
    encoder = ProfileEncoder(1000)
    profile = decoded(encoder.encode(permit(licences=many(500))))
    assert not {"licensedResources", "tenantsOwnership"} & profile.keys()
    assert (profile["accId"], profile["filteringState"]) == (ALICE.id, ["1:reference:500"])
    assert encoder.counts == ProfileCounts(0, 1, 0)


def test_what_does_not_fit_at_all_is_an_error_with_a_name() -> None:
    """Never a silent 502 of the upstream."""
    encoder = ProfileEncoder(10)
    with pytest.raises(DependencyFailed, match="profile_too_large"):
        encoder.encode(permit())
    assert encoder.counts == ProfileCounts(0, 0, 1)


def test_an_unchanged_caller_is_not_encoded_twice() -> None:
    """Equal values, though other objects: the very same bytes."""
    encoder = ProfileEncoder()
    again = permit(principal(account=replace(ALICE)), tuple(replace(one) for one in LICENCES))
    assert encoder.encode(permit()) is encoder.encode(again)


@pytest.mark.parametrize(
    "other",
    [
        permit(principal(account=replace(ALICE, is_manager=True))),
        permit(principal(account=replace(ALICE, owner=replace(OWNER, email="eve@example.org")))),
        permit(principal(account=replace(ALICE, is_staff=True), role="manager")),
        permit(licences=LICENCES[:1]),
        permit(ownerships=OWNERSHIPS[:1]),
    ],
    ids=["flags", "owner", "narrow", "licences", "ownerships"],
)
def test_a_changed_caller_is_encoded_anew(other: Permit) -> None:
    """Nothing of one caller's profile is told of another."""
    encoder = ProfileEncoder()
    encoder.encode(permit(principal(account=replace(ALICE, is_staff=True))))
    encoder.encode(permit())
    assert encoder.encode(other) == ProfileEncoder().encode(other)


def test_each_profile_over_the_budget_is_counted() -> None:
    """Also one that was made before."""
    encoder = ProfileEncoder(1000)
    for _ in range(2):
        encoder.encode(permit(licences=many(500)))
    assert encoder.counts == ProfileCounts(0, 2, 0)


def test_a_caller_without_account_has_no_profile() -> None:
    """403 no_account."""
    with pytest.raises(RequestRejected, match="no_account"):
        as_json(principal(None))


def test_the_whole_profile_is_the_one_of_the_header() -> None:
    """On a protected route."""
    assert as_json(principal()) == decoded(ProfileEncoder().encode(permit()))


def test_the_whole_profile_may_be_of_one_tenant() -> None:
    """Licences and ownerships of the others are left out."""
    profile = as_json(principal(), tenant_id=OTHER_TENANT)
    assert [entry["tenantId"] for entry in profile["licensedResources"]["records"]] == [OTHER_TENANT]  # type: ignore[index]
    assert [entry["id"] for entry in profile["tenantsOwnership"]["records"]] == [OTHER_TENANT]  # type: ignore[index]


def test_the_whole_profile_of_a_narrow_credential_is_narrow() -> None:
    """A connection string shows what it may use, not what its account may."""
    profile = as_json(principal(tenant_id=TENANT, role="manager"))
    assert [entry["role"] for entry in profile["licensedResources"]["records"]] == ["manager"]  # type: ignore[index]
    assert "tenantsOwnership" not in profile


def test_the_whole_profile_may_be_urls() -> None:
    """withUrl=true."""
    assert as_json(principal(), form="urls")["licensedResources"].keys() == {"urls"}  # type: ignore[attr-defined]
