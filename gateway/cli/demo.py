"""What `gateway serve --demo` stands on: a temporary folder with keys and a database, an echo upstream, two accounts,
one tenant, live credentials, and the `curl` lines that show all of it. Starting the gateway is not done here.
"""

import base64
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

import zstandard
from aiohttp import web

from gateway.cli.addresses import ADMIN, ECHO, GATEWAY
from gateway.clock import Clock
from gateway.control.listener import Listener
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.addresses import address
from gateway.identity.challenge import Challenge
from gateway.identity.codes import link_digest, link_token
from gateway.identity.grants import Grants, Terms, session_claims
from gateway.identity.keys import Keys, active
from gateway.identity.model import Account, SigningKey
from gateway.identity.passwords import Passwords
from gateway.identity.tokens import mint
from gateway.settings.load import load
from gateway.settings.model import Settings
from gateway.store.seal import master_key
from gateway.store.sql import Store, open_store

ECHO_BODY: Final = 64 * 1024  # bytes of a request body that the echo shows
# For whoever tries the password logins; the demo listens on loopback.
ADA: Final = "correct horse ada"
BOB: Final = "correct horse bob"
PASSWORDS: Final = f"Ada's password is `{ADA}`, Bob's `{BOB}`: docs/dialects/ shows the five login APIs.\n"
LINK_LIFETIME: Final = 86400.0  # seconds: a newcomer may read first
PROFILE_LIMIT: Final = 1024 * 1024  # bytes of JSON; the header is 7 KiB at most, and a frame may claim anything


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """manager, reader: bearer tokens. connection_string: the manager's, fixed to the tenant and the role `manager`.

    link: the token of a login link that the demo has asked for itself, for the manager.
    """

    link: str
    manager: str
    reader: str
    connection_string: str


@dataclass(frozen=True, slots=True)
class Example:
    """A `curl` line that works when pasted, and what it shows."""

    title: str
    line: str


@dataclass(frozen=True, slots=True)
class Demo:
    """config: its path. What it names exists and the echo answers, until the context ends.

    credentials: None in an empty demo.
    """

    config: Path
    credentials: Credentials | None

    def examples(self, base_url: str) -> list[Example]:
        """base_url: of the gateway, without a slash at the end."""
        if self.credentials is None:
            return first_steps(base_url)
        manager, reader = (_bearer(token) for token in (self.credentials.manager, self.credentials.reader))
        string = f"-H 'x-mycelium-connection-string: {self.credentials.connection_string}'"
        own = f"{base_url}/_adm/beginners"
        link, json_ = f"{own}/users/magic-link", "-H 'Content-Type: application/json'"
        verify = f"curl -s {json_} -d '{{\"token\":\"{self.credentials.link}\"}}' '{link}/verify'"
        taken = 'sed -n \'s/.*"token":"\\([^"]*\\)".*/\\1/p\''
        return [
            Example(
                "log in by mail: it is printed here, with a link",
                f"curl -s {json_} -d '{{\"email\":\"bob@example.com\"}}' '{link}/request'",
            ),
            Example(
                "the page of such a link; looking changes nothing", f"curl -s '{link}/display/{self.credentials.link}'"
            ),
            Example(
                "its token logs in, once, and what that gives passes the proxy",
                f"curl -s -H \"Authorization: Bearer $({verify} | {taken})\" '{base_url}/orders/1'",
            ),
            Example("public: anybody", f"curl -s '{base_url}/public/hello?name=you'"),
            Example("authenticated: a live bearer token", f"curl -s {manager} '{base_url}/hello'"),
            Example("protected: the service gets the profile", f"curl -s {manager} '{base_url}/orders/1'"),
            Example("roles: a connection string with the role", f"curl -s {string} '{base_url}/reports/2026'"),
            Example("your profile, from the gateway itself", f"curl -s {manager} '{own}/profile'"),
            Example("your sessions, to be ended one by one", f"curl -s {manager} '{own}/sessions'"),
            Example("refused, 401: no credential", f"curl -si '{base_url}/orders/1'"),
            Example("refused, 403: a reader is no manager", f"curl -si {reader} '{base_url}/reports/2026'"),
        ]

    def curl_lines(self, base_url: str) -> list[str]:
        """The lines alone, each beginning with `curl `."""
        return [example.line for example in self.examples(base_url)]

    def greeting(self, base_url: str) -> str:
        """What is printed once the gateway answers."""
        shown = "\n".join(f"\n# {example.title}\n{example.line}" for example in self.examples(base_url))
        return (
            f"The demo runs at {base_url}. Paste a line into another terminal:\n{shown}\n\n"
            f"{PASSWORDS if self.credentials is not None else ''}"
            f"The command line works on it too: gateway account list -c {self.config}\n"
            "All of it is gone when you stop the gateway (Ctrl-C).\n"
        )


@asynccontextmanager
async def demo(
    gateway: str = GATEWAY, admin: str = ADMIN, clock: Clock | None = None, *, empty: bool = False
) -> AsyncIterator[Demo]:
    """Sets everything up, and removes the folder at the end. gateway, admin: host:port for the configuration.

    Raises what the parts raise: OSError, SettingsInvalid, DependencyFailed.
    """
    clock = clock or Clock()
    echo = Listener(echo_application(), "127.0.0.1", 0)
    await echo.start()
    host, port = echo.address
    try:
        with tempfile.TemporaryDirectory(prefix="gateway-demo-") as folder:
            config = _write(Path(folder), render_config(gateway, admin, f"{host}:{port}"), clock)
            yield Demo(config, await _seed(load(config, os.environ).settings, clock, empty))
    finally:
        await echo.aclose()


