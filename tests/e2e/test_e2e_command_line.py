"""What the command line changes, a running gateway obeys within a second, although it has the caller in its cache."""

import time
from collections.abc import Iterator

import pytest

from gateway.cli.shared import Session

from . import world
from .parts import took, until
from .seeding import in_store, licensed
from .world import CONNECTION_STRING, Answer, Gateway, Home, Person

PROMISE = 1.0  # seconds
MARGIN = 1.0  # seconds, for a machine that has other things to do


@pytest.fixture(scope="module")
def running(template: Home, service: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = template.copy(tmp_path_factory.mktemp("commands"))
    with world.running(home, world.configuration({"app": service})) as gateway:
        yield gateway


@pytest.fixture
def guest(running: Gateway, request: pytest.FixtureRequest) -> Person:
    """An account with the role `role-0` in a tenant; the gateway has just let it in, so that it is in the cache."""
    found = licensed(running.home, 2, f"guest-{abs(hash(request.node.name))}")
    # the test before may have rotated the keys just now, and this token is signed with the new one
    until(lambda: get(running, found).status == 200, "200", PROMISE + MARGIN)
    return found


def get(gateway: Gateway, person: Person, path: str = "/app/echo") -> Answer:
    return gateway.ask(path, headers=person.headers)


def obeyed(running: Gateway, person: Person, status: int, path: str = "/app/echo") -> None:
    """From the end of the command on, within the promise."""
    seconds = took(lambda: get(running, person, path).status == status, f"status {status}", PROMISE + MARGIN)
    print(f"obeyed {seconds * 1000:.0f} ms after the command")


def test_a_disabled_account_is_out(running: Gateway, guest: Person) -> None:
    """`account disable`: 401, whatever the cache says."""
    assert running.home.told("account", "disable", guest.account)["status"] != "active"
    obeyed(running, guest, 401)


def test_an_enabled_account_is_in_again(running: Gateway, guest: Person) -> None:
    """`account enable`: with the credentials that it had."""
    running.home.told("account", "disable", guest.account)
    obeyed(running, guest, 401)
    running.home.told("account", "enable", guest.account)
    obeyed(running, guest, 200)


def test_a_revoked_grant_is_out(running: Gateway, guest: Person) -> None:
    """`grant revoke`: 401 with the reason."""
    assert running.home.told("grant", "revoke", guest.grant)["revoked"] is True
    obeyed(running, guest, 401)
    assert get(running, guest).code == "revoked_credential"


def test_a_revoked_connection_string_is_out(running: Gateway, guest: Person) -> None:
    """It stays refused although its signature is right and it has not expired."""
    tenant = running.home.told("role", "list", "--account", guest.account)[0]["tenantId"]
    place = ("--account", guest.account, "--tenant", tenant)
    made = running.home.told("connection-string", "create", *place, "--role", "role-1", "--expires-at", "1h")
    headers = {CONNECTION_STRING: made["connectionString"]}
    assert running.ask("/app/echo", headers=headers).status == 200
    grants = running.home.told("grant", "list", "--account", guest.account)
    (grant,) = [grant["id"] for grant in grants if grant["role"] == "role-1"]
    running.home.told("grant", "revoke", grant)
    took(lambda: running.ask("/app/echo", headers=headers).status == 401, "401", PROMISE + MARGIN)


def test_a_removed_role_closes_its_route(running: Gateway, guest: Person) -> None:
    """`role remove`: 403 on the route that wants it, and still 200 elsewhere."""
    place = ("--account", guest.account, "--tenant", running.home.tenant, "--role", "manager")
    running.home.told("role", "assign", *place, "--permission", "write")
    obeyed(running, guest, 200, "/manager/app/echo")
    running.home.told("role", "remove", *place)
    obeyed(running, guest, 403, "/manager/app/echo")
    assert get(running, guest).status == 200


def test_a_token_of_a_rotated_key_is_accepted_at_once(running: Gateway, guest: Person) -> None:
    """`keys rotate`: the running gateway knows the new key when the first token signed with it arrives."""
    rotated = running.home.told("keys", "rotate")["id"]
    fresh = Person(guest.account, running.home.told("token", "issue", "--account", guest.account)["token"], "")
    obeyed(running, fresh, 200)
    kids = {key["kid"] for key in running.ask("/.well-known/jwks.json").json()["keys"]}
    assert rotated in kids


def test_a_token_of_the_old_key_outlives_a_rotation(running: Gateway, guest: Person) -> None:
    """Nobody is logged out by it."""
    running.home.told("keys", "rotate")
    took(lambda: get(running, running.home.bob).status == 200, "200", PROMISE + MARGIN)
    assert get(running, guest).status == 200


def test_a_forced_rotation_ends_what_the_old_key_signed(running: Gateway, guest: Person) -> None:
    """`keys rotate --force`: the old key is gone, and with it the tokens that it signed."""
    running.home.told("keys", "rotate", "--force")
    obeyed(running, guest, 401)


def test_a_change_is_obeyed_within_a_second_of_being_written(running: Gateway, guest: Person) -> None:
    """Measured from the commit, of which the command's own end says little."""

    async def disable(session: Session) -> float:
        await session.accounts.disable(guest.account)
        return time.monotonic()

    written = in_store(running.home, disable)
    until(lambda: get(running, guest).status == 401, "401", PROMISE + MARGIN)
    print(f"obeyed {(time.monotonic() - written) * 1000:.0f} ms after the commit")
