"""A real OpenID Connect provider in a process of its own, and a gateway that trusts it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import world
from .parts import LOOPBACK, NODE, Process, need, program
from .world import Gateway, Home

AUDIENCE = "gateway"
ALGORITHMS = ("RS256", "ES256", "EdDSA")


@dataclass
class Provider:
    """issuer: as its discovery document says. control: where it takes orders."""

    issuer: str
    jwks_url: str
    control: str
    minted: int = 0

    def order(self, name: str, **arguments: object) -> Any:
        answer = world.ask(f"{self.control}/{name}", "POST", body=json.dumps(arguments).encode())
        assert answer.status == 200, answer.body
        return answer.json()

    def token(self, kid: str, **claims: object) -> str:
        """Never the same twice, so that no cache has it."""
        self.minted += 1
        said = {"aud": AUDIENCE, "sub": "caller", "jti": str(self.minted), **claims}
        return str(self.order("token", kid=kid, claims=said)["token"])


@contextmanager
def provided(folder: Path) -> Iterator[Provider]:
    """With one key, `first`."""
    node = program("node")
    need((NODE / "node_modules/oauth2-mock-server").is_dir(), "npm's oauth2-mock-server (npm install in tests/node)")
    with Process([node, NODE / "provider.mjs"], folder, "provider") as process:
        port, control = process.first_line().split()
        discovered = world.ask(f"http://{LOOPBACK}:{port}/.well-known/openid-configuration").json()
        found = Provider(discovered["issuer"], discovered["jwks_uri"], f"http://{LOOPBACK}:{control}")
        found.order("generate", algorithm="RS256", kid="first")
        yield found


@contextmanager
def trusting(home: Home, service: int, provider: Provider, **options: object) -> Iterator[Gateway]:
    issuer = {"name": "acme", "issuer": provider.issuer, "jwks_url": provider.jwks_url, "audiences": [AUDIENCE]}
    issuers = [{**issuer, "algorithms": [*ALGORITHMS], **options}]
    with world.running(home, world.configuration({"app": service}, issuers=issuers)) as gateway:
        yield gateway
