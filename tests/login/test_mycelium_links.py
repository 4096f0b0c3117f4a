"""Linking external identities: both sides are proved, and the account is that of the session."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from identity.forge import ISSUER, NOW

from gateway.identity.model import Principal
from gateway.store.outbox import Outbox
from gateway.store.seal import Sealer

from .linking import Linking, external, opened

LINKS = "/_adm/beginners/users/links"
LINK = LINKS + "/{id}"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def linking(tmp_path: Path) -> AsyncIterator[Linking]:
    async with opened(tmp_path) as found:
        yield found


@pytest.fixture
async def ada(linking: Linking) -> Principal:
    return await linking.session(await linking.world.ada())


async def link(linking: Linking, principal: Principal, subject: str = "alice") -> dict[str, str]:
    reply = await linking.call("POST", LINKS, principal, body={"token": external(subject)})
    made: dict[str, str] = json.loads(reply.body)
    return made


async def test_a_link_is_answered_with_its_id_issuer_and_subject(linking: Linking, ada: Principal) -> None:
    """And is listed so."""
    made = await link(linking, ada)
    assert {**made, "id": ""} == {"id": "", "issuer": ISSUER, "subject": "alice"}
    assert json.loads((await linking.call("GET", LINKS, ada)).body) == [made]


async def test_a_linked_identity_passes_as_the_account(linking: Linking, ada: Principal) -> None:
    """For the gateway's own reads."""
    await link(linking, ada)
    standing = await linking.world.store.directory.by_subject(ISSUER, "alice")
    assert standing is not None
    assert standing.account == ada.account


async def test_linking_is_told_by_mail_and_to_the_gateway(linking: Linking, ada: Principal) -> None:
    """Whoever gets into a session must not stay in unseen."""
    await link(linking, ada)
    world = linking.world
    outbox = Outbox(world.store.changes().database, Sealer(bytes(range(32)), world.clock.token_bytes), world.clock)
    (taken,) = await outbox.take(10, 60)
    assert taken.letter is not None
    assert (taken.letter.kind, taken.letter.to) == ("identity_linked", "ada@example.org")
    assert dict(taken.letter.values) == {
        "provider": ISSUER,
        "when": "2027-01-15 08:00 UTC",
        "ip": "192.0.2.1",
        "platform": "curl",
    }
    assert linking.heard.log == ["changed", "posted"]


async def test_linking_again_is_the_same_link(linking: Linking, ada: Principal) -> None:
    """A client may try again; nobody is told twice."""
    first = await link(linking, ada)
    linking.heard.log.clear()
    assert (await link(linking, ada), linking.heard.log) == (first, [])


async def test_an_identity_of_another_account_is_a_conflict(linking: Linking, ada: Principal) -> None:
    """With both proofs in hand, too."""
    await link(linking, ada)
    bob = await linking.session(await linking.world.ada("bob@example.org"))
    assert await linking.refused("POST", LINKS, bob, body={"token": external()}) == "conflict"


async def test_the_same_address_links_nothing(linking: Linking, ada: Principal) -> None:
    """Only (issuer, subject) is an identity."""
    await linking.world.store.accounts.provision(ISSUER, "alice", "ada@example.org", "Ada")
    assert await linking.refused("POST", LINKS, ada, body={"token": external(email_verified=True)}) == "conflict"
    assert json.loads((await linking.call("GET", LINKS, ada)).body) == []


@pytest.mark.parametrize(
    ("less", "code"),
    [
        ({"grant_kind": None, "grant_id": None, "issuer": "acme"}, "forbidden"),
        ({"grant_kind": "connection", "tenant_id": NOBODY, "role": "manager"}, "forbidden"),
        ({"grant_kind": "api_key"}, "forbidden"),
        ({"grant_kind": "service"}, "forbidden"),
        ({"restricted": True}, "mfa_required"),
        ({"account": None}, "no_account"),
    ],
)
async def test_less_than_a_session_neither_links_nor_unlinks_nor_lists(
    linking: Linking, ada: Principal, less: dict[str, object], code: str
) -> None:
    """Another kind of credential, a login whose second factor is still to come, a caller without account."""
    made = await link(linking, ada)
    assert ada.account is not None
    caller = await linking.session(ada.account, **less)
    found = [
        await linking.refused("POST", LINKS, caller, body={"token": external("bob")}),
        await linking.refused("GET", LINKS, caller),
        await linking.refused("DELETE", LINK, caller, params={"id": made["id"]}),
    ]
    assert found == [code] * 3


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (external(exp=int(NOW) - 60), "expired_credential"),
        (external(aud="another"), "invalid_credential"),
        (external(iss="http://localhost:8080"), "unknown_issuer"),
        ("rubbish", "invalid_credential"),
        ("\ud800é", "invalid_credential"),
        ("", "bad_parameter"),
        (1, "bad_parameter"),
        (None, "bad_parameter"),
    ],
)
async def test_a_token_that_proves_nothing_links_nothing(
    linking: Linking, ada: Principal, token: object, code: str
) -> None:
    """The second proof is as good as the first, or it is none."""
    assert await linking.refused("POST", LINKS, ada, body={"token": token}) == code
    assert json.loads((await linking.call("GET", LINKS, ada)).body) == []


async def test_unlinking_ends_the_identity(linking: Linking, ada: Principal) -> None:
    """Its tokens are nobody's from then on, and the gateway is told at once. The last link may go as any other."""
    made = await link(linking, ada)
    linking.heard.log.clear()
    reply = await linking.call("DELETE", LINK, ada, params={"id": made["id"]})
    assert (reply.status, reply.body, linking.heard.log) == (204, b"", ["changed"])
    assert await linking.world.store.directory.by_subject(ISSUER, "alice") is None


@pytest.mark.parametrize("link_id", [NOBODY, "x", "", "' OR 1=1"])
async def test_a_link_that_is_not_there_is_not_found(linking: Linking, ada: Principal, link_id: str) -> None:
    """An id of nobody, and what is no id."""
    assert await linking.refused("DELETE", LINK, ada, params={"id": link_id}) == "not_found"


async def test_nobody_unlinks_for_another(linking: Linking, ada: Principal) -> None:
    """Not even who knows the id."""
    made = await link(linking, ada)
    bob = await linking.session(await linking.world.ada("bob@example.org"))
    assert await linking.refused("DELETE", LINK, bob, params={"id": made["id"]}) == "not_found"


async def test_an_account_without_an_address_gets_no_mail(linking: Linking) -> None:
    """There is nobody to write to."""
    await linking.world.store.accounts.provision(ISSUER, "carol", "", "Carol")
    standing = await linking.world.store.directory.by_subject(ISSUER, "carol")
    assert standing is not None
    await link(linking, await linking.session(standing.account))
    assert linking.heard.log == ["changed"]


def test_every_endpoint_asks_for_a_session(linking: Linking) -> None:
    """And reads a body where there is one."""
    found = {key: (end.caller, end.body) for key, end in linking.endpoints.items() if key[1].startswith(LINKS)}
    assert found == {
        ("POST", LINKS): ("session", "json"),
        ("GET", LINKS): ("session", "none"),
        ("DELETE", LINK): ("session", "none"),
    }


async def test_wrong_tokens_of_one_network_are_limited(linking: Linking, ada: Principal) -> None:
    """Thirty in a minute, as other vain attempts; right ones do not count."""
    for _ in range(3):
        await link(linking, ada)
    wrong = [await linking.refused("POST", LINKS, ada, body={"token": "a.b.c"}) for _ in range(31)]
    assert (set(wrong[:30]), wrong[30]) == ({"invalid_credential"}, "too_many_attempts")
