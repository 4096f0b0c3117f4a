"""Credentials as they are presented, and what a verifier says of them."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from identity.forge import CLAIMS, NOW, private_key, signing_key, token

from gateway.errors import RequestRejected
from gateway.identity.model import Principal, SigningKey
from gateway.identity.tokens import mint
from gateway.wire.credentials import Presented

from .world import ACCOUNT, ALICE, GRANT, PUBLIC_URL, World

RS256 = private_key("RS256")


OWN = {"iss": PUBLIC_URL, "aud": PUBLIC_URL, "sub": ACCOUNT, "sid": GRANT, "exp": int(NOW) + 600, "iat": int(NOW)}


DEAD = [
    replace(ALICE, status="disabled"),
    replace(ALICE, status="pending"),
    replace(ALICE, status="deleted"),
    replace(ALICE, deleted=True),
    replace(ALICE, archived=True),
]


async def refused(world: World, presented: Presented, now: float = NOW) -> str:
    with pytest.raises(RequestRejected) as caught:
        await world.verifiers.principal(presented, now)
    assert presented.raw.decode() not in str(caught.value)
    return caught.value.code


async def accepted(world: World, presented: Presented, now: float = NOW) -> Principal:
    return await world.verifiers.principal(presented, now)


def external(claims: Mapping[str, object] | None = None, **changes: object) -> Presented:
    return Presented("jwt", token(RS256, claims={**CLAIMS, **(claims or {}), **changes}))


def own(key: SigningKey | None = None, typ: str = "JWT", **changes: object) -> Presented:
    claims = {name: value for name, value in {**OWN, **changes}.items() if value is not None}
    return Presented("jwt", mint(claims, key or signing_key("EdDSA"), typ).encode())
