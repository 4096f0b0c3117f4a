"""A gateway that believes external issuers, each of which is a server on the loopback network that says what a test
wants; and tokens of theirs, presented over a socket.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.client import Answer, Client, request
from harness.site import Running, Site, until
from harness.upstream import Line, Script, Upstream
from identity.forge import AUDIENCE, Private, jwk, private_key, token

ISSUER = "https://id.example"
GOOD = "ok"


def claims(**changes: object) -> dict[str, object]:
    """Of a good token, now. changes: None leaves a claim out."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600, **changes}
    return {name: value for name, value in said.items() if value is not None}


def document(*keys: object) -> bytes:
    """A key set, as an answer."""
    return whole(json.dumps({"keys": keys}).encode())


def whole(body: bytes, status: bytes = b"200 OK", *fields: bytes) -> bytes:
    """An answer of an issuer's server."""
    return b"\r\n".join((b"HTTP/1.1 " + status, *fields, b"content-length: %d" % len(body), b"", body))


@dataclass
class Issuer:
    """answer: to whoever asks for the key set, byte for byte; what is set counts from the next fetch on."""

    answer: bytes
    name: str = "acme"
    iss: str = ISSUER
    more: Mapping[str, object] = field(default_factory=dict)
    server: Upstream = field(init=False)

    @property
    def fetches(self) -> int:
        return len(self.server.requests)

    def said(self) -> dict[str, object]:
        base = {"name": self.name, "issuer": self.iss, "jwks_url": f"{self.server.url}/jwks"}
        return {**base, "audiences": [AUDIENCE], "algorithms": ["RS256", "ES256", "EdDSA"], **self.more}

    async def answering(self, line: Line) -> None:
        while True:
            await line.request()
            line.send(self.answer)


def key_set(*algorithms: str, kid: str = "k1") -> bytes:
    """With a key of each, named by its algorithm; the first one `kid`."""
    names = (kid, *algorithms[1:])
    return document(*(jwk(private_key(one), name) for one, name in zip(algorithms, names, strict=True)))


class Door:
    """service: what stands behind the gateway, which gets what passes."""

    def __init__(self, site: Site, running: Running, service: Upstream) -> None:
        self.site = site
        self.running = running
        self.service = service
        self._client: Client | None = None

    async def client(self) -> Client:
        """One connection for all questions."""
        if self._client is None:
            self._client = await self.site.client(self.running)
        return self._client

    async def present(self, raw: bytes | str, path: str = "/auth/x") -> Answer:
        sent = raw.encode() if isinstance(raw, str) else raw
        client = await self.client()
        answer = await client.ask(path, b"Authorization: Bearer " + sent)
        if answer.all(b"connection") == [b"close"]:
            client.close()
            self._client = None
        return answer

    async def said(self, raw: bytes | str, path: str = "/auth/x") -> str:
        """`ok`, or the reason code of the refusal."""
        answer = await self.present(raw, path)
        return GOOD if answer.status == 200 else answer.code

    async def all_said(self, tokens: Mapping[str, bytes], path: str = "/auth/x") -> dict[str, str]:
        """Of each, by its name."""
        return {name: await self.said(raw, path) for name, raw in tokens.items()}

    async def many(self, tokens: Sequence[bytes], path: str = "/auth/x") -> list[int]:
        """The status of each. Pipelined, a hundred at a time."""
        found = []
        client = await self.client()
        for start in range(0, len(tokens), 100):
            batch = tokens[start : start + 100]
            await client.send(*(request(path, b"Authorization: Bearer " + raw) for raw in batch))
            found += [(await client.answer()).status for _ in batch]
        return found


async def serving(site: Site, issuer: Issuer, script: Script | None = None) -> Issuer:
    """Starts its server. script: in place of its answer."""
    issuer.server = await site.upstream(script or issuer.answering)
    return issuer


async def believing(site: Site, *issuers: Issuer, asked: bool = True, **said: Any) -> Door:
    """A gateway that has asked each for its keys, well or in vain. asked: or begins to. said: merged into the
    configuration."""
    for issuer in issuers:
        if not hasattr(issuer, "server"):
            await serving(site, issuer)
    service = await site.upstream()
    running = await site.gateway(service, issuers=[issuer.said() for issuer in issuers], **said)
    await until(lambda: not asked or not running.gateway.core.jwks.pending())
    return Door(site, running, service)


def good(key: Private | None = None, algorithm: str = "RS256", /, **changes: object) -> bytes:
    """A token of acme's. changes: of its claims."""
    return token(key or private_key(algorithm), algorithm, claims(**changes))
