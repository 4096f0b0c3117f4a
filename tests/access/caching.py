"""What the tests of the cache of credentials ask it."""

import pytest
from identity.forge import NOW, private_key

from gateway.access.authenticate import Verified
from gateway.errors import RequestRejected
from gateway.identity.model import Revocation
from gateway.wire.credentials import Presented

from .world import World

OTHER = "97a00000-0000-4000-8000-000000000002"


RS256 = private_key("RS256")


WRONG = Presented("opaque", b"myc_wrong")


async def refused(world: World, presented: Presented, now: float = NOW) -> str:
    with pytest.raises(RequestRejected) as caught:
        await world.authenticator.verify(presented, now)
    return caught.value.code


def remembered(world: World, presented: Presented, now: float = NOW) -> str | None:
    """`verified`, a reason code, or None for what is not remembered."""
    found = world.authenticator.recall(presented, now)
    if isinstance(found, Verified):
        return "verified"
    return None if found is None else found.code


def revoked(kind: str, subject: str = "") -> tuple[Revocation]:
    return (Revocation(1, kind, subject),)  # type: ignore[arg-type]
