"""Logging in with MikroCloud's API, beside Mycelium's on the same gateway."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from e2e.world import Answer
from harness.people import People

from .desk import PASSWORD, Desk, Person, opened

LOGIN, PASSPORT = "/user/login", "/user/passport"


@dataclass(frozen=True)
class Cloud:
    desk: Desk

    def login(self, person: Person, password: str = PASSWORD, end: str = "") -> Answer:
        return self.desk.post(LOGIN + end, {"email": person.email, "password": password})

    def passport(self, token: object, totp: object = None, end: str = "") -> Answer:
        return self.desk.post(PASSPORT + end, {"totp": totp, "token": token})

    def begun(self, person: Person) -> dict[str, Any]:
        """The answer of a right password."""
        answer = self.login(person)
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def token(self, person: Person) -> str:
        return str(self.begun(person)["token"])

    def passed(self, token: str, totp: object = None) -> dict[str, Any]:
        answer = self.passport(token, totp)
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def entered(self, person: Person) -> str:
        """An auth_token."""
        return str(self.passed(self.token(person))["auth_token"])

    def required(self) -> Person:
        """Somebody who must have a second factor, and has none."""
        person = self.desk.person()
        self.desk.host.do(self.desk.accounts.require_mfa(person.account, True))
        return person

    def drafted(self, person: Person) -> tuple[str, str]:
        """Token and secret of a login that has to enrol."""
        token = self.token(person)
        return token, self.secret(token)

    def secret(self, token: str) -> str:
        """What the QR code of this login holds; no scanner is at hand, so it is read where it is kept."""
        from gateway.identity.steps import client_digest
        from gateway.login.mikrocloud.user import unwrapped

        digest = client_digest("mikrocloud", unwrapped(token))
        found = self.desk.host.do(self.desk.host.store.changes().challenges.by_client(digest))
        assert found is not None
        assert found.draft is not None
        return found.draft

    def passes(self, token: str, hours: float) -> bool:
        """At the proxy, after so many more hours. Uses are written down within a minute, which no clock of ours moves:
        it is done at once."""
        self.desk.hand.ahead += 3600 * hours
        found = self.desk.passes(token)
        self.desk.host.do(self.desk.host.running.gateway.upkeep.write_used())
        return found

    def held(self, person: Person) -> bool:
        """Whether a second factor is on."""
        found = self.desk.host.do(self.desk.host.store.changes().factors.held(person.account))
        return found.active is not None

    def code(self, secret: str) -> str:
        return self.desk.code(secret)


@pytest.fixture(scope="session")
def cloud_shared(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with opened(tmp_path_factory.mktemp("cloud"), people, login={"mikrocloud": {}}) as desk:
        yield Cloud(desk)


@pytest.fixture
def cloud(cloud_shared: Cloud) -> Cloud:
    """With rested limits."""
    cloud_shared.desk.hand.rest()
    return cloud_shared