def render_config(gateway: str, admin: str, echo: str) -> str:
    """The text of demo.yaml with these addresses in place of those that it has."""
    text = resources.files("gateway.cli").joinpath("demo.yaml").read_text(encoding="utf-8")
    return text.replace(GATEWAY, gateway).replace(ADMIN, admin).replace(ECHO, echo)


def first_steps(base_url: str) -> list[Example]:
    """Of an empty demo: the first account is made over Pipelit's API, once."""
    own, json_ = f"{base_url}/api/v1/auth", "-H 'Content-Type: application/json'"
    admin = '{"username": "admin", "password": "mypassword"}'
    return [
        Example("nobody has an account yet", f"curl -s '{own}/setup-status/'"),
        Example(
            "the first one makes theirs; whoever comes second is 409", f"curl -s {json_} -d '{admin}' '{own}/setup/'"
        ),
        Example("and logs in", f"curl -s {json_} -d '{admin}' '{own}/token/'"),
    ]


def echo_application() -> web.Application:
    """Answers every request with what it got, and with the profile that its header holds, or null."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", _echo)
    return application


def decode_profile(value: str | None) -> object:
    """What a service does with x-mycelium-profile: base64, Zstandard, JSON."""
    if value is None:
        return None
    packed = base64.b64decode(value, validate=True)
    return json.loads(zstandard.ZstdDecompressor().decompress(packed, max_output_size=PROFILE_LIMIT))


async def _echo(request: web.Request) -> web.Response:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk[: ECHO_BODY - len(body)]
    path, _, query = request.raw_path.partition("?")
    seen: Mapping[str, object] = {
        "method": request.method,
        "path": path,
        "query": query,
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers],
        "body": body.decode("utf-8", "replace"),
        "profile": decode_profile(request.headers.get("x-mycelium-profile")),
    }
    return web.json_response(text=json.dumps(seen, indent=2, ensure_ascii=False) + "\n")


def _bearer(token: str) -> str:
    return f"-H 'Authorization: Bearer {token}'"


def _write(folder: Path, text: str, clock: Clock) -> Path:
    (folder / "var").mkdir()
    (folder / "var/master.key").write_text(base64.b64encode(clock.token_bytes(32)).decode() + "\n")
    (folder / "var/admin.token").write_text(clock.token_bytes(32).hex() + "\n")
    config = folder / "config.yaml"
    config.write_text(text, encoding="utf-8")
    return config


async def _seed(settings: Settings, clock: Clock, empty: bool) -> Credentials | None:
    from gateway.store.schema import migrate  # Alembic, which `serve` without the demo does not need

    await migrate(settings.store.url)
    key = master_key(settings.secrets.master_key.get_secret_value())
    store = await open_store(settings.store.url, key, clock)
    try:
        await Keys(store.keys, clock).ensure(settings.tokens.algorithm, mployr=settings.login.mployr is not None)
        return None if empty else await _people(store, settings, clock)
    finally:
        await store.aclose()


async def _people(store: Store, settings: Settings, clock: Clock) -> Credentials:
    accounts = Accounts(store.accounts, store.tenants, store.roles, clock)
    said = settings.connection_strings
    grants = Grants(store.grants, store.keys, clock, form=said.format, max_lifetime=said.max_lifetime)
    ada = await accounts.create_account(
        NewAccount("ada@example.com", username="ada", name="Ada, a manager", phc=await _hash(ADA))
    )
    bob = await accounts.create_account(
        NewAccount("bob@example.com", username="bob", name="Bob, a reader", phc=await _hash(BOB))
    )
    acme = await accounts.create_tenant("Acme", ada.id)
    await accounts.assign_role(ada.id, acme.id, "manager", "write")
    await accounts.assign_role(bob.id, acme.id, "reader", "read")
    signer = active(await store.keys.signing_keys(), "token")
    expires_at = clock.now() + settings.tokens.lifetime
    handed = await grants.create_connection_string(ada.id, acme.id, "manager", expires_at, "demo")
    return Credentials(
        await _link(store, ada, clock),
        await _token(grants, ada, settings, signer),
        await _token(grants, bob, settings, signer),
        handed.secret,
    )


async def _hash(password: str) -> str:
    passwords = Passwords(threads=1)
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()


async def _link(store: Store, account: Account, clock: Clock) -> str:
    """As if the account's holder had asked for a mail, and got it."""
    token, now = link_token(clock), clock.now()
    known = address(account.owner.email)
    challenge = Challenge(
        clock.uuid4(), "login", now, now + LINK_LIFETIME, account_id=account.id, address=known.text,
        address_key=known.key, user_agent="the demo",
    )  # fmt: skip
    await store.changes().challenges.begin(challenge, link_digest(token), None)
    return token


async def _token(grants: Grants, account: Account, settings: Settings, signer: SigningKey) -> str:
    grant = await grants.issue_session(account.id, Terms(settings.tokens.lifetime, name="demo"))
    return mint(session_claims(grant, account, settings.tokens.issuer, settings.tokens.audience), signer)
