"""Conformance: external identities of accounts."""

import asyncio

import pytest

from gateway.errors import RequestRejected
from gateway.identity.letters import Letter
from gateway.identity.model import Account, LinkedIdentity
from gateway.store.links import Links
from gateway.store.outbox import Outbox
from gateway.store.seal import Sealer

from .world import MASTER_KEY, World

ISSUER = "https://id.example"
LETTER = Letter("identity_linked", "ada@example.org", {"provider": ISSUER})
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def links(world: World) -> Links:
    return Links(world.store.changes().database, Sealer(MASTER_KEY, world.clock.token_bytes), world.clock)


def identity(world: World, account: Account, subject: str = "alice", issuer: str = ISSUER) -> LinkedIdentity:
    return LinkedIdentity(world.clock.uuid4(), account.id, issuer, subject, world.hand.at)


async def letters(world: World) -> list[str]:
    outbox = Outbox(world.store.changes().database, Sealer(MASTER_KEY, world.clock.token_bytes), world.clock)
    return [taken.template for taken in await outbox.take(10, 60)]


async def told(world: World, since: int) -> list[tuple[str, str]]:
    return [(row.kind, row.subject) for row in await world.store.revocations.since(since)]


async def test_a_linked_identity_is_the_account(world: World, links: Links) -> None:
    """For every reader."""
    account = await world.ada()
    await links.link(identity(world, account), None)
    standing = await world.store.directory.by_subject(ISSUER, "alice")
    assert standing is not None
    assert standing.account == account == await links.holder(ISSUER, "alice")


async def test_an_identity_that_nobody_has_has_no_holder(world: World, links: Links) -> None:
    """Both halves of it count."""
    await links.link(identity(world, await world.ada()), None)
    assert [await links.holder(ISSUER, "bob"), await links.holder("telegram", "alice")] == [None, None]


async def test_linking_posts_its_letter(world: World, links: Links) -> None:
    """In the transaction that links."""
    await links.link(identity(world, await world.ada()), LETTER)
    assert await letters(world) == ["identity_linked"]


async def test_linking_tells_every_worker(world: World, links: Links) -> None:
    """The identity may be remembered as a caller without an account."""
    account, start = await world.ada(), await world.store.revocations.latest()
    await links.link(identity(world, account), None)
    assert await told(world, start) == [("account", account.id)]


async def test_linking_again_changes_nothing(world: World, links: Links) -> None:
    """The first link stays, and no second letter goes."""
    account = await world.ada()
    first = await links.link(identity(world, account), None)
    start = await world.store.revocations.latest()
    assert await links.link(identity(world, account), LETTER) == first
    assert (await letters(world), await told(world, start)) == ([], [])


async def test_an_identity_of_another_account_is_a_conflict(world: World, links: Links) -> None:
    """It stays where it is, and nothing is posted."""
    account, other = await world.ada(), await world.ada("bob@example.org")
    await links.link(identity(world, account), None)
    with pytest.raises(RequestRejected, match="conflict"):
        await links.link(identity(world, other), LETTER)
    assert (await links.holder(ISSUER, "alice"), await letters(world)) == (account, [])


async def test_linking_at_once_makes_one_link(world: World, links: Links) -> None:
    """Of six accounts one gets the identity."""
    accounts = [await world.ada(f"ada{n}@example.org") for n in range(6)]
    made = await asyncio.gather(
        *(links.link(identity(world, account), None) for account in accounts), return_exceptions=True
    )
    assert sorted(isinstance(one, LinkedIdentity) for one in made) == [False] * 5 + [True]


async def test_an_account_that_is_not_live_links_nothing(world: World, links: Links) -> None:
    """A session may outlive its account by a moment."""
    account = await world.ada()
    await world.accounts.disable(account.id)
    with pytest.raises(RequestRejected, match="not active"):
        await links.link(identity(world, account), None)


async def test_an_account_that_is_not_there_is_not_found(world: World, links: Links) -> None:
    """Rather than a broken constraint."""
    with pytest.raises(RequestRejected, match="not_found"):
        await links.link(LinkedIdentity(NOBODY, NOBODY, ISSUER, "alice", 0), None)


async def test_links_are_listed_oldest_first(world: World, links: Links) -> None:
    """Those of this account alone."""
    account, other = await world.ada(), await world.ada("bob@example.org")
    made = []
    for subject in ("b", "c", "a"):
        made.append(await links.link(identity(world, account, subject), None))
        world.hand.at += 1
    await links.link(identity(world, other, "d"), None)
    assert await links.links(account.id) == made


async def test_unlinking_frees_the_identity(world: World, links: Links) -> None:
    """Another account may have it then."""
    account, other = await world.ada(), await world.ada("bob@example.org")
    link = await links.link(identity(world, account), None)
    await links.unlink(account.id, link.id)
    await links.link(identity(world, other), None)
    assert await links.holder(ISSUER, "alice") == other


async def test_unlinking_tells_every_worker(world: World, links: Links) -> None:
    """So that its tokens stop passing as the account within a second."""
    account = await world.ada()
    link = await links.link(identity(world, account), None)
    start = await world.store.revocations.latest()
    await links.unlink(account.id, link.id)
    assert await told(world, start) == [("account", account.id)]


async def test_nobody_unlinks_for_another(world: World, links: Links) -> None:
    """For others the link is not there."""
    account, other = await world.ada(), await world.ada("bob@example.org")
    link = await links.link(identity(world, account), None)
    with pytest.raises(RequestRejected, match="not_found"):
        await links.unlink(other.id, link.id)
    assert await links.links(account.id) == [link]


async def test_unlinking_an_issuer_leaves_the_others(world: World, links: Links) -> None:
    """And says how many went."""
    account, other = await world.ada(), await world.ada("bob@example.org")
    for subject, owner in (("1", account), ("2", account), ("3", other)):
        await links.link(identity(world, owner, subject, "telegram"), None)
    kept = await links.link(identity(world, account), None)
    assert [await links.unlink_issuers(account.id, "telegram", "telegram") for _ in range(2)] == [2, 0]
    assert [await links.links(account.id), len(await links.links(other.id))] == [[kept], 1]
