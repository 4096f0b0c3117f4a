"""The address that a new account gets from an external issuer."""

from dataclasses import replace

import pytest
from identity.forge import CLAIMS, NOW, private_key, token

from gateway.wire.credentials import Presented

from .world import EXTERNAL, World


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada@Example.ORG", "Ada@example.org"),
        ("ada@bücher.example", "ada@bücher.example"),
        ("ada@xn--bcher-kva.example", "ada@bücher.example"),
        ("zoe\u0308@example.org", ""),
        ("ada@example..org", ""),
        ("ada@xn--zzzzzz.example", ""),
        ("ada@-example.org", ""),
        ("ada", ""),
        ("\ud800@example.org", ""),
        ("e" * 64 + "@example.org", "e" * 64 + "@example.org"),
        ("e" * 65 + "@example.org", ""),
    ],
)
async def test_an_address_is_stored_in_its_normal_form(said: str, stored: str) -> None:
    """Two spellings of one address are one address; what is none counts as none."""
    world = World(replace(EXTERNAL, provision=True, email_verified=True))
    claims = {**CLAIMS, "email": said, "email_verified": True}
    presented = Presented("jwt", token(private_key("RS256"), claims=claims))
    await world.verifiers.principal(presented, NOW)
    assert [address for _, _, address, _ in world.store.provisioned] == [stored]
