"""A running gateway with somebody of every rank, and requests in their names."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from e2e.world import CONNECTION_STRING, Answer, ask, bearer
from harness.hosted import Hosted, hosted
from harness.people import PUBLIC_URL, People

from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.grants import Grants, Terms, session_claims
from gateway.identity.keys import active
from gateway.identity.model import Account
from gateway.identity.origin import Origin
from gateway.identity.tokens import mint

BASE: Final = "/_adm/api/v1"
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
INVITED: Final = re.compile(re.escape(PUBLIC_URL) + r"/_adm/invitations/([\w-]{43})\s")
DAY: Final = 86400.0


@dataclass(frozen=True)
class Person:
    """token: of a session that has just begun."""

    id: str
    email: str
    token: str
    grant_id: str


@dataclass(frozen=True)
class Tenant:
    """owner: owns it. delegate: is `tenant-manager` and `reader`, both with write. member: is `reader`."""

    id: str
    owner: Person
    delegate: Person
    member: Person


class Desk:
    def __init__(self, host: Hosted) -> None:
        self.host = host
        self._numbers = itertools.count(1)
        store, clock = host.store, host.hand.clock
        self.accounts = Accounts(store.accounts, store.tenants, store.roles, clock)
        self.grants = Grants(store.grants, store.keys, clock)
        self.staff = self.person(is_staff=True)
        self.manager = self.person(is_manager=True)

    # people

    def person(self, **flags: bool) -> Person:
        return self.host.do(self._person(f"person-{next(self._numbers)}@example.org", **flags))

    async def _person(self, email: str, **flags: bool) -> Person:
        made = await self.accounts.create_account(NewAccount(email, **flags))
        return await self._session(made)

    async def _session(self, account: Account, *, restricted: bool = False) -> Person:
        grant = await self.grants.issue_session(account.id, Terms(30 * DAY, restricted=restricted))
        key = active(await self.host.store.keys.signing_keys(), "token")
        token = mint(session_claims(grant, account, PUBLIC_URL, PUBLIC_URL), key)
        return Person(account.id, account.owner.email, token, grant.id)

    def again(self, person: Person, *, restricted: bool = False) -> Person:
        """A new session of theirs. restricted: whose second factor is still to come."""
        return self.host.do(self._again(person, restricted))

    async def _again(self, person: Person, restricted: bool) -> Person:
        return await self._session(await self.accounts.account(person.id), restricted=restricted)

    def tenant(self) -> Tenant:
        return self.host.do(self._tenant())

    async def _tenant(self) -> Tenant:
        owner, delegate, member = [await self._person(f"person-{next(self._numbers)}@example.org") for _ in range(3)]
        made = await self.accounts.create_tenant("Acme", owner.id)
        await self.accounts.assign_role(delegate.id, made.id, "tenant-manager", "write")
        await self.accounts.assign_role(delegate.id, made.id, "reader", "write")
        await self.accounts.assign_role(member.id, made.id, "reader", "read")
        return Tenant(made.id, owner, delegate, member)

    def key(self, person: Person) -> str:
        """An API key."""
        origin = Origin("192.0.2.1", "curl/8.5.0")
        return self.host.do(self.grants.issue_key(person.id, "test", None, "pipelit", origin)).secret

    def string(self, person: Person, tenant_id: str, role: str) -> str:
        until = self.host.hand.now() + DAY
        return self.host.do(self.grants.create_connection_string(person.id, tenant_id, role, until)).secret

    # requests

    def ask(
        self,
        method: str,
        path: str,
        caller: Person | None = None,
        body: object = None,
        query: Mapping[str, object] | None = None,
        *,
        string: str = "",
        token: str = "",
    ) -> Answer:
        """path: below the API, or whole."""
        whole = path if path.startswith("/_adm") else BASE + path
        url = f"{self.host.url}{whole}" + (f"?{urlencode(query)}" if query else "")
        presented = caller.token if caller is not None else token
        headers = bearer(presented) if presented else {}
        if string:
            headers = {**headers, CONNECTION_STRING: string}
        if body is None:
            return ask(url, method, headers)
        return ask(url, method, {**headers, "Content-Type": "application/json"}, json.dumps(body).encode())

    def send(self, method: str, path: str, caller: Person, body: bytes, kind: str) -> Answer:
        """A body as it is, of this type."""
        headers = {**bearer(caller.token), "Content-Type": kind}
        return ask(f"{self.host.url}{BASE}{path}", method, headers, body)

    def done(self, method: str, path: str, caller: Person, body: object = None, **query: object) -> Any:
        """What a good answer says."""
        answer = self.ask(method, path, caller, body, query)
        assert answer.status < 300, answer.body
        return answer.json() if answer.body else None

    def code(self, method: str, path: str, caller: Person, body: object = None, **query: object) -> tuple[int, str]:
        """Of a refusal."""
        answer = self.ask(method, path, caller, body, query)
        return answer.status, answer.code

    def invited(self, tenant: Tenant, email: str, role: str = "reader") -> str:
        """The token of an invitation's mail."""
        said = {"email": email, "role": role, "permission": "read"}
        self.done("POST", f"/tenants/{tenant.id}/invitations", self.staff, said)
        return self.host.mailed(email, INVITED)


@contextmanager
def opened(folder: Path, people: People, **more: Any) -> Iterator[Desk]:
    """more: merged into the configuration."""
    with hosted(folder, people, lambda _: more) as host:
        yield Desk(host)
