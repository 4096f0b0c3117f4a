"""Where people log in with Mycelium's API: accounts that are made as they are needed, and requests in their name."""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pyotp
from argon2 import PasswordHasher
from e2e.parts import until
from e2e.world import CONNECTION_STRING, Answer, ask, bearer
from harness.hosted import CODE, LINK, Hosted, TwoHands, hosted
from harness.people import People
from harness.upstream import Line, Upstream
from identity.forge import AUDIENCE, CLAIMS, ISSUER, jwk, private_key, token
from identity.mini_app import ADA, TOKEN, of_user

from gateway.identity.accounts import Accounts, NewAccount

BASE: Final = "/_adm/beginners"
LINKS, TOTP, TOKENS = f"{BASE}/users/magic-link", f"{BASE}/users/totp", f"{BASE}/tokens"
AGENT: Final = "curl/8.5.0"
PASSWORD: Final = "correct horse battery"
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
SHOWN = re.compile(r'class="code"[^>]*>(\d{6})<')


@dataclass(frozen=True)
class Person:
    """Manager in `tenant`, which they own."""

    email: str
    account: str
    tenant: str


@dataclass(frozen=True)
class App:
    """An authenticator app, and the session that it was set up in. codes: for recovery."""

    secret: str
    token: str
    codes: list[str]


@cache
def phc() -> str:
    """Of PASSWORD."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)


class Desk:
    def __init__(self, host: Hosted) -> None:
        self.host = host
        self._numbers = itertools.count(1)
        self._kept: dict[str, tuple[str, float]] = {}
        store = host.store
        self.accounts = Accounts(store.accounts, store.tenants, store.roles, host.hand.clock)

    @property
    def hand(self) -> TwoHands:
        return self.host.hand

    # requests

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str | None = None,
        string: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """body: JSON, or bytes as they are."""
        said = {"User-Agent": AGENT, **(bearer(token) if token is not None else {}), **(headers or {})}
        if string is not None:
            said[CONNECTION_STRING] = string
        if body is not None:
            said.setdefault("Content-Type", "application/json")
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return ask(self.host.url + path, method, said, raw)

    def post(self, path: str, body: object = None, token: str | None = None) -> Answer:
        return self.ask("POST", path, body, token)

    def passes(self, token: str) -> bool:
        """Whether a route for callers lets it through. After a jump of the clock, what is known of revocations is too
        old, and nobody passes before they are read again."""
        answer = until(lambda: self._told("GET", "/secure/x", token), "revocations that were read")
        assert answer.status in (200, 401), answer.body
        return answer.status == 200

    def _told(self, method: str, path: str, token: str) -> Answer | None:
        answer = self.ask(method, path, token=token)
        return None if answer.status == 503 else answer

    def kept(self, name: str, make: Callable[[], str]) -> str:
        """What many tests only look at: made once, and anew when the gateway's clock is minutes on."""
        made = self._kept.get(name)
        if made is None or self.hand.now() - made[1] > 200:
            made = self._kept[name] = (make(), self.hand.now())
        return made[0]

    # people

    def person(self) -> Person:
        return self.host.do(self._person())

    async def _person(self) -> Person:
        address = f"person-{next(self._numbers)}@example.org"
        made = await self.accounts.create_account(NewAccount(address, phc=phc()))
        tenant = await self.accounts.create_tenant("Acme", made.id)
        await self.accounts.assign_role(made.id, tenant.id, "manager", "write")
        return Person(address, made.id, tenant.id)

    def link(self, person: Person | str) -> str:
        """The token of a new link."""
        address = person if isinstance(person, str) else person.email
        assert self.post(f"{LINKS}/request", {"email": address}).status == 200
        return self.host.mailed(address, LINK)

    def login(self, person: Person | None = None) -> str:
        """A token: restricted where a second factor is on."""
        answer = self.post(f"{LINKS}/verify", {"token": self.link(person or self.person())})
        assert answer.status == 200, answer.body
        return str(answer.json()["token"])

    def code_shown(self, person: Person) -> str:
        """By the page that the link opens."""
        page = self.ask("POST", f"{LINKS}/display/{self.link(person)}").body.decode()
        found = SHOWN.search(page)
        assert found, page
        return found[1]

    def reset_code(self, person: Person) -> str:
        assert self.post(f"{BASE}/users/start-password-reset", {"email": person.email}).status == 200
        return self.host.mailed(person.email, CODE)

    # second factors

    def begun(self, token: str) -> str:
        """The secret of a second factor that is not confirmed yet."""
        answer = self.post(f"{TOTP}/enable", token=token)
        assert answer.status == 200, answer.body
        return secret_of(answer.json()["totpUrl"])

    def app(self, person: Person | None = None) -> App:
        """A second factor that is on, with the session that it was set up in."""
        token = self.login(person)
        secret = self.begun(token)
        answer = self.post(f"{TOTP}/validate-app", {"token": self.code(secret)}, token)
        assert answer.status == 200, answer.body
        return App(secret, token, answer.json()["recoveryCodes"])

    def code(self, secret: str) -> str:
        """Of a step that nothing was accepted in: the clock is put forward to the next."""
        self.hand.ahead += 30
        return pyotp.TOTP(secret).at(int(self.hand.now()))

    def wrong(self, secret: str) -> str:
        """A code of none of the steps around now."""
        right = self.around(secret)
        return next(code for code in (f"{number:06d}" for number in range(10)) if code not in right)

    def around(self, secret: str) -> set[str]:
        """The codes of the steps around now."""
        app, now = pyotp.TOTP(secret), int(self.hand.now())
        return {app.at(now + 30 * step) for step in range(-3, 4)}

    def pending(self, person: Person | None = None) -> tuple[App, str]:
        """And a restricted token, which waits for the app's code."""
        person = person or self.person()
        app = self.app(person)
        return app, self.login(person)

    # what people own

    def string(self, person: Person, token: str) -> str:
        """A connection string."""
        answer = self.post(TOKENS, self.wanted(person), token)
        assert answer.status == 200, answer.body
        return str(answer.json()["connectionString"])

    def wanted(self, person: Person, **changes: object) -> dict[str, object]:
        """The body of the seed."""
        said = {"tenantId": person.tenant, "accountId": person.account, "role": "manager"}
        return {**said, "expiresAt": "2027-01-01T00:00:00Z", **changes}

    def external(self, subject: str) -> str:
        """A token of the external issuer."""
        now = int(self.hand.now())
        return token(private_key("RS256"), claims={**CLAIMS, "sub": subject, "iat": now, "exp": now + 600}).decode()

    def mini_app(self, user: int) -> str:
        """What Telegram signs of this user."""
        return of_user({**ADA, "id": user}, TOKEN, self.hand.now())


def secret_of(url: str) -> str:
    (secret,) = parse_qs(urlsplit(url).query)["secret"]
    return secret


async def _keys(line: Line) -> None:
    """Answers whatever is asked with the external issuer's key set."""
    document = json.dumps({"keys": [jwk(private_key("RS256"))]}).encode()
    while True:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(document), document))


@contextmanager
def opened(folder: Path, people: People, **more: Any) -> Iterator[Desk]:
    """more: merged into the configuration."""

    def configure(upstream: Upstream) -> Mapping[str, Any]:
        issuer = {"name": "outside", "issuer": ISSUER, "jwks_url": f"{upstream.url}/jwks"}
        return {"issuers": [{**issuer, "audiences": [AUDIENCE], "algorithms": ["RS256"]}], **more}

    with hosted(folder, people, configure, _keys) as host:
        yield Desk(host)
