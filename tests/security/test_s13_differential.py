"""S-13, S-18: of many thousand requests that are made up, what the rule saw is what the upstream got, byte for byte."""

import asyncio
from collections.abc import Sequence

import pytest
from harness.client import Answer, Client
from harness.site import Running, Site
from harness.upstream import Got

from .generated import Field, Made, Maker, plain

REQUESTS = 20_000
CONNECTIONS = 8
AT_ONCE = 16  # requests in one write
SEED = 13
ACCESS = {"public": "public", "auth": "authenticated", "secure": "protected", "odd": "public", "strip": "protected"}
RELAXED = ["%2F", "%5C", "%25", ";", "%41", "%7E"]
ROUTES = [
    {"path": f"/{place}/**", "access": access}
    | ({"allow_encoded": RELAXED} if place == "odd" else {})
    | ({"strip_prefix": "/strip"} if place == "strip" else {})
    for place, access in ACCESS.items()
]
OPEN = ("public", "odd")
REFUSALS = {400, 401, 404}


@pytest.mark.timeout(120)
async def test_s13_what_the_rule_saw_is_what_arrived(site: Site) -> None:
    """Path, route, access, fields and body, over reused connections with many requests in one write."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, routes=ROUTES)
    maker = Maker(SEED, running.people.ada.field)
    made = [maker.make(number) for number in range(REQUESTS)]
    shares = [made[at::CONNECTIONS] for at in range(CONNECTIONS)]
    answers: dict[int, Answer] = {}
    await asyncio.gather(*(asked(site, running, share, answers) for share in shares))
    logged = {str(line["id"]): line for line in await running.lines()}
    arrived = {int(got.one(b"x-number")): got for got in upstream.requests}
    assert len(arrived) == len(upstream.requests) == sum(answer.status == 200 for answer in answers.values())
    for one in made:
        judged(one, answers[one.number], arrived.get(one.number), logged)
    assert len(logged) == REQUESTS
    counts = [sum(answer.status == status for answer in answers.values()) for status in (200, 400, 401, 404)]
    assert sum(counts) == REQUESTS
    assert min(counts) > REQUESTS // 50, counts


def judged(one: Made, answer: Answer, got: Got | None, logged: dict[str, dict[str, object]]) -> None:
    """One request against what came of it."""
    assert (got is not None) == (answer.status == 200), one
    if got is None:
        assert answer.status in REFUSALS, (one, answer)
        refused = one.doubtful or not plain(one.target) or one.place == "nowhere"  # a reason of the request's own
        assert refused or (one.place not in OPEN and not one.credential), (one, answer)
        return
    assert not one.doubtful, one
    assert one.place in OPEN or one.credential, one
    assert plain(one.target, relaxed=one.place == "odd"), one
    line = logged[got.one(b"x-mycelium-request-id").decode()]
    path = one.target.partition(b"?")[0]
    assert path.startswith(f"/{one.place}/".encode()), one
    assert (line["path"], line["route"]) == (path.decode("latin-1"), f"/{one.place}/**"), one
    assert (line["method"], line["status"]) == (one.method.decode(), 200), one
    assert (got.method, got.body) == (one.method, one.body), one
    assert got.target == (one.target.removeprefix(b"/strip") if one.place == "strip" else one.target), one
    assert [field for field in sent_on(got) if field[0].lower() in names(one.kept)] == one.kept, one
    assert b"forged" not in got.raw, one
    assert len(got.all(b"x-mycelium-email")) == (one.place not in OPEN), one


def sent_on(got: Got) -> list[Field]:
    return [(name, value) for name, value in got.fields if not name.lower().startswith(b"x-mycelium-")]


def names(fields: Sequence[Field]) -> set[bytes]:
    return {name.lower() for name, _ in fields}


async def asked(site: Site, running: Running, share: Sequence[Made], answers: dict[int, Answer]) -> None:
    """Some at once; where the gateway closes behind an answer, what comes after it is asked again."""
    at, client = 0, None
    while at < len(share):
        client = client or await site.client(running)
        batch = share[at : at + AT_ONCE]
        await sent(client, batch)
        for one in batch:
            answer = answers[one.number] = await client.answer(one.method.decode())
            at += 1
            if answer.all(b"connection") == [b"close"]:
                client.close()
                client = None
                break


async def sent(client: Client, batch: Sequence[Made]) -> None:
    """A gateway that has closed has answered before."""
    try:
        await client.send(b"".join(one.raw for one in batch))
    except ConnectionError:
        return
