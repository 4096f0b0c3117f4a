"""The published client library opens the profile header that a service really gets, and finds what the store says."""

import importlib
import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from gateway.identity.model import Licence, Standing

from . import world
from .parts import need
from .seeding import licensed, standing
from .world import Gateway, Home, Person

LICENCES = (0, 1, 10, 30, 200)
People = dict[int, Person]


def decoded(header: str) -> Any:
    """The library's own `Profile`."""
    need(importlib.util.find_spec("myc_http_tools"), "the Python package mycelium-http-tools 0.1.0a9")
    published = importlib.import_module("myc_http_tools.functions")
    return published.decode_and_decompress_profile_from_base64(header)


@pytest.fixture(scope="module")
def own_home(template: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return template.copy(tmp_path_factory.mktemp("profiles"))


@pytest.fixture(scope="module")
def people(own_home: Home) -> People:
    """By their number of licences."""
    return {number: licensed(own_home, number, f"with-{number}") for number in LICENCES}


@pytest.fixture(scope="module")
def roomy(own_home: Home, people: People, service: int) -> Iterator[Gateway]:
    """Whatever the profile's size, it goes on as records."""
    with world.running(own_home, world.configuration({"app": service}, profile={"budget": "16KiB"})) as gateway:
        yield gateway


@pytest.fixture
def narrow(roomy: Gateway, people: People) -> Iterator[Gateway]:
    """The budget is one byte too small for the records of thirty licences."""
    size = len(header_of(roomy, people[30]))
    roomy.configure({**roomy.said, "profile": {"budget": f"{size - 1}B"}})
    assert roomy.home.run("reload").returncode == 0
    yield roomy
    roomy.configure(roomy.said)
    assert roomy.home.run("reload").returncode == 0


def header_of(gateway: Gateway, person: Person, path: str = "/app/echo") -> str:
    """x-mycelium-profile, as the service got it."""
    answer = gateway.ask(path, headers=person.headers)
    assert answer.status == 200, answer.body
    (header,) = [value for name, value in answer.json()["headers"] if name.lower() == "x-mycelium-profile"]
    assert isinstance(header, str)
    return header


def told(licence: Licence) -> tuple[object, ...]:
    """As the library's model has it."""
    ids = (UUID(licence.account_id), UUID(licence.tenant_id), UUID(licence.role_id))
    return (*ids, licence.account_name, licence.role, licence.permission, licence.verified, False)


def read(found: Any) -> tuple[object, ...]:
    ids = (found.acc_id, found.tenant_id, found.role_id)
    return (*ids, found.acc_name, found.role, found.perm.value, found.verified, found.sys_acc)


def licences_in(profile: Any) -> list[tuple[object, ...]]:
    held = profile.licensed_resources
    return sorted(read(one) for one in held.to_licenses_vector()) if held is not None else []


@pytest.mark.parametrize("number", LICENCES)
def test_every_licence_is_read_as_the_store_has_it(roomy: Gateway, people: People, number: int) -> None:
    """From none to two hundred of them, as records."""
    profile = decoded(header_of(roomy, people[number]))
    held = standing(roomy.home, people[number]).licences
    assert len(held) == number
    assert licences_in(profile) == sorted(map(told, held))


@pytest.mark.parametrize("number", LICENCES)
def test_the_account_and_its_owner_are_read_as_the_store_has_them(roomy: Gateway, people: People, number: int) -> None:
    """Ids, the address, the flags and the status."""
    profile = decoded(header_of(roomy, people[number]))
    account = standing(roomy.home, people[number]).account
    (owner,) = profile.owners
    assert (profile.acc_id, owner.id) == (UUID(account.id), UUID(account.owner.id))
    assert (owner.email, owner.username, owner.is_principal) == (account.owner.email, account.owner.username, True)
    flags = (profile.is_subscription, profile.is_staff, profile.is_manager, profile.owner_is_active)
    state = (profile.account_is_active, profile.account_was_approved, profile.account_was_archived)
    assert flags == (False, account.is_staff, account.is_manager, account.owner.is_active)
    assert state == (account.status == "active", account.approved, account.archived)
    assert (profile.account_was_deleted, profile.verbose_status.value) == (account.deleted, "verified")


def test_an_ownership_is_read_as_the_store_has_it(roomy: Gateway, people: People) -> None:
    """The tenant's id and name, and since when."""
    profile = decoded(header_of(roomy, people[30]))
    (owned,) = standing(roomy.home, people[30]).ownerships
    (found,) = profile.tenants_ownership.records
    since = datetime.fromtimestamp(int(owned.since), UTC)
    assert (found.id, found.name) == (UUID(owned.tenant_id), owned.name)
    assert datetime.fromisoformat(found.since) == since


def test_the_urls_form_is_read_as_the_store_has_it(narrow: Gateway, people: People) -> None:
    """Where records do not fit, the library reads the same licences from the shorter form."""
    profile = decoded(header_of(narrow, people[30]))
    assert profile.licensed_resources.records is None
    assert len(profile.licensed_resources.urls) == 30
    assert licences_in(profile) == sorted(map(told, standing(narrow.home, people[30]).licences))


def test_a_profile_that_fits_in_no_form_opens_no_door(narrow: Gateway, people: People) -> None:
    """Two hundred licences beyond the budget: the library reads a caller without any, and says how it came to be."""
    profile = decoded(header_of(narrow, people[200]))
    assert (licences_in(profile), profile.filtering_state) == ([], ["1:reference:200"])


def test_a_route_for_a_role_shows_the_library_that_role_alone(gateway: Gateway) -> None:
    """What the service can do with the profile is what the route was for."""
    profile = decoded(header_of(gateway, gateway.home.ada, "/manager/app/echo"))
    assert {role for *_, role, _, _, _ in licences_in(profile)} == {"manager"}


def test_the_library_filters_by_tenant_and_permission(roomy: Gateway, people: People) -> None:
    """Its own chain of filters leaves what the store holds there for writing."""
    profile = decoded(header_of(roomy, people[200]))
    held = standing(roomy.home, people[200])
    tenant = held.licences[0].tenant_id
    left = profile.on_tenant(tenant).with_write_access()
    assert licences_in(left) == sorted(told(one) for one in writable(held, tenant))


def writable(held: Standing, tenant: str) -> list[Licence]:
    return [one for one in held.licences if one.tenant_id == tenant and one.permission == "write"]
