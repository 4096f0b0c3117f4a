"""`explain` and tokens of external issuers: keys are fetched, accounts are not made."""

import base64
import time

import pytest
from harness.kept import Kept
from harness.people import MASTER_KEY, People, open_people
from harness.site import Site
from harness.upstream import answering
from identity.forge import ISSUER, jwk, jwks, private_key, token

from gateway.app.checks import read
from gateway.app.explain import Asked, Explanation, explain, offline
from gateway.cli.explain import exit_code
from gateway.clock import Clock


@pytest.fixture
async def running(site: Site, people: People) -> People:
    """The folder of a gateway that makes accounts for acme's callers, and knows its key."""
    return await folder(site, jwks(jwk(private_key("RS256"))))


async def folder(site: Site, document: bytes) -> People:
    keys = await site.upstream(answering(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(document) + document))
    issuer = {
        "name": "acme",
        "issuer": ISSUER,
        "jwks_url": f"{keys.url}/jwks",
        "audiences": ["gateway"],
        "algorithms": ["RS256"],
        "provision": True,
        "email": "verified",
    }
    return (await site.gateway("http://127.0.0.1:1", issuers=[issuer])).people


async def asked(people: People) -> Explanation:
    """A verified caller of acme on a protected route."""
    loaded, now = read(people.folder / "config.yaml", {}), int(time.time())
    claims = {"iss": ISSUER, "aud": "gateway", "sub": "eve", "iat": now, "exp": now + 600}
    claims |= {"email": "Eve@Example.org", "email_verified": True}
    fields = ((b"Host", b"a"), (b"Authorization", b"Bearer " + token(private_key("RS256"), claims=claims)))
    async with offline(loaded.settings, base64.b64decode(MASTER_KEY), Clock(), Kept()) as core:
        return await explain(core, Asked(b"GET", b"/secure/x", fields), Clock())


async def test_a_new_caller_would_be_forwarded_with_an_account(running: People) -> None:
    """Under the address in its normal form, and said to be new."""
    found = await asked(running)
    assert found.sent is not None
    assert dict(found.sent.fields)["x-mycelium-email"] == "Eve@example.org"
    assert any("would be made now" in step.detail for step in found.steps)


async def test_explaining_makes_no_account(running: People) -> None:
    """The store is as it was."""
    await asked(running)
    store = await open_people(running)
    try:
        assert await store.directory.by_subject(ISSUER, "eve") is None
    finally:
        await store.aclose()


async def test_keys_that_cannot_be_had_are_a_dependency_down(site: Site) -> None:
    """Exit code 3: it is not the caller's fault."""
    found = await asked(await folder(site, b"nonsense"))
    assert found.fault is not None
    assert (found.fault.code, found.steps[-1].check, found.steps[-1].outcome) == (
        "keys_unavailable", "credential", "failed",
    )  # fmt: skip
    assert exit_code(found.fault.code) == 3
