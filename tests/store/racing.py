"""Many at once, from several gateways over one store, and what they bring."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gateway.errors import RequestRejected
from gateway.identity.challenge import Challenge
from gateway.identity.letters import Letter
from gateway.identity.model import (
    Account,
    Grant,
    Issue,
    Owner,
)
from gateway.store.changes import Changes
from gateway.store.sql import Store

from .world import World

T = TypeVar("T")


COUNT = 50


ISSUER, ADDRESS = "https://id.example", "ada@example.org"


LETTER = Letter("magic_link", ADDRESS, {"link": "https://gateway.example/x"})


async def at_once(
    gateways: Sequence[Store], work: Callable[[Changes, int], Awaitable[T]], count: int = COUNT
) -> list[T | str]:
    """What each gave, or the code of its refusal."""

    async def one(number: int) -> T | str:
        try:
            return await work(gateways[number % len(gateways)].changes(), number)
        except RequestRejected as fault:
            return fault.code

    return await asyncio.gather(*(one(number) for number in range(count)))


def tally(found: Sequence[object]) -> dict[object, int]:
    return {one: found.count(one) for one in found}


def challenge(world: World, account: Account, **more: object) -> Challenge:
    at = world.hand.at
    fields = {"address": ADDRESS, "address_key": ADDRESS, "account_id": account.id, "tries_left": 5} | more
    return Challenge(world.clock.uuid4(), "login", at, at + 900, **fields)  # type: ignore[arg-type]


def session(world: World, account: Account) -> Issue:
    return Issue(
        Grant(
            world.clock.uuid4(), account.id, "session", "jwt", created_at=world.hand.at, expires_at=world.hand.at + 60
        )
    )


def person(world: World, name: str) -> Account:
    return Account(world.clock.uuid4(), name, Owner(world.clock.uuid4(), "", username=name))
