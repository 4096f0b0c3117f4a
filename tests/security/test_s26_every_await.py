"""S-26: whatever is waited for, and however it fails, no request goes on. The awaits are found in the source."""

import asyncio
import errno
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from harness.postgres import Postgres
from harness.site import Site

from gateway import pipeline
from gateway.errors import DependencyFailed

from .awaits import Awaits, Hit, Place
from .grounds import Grounds, laid_out, migrated, soon
from .ways import ON_POSTGRES, WAYS, Way

if not pipeline.__file__.endswith(".py"):
    # The same source is tested where it is interpreted.
    pytest.skip("what is compiled has no code that could be rewritten", allow_module_level=True)

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("patient")]  # hundreds of requests each

# All of these packages and modules is looked at, and of others what one that is listed here comes by.
PACKAGES: Final = ("access", "edge")
MODULES: Final = (
    "pipeline",
    "control.answers",
    "control.builtin",
    "control.caller",
    "control.fetch",
    "control.profile",
    "store.keyring",
    "store.notes",
    "store.postgres.reader",
    "store.reading",
    "store.sqlite.reader",
)
PARTS: Final = {
    "store.accounts": ("Accounts.provision", "add_email"),
    "store.audit": ("Scribe.write",),
    "store.database": ("Database._on_our_own", "Database.writing"),
    "store.locks": ("hold",),
    "store.revocations": ("tell",),
    "store.sql": ("Store._provision", "Store.open_changes"),
}

# What in them no request comes by that asks to be let in, and why.
BESIDE: Final = {
    "access.authenticate.Authenticator.aclose": "the gateway ends",
    "access.authenticate.Authenticator.holder": "explains a request, and lets none pass",
    "access.authenticate.Authenticator.reload_keys": "the gateway starts",
    "access.jwks.Jwks.aclose": "the gateway ends",
    "access.jwks.Jwks.refresh": "the operator asks for it",
    "access.jwks._IssuerKeys._checked": "documents shared with other nodes: tests/state",
    "access.jwks._IssuerKeys.keep_fresh": "in the background",
    "access.verifiers.Verifiers.external_identity": "links an identity, of whom who is let in by another credential",
    "access.verifiers.Verifiers.holder": "explains a request, and lets none pass",
    "control.builtin.Builtin.aclose": "the gateway ends",
    "control.builtin.Builtin.start": "the gateway starts",
    "control.fetch.HttpFetch.__aexit__": "the gateway ends",
    "control.fetch.HttpFetch.aclose": "the gateway ends",
    "edge.listener.Edge._emptied": "the gateway ends",
    "edge.listener.Edge.aclose": "the gateway ends",
    "edge.listener.Edge.drain": "the gateway ends",
    "edge.listener.Edge.listen": "the gateway starts",
    "store.keyring.Keys.add_mac_key": "the operator changes keys",
    "store.keyring.Keys.key_records": "the operator looks at keys",
    "store.keyring.Keys.replace_signing_key": "the operator changes keys",
    "store.keyring.Keys.require_master_key": "the gateway starts",
    "store.postgres.reader.Reader.aclose": "the gateway ends",
    "store.reading.Revocations.latest": "in the background",
    "store.reading.Revocations.prune": "in the background",
    "store.reading.Revocations.since": "in the background",
    "store.reading.Timed.aclose": "the gateway ends",
}
BESIDE_WITHIN: Final = {
    "access.jwks._IssuerKeys._newest": ("documents.newer", "shared with other nodes: tests/state"),
    "store.audit.Scribe.write": ("from_select", "what a decoy writes"),
    "store.database.Database.writing": ("invalidate", "once something has failed: the other tests here come by it"),
    "store.revocations.tell": ("execute", "nothing is revoked where an account is made"),
    "store.sql.Store.open_changes": ("import_module", "once in a gateway's life, with the first change of anything"),
    "store.postgres.reader.Reader._open": ("create_pool", "the gateway starts"),
    "store.postgres.reader.Reader._twice": ("self._open()", "the gateway starts"),
}

# Where a connection is handed over: who cancels that, cancels within the loop's own call, which closes it.
HANDED_OVER: Final = frozenset(
    {"edge.connector.tcp.<locals>.connector", "edge.connector.in_process.<locals>.connector"}
)

FAULTS: Final[dict[str, Callable[[], BaseException]]] = {
    "mistake": lambda: ZeroDivisionError("a mistake of ours"),
    "cancelled": asyncio.CancelledError,
    "timeout": TimeoutError,
    "memory": MemoryError,
    "reset": lambda: ConnectionResetError(errno.ECONNRESET, "reset"),
    "down": lambda: DependencyFailed("store_unavailable", retry_after=1),
}


def looked_at(place: Place) -> bool:
    counts = place.function in PARTS[place.module] if place.module in PARTS else place.name not in BESIDE
    return counts and BESIDE_WITHIN.get(place.name, ("nothing", ""))[0] not in place.text


@pytest.fixture(scope="module")
def awaits() -> Iterator[Awaits]:
    names = [*MODULES, *PARTS]
    for name in PACKAGES:
        path = importlib.import_module(f"gateway.{name}").__path__
        names += [f"{name}.{found.name}" for found in pkgutil.iter_modules(path)]
    made = Awaits(looked_at)
    with made.installed(*(importlib.import_module(f"gateway.{name}") for name in names)):
        yield made


async def asked(grounds: Grounds, awaits: Awaits, way: Way) -> tuple[int, int]:
    """The status of one request, and how many requests have gone on to an upstream since it was sent."""
    before = grounds.forwarded
    status = await way.ask(grounds, awaits.came)
    try:
        await soon(lambda: not any(grounds.under_way().values()))
    except TimeoutError:
        left = {name: count for name, count in grounds.under_way().items() if count}
        raise AssertionError(f"after an answer of {status} there is still {left}") from None
    return status, grounds.forwarded - before


async def met(grounds: Grounds, awaits: Awaits, way: Way) -> list[Hit]:
    """What one request comes by, and that all is well when nothing fails."""
    await way.prepare(grounds)
    with awaits.recorded() as hits:
        assert await asked(grounds, awaits, way) == (way.good, way.forwarded), way.name
    return hits


async def wrongs(grounds: Grounds, awaits: Awaits, way: Way, hit: Hit, error: BaseException) -> list[str]:
    """What a fault there has done that it may not, to the request that it met and to the next one."""
    await way.prepare(grounds)
    found = []
    try:
        with awaits.armed(hit, error):
            status, forwarded = await asked(grounds, awaits, way)
        if not awaits.struck:
            if hit not in await met(
                grounds, awaits, way
            ):  # the one that met it had to read again: a purge came between
                return []
            found.append("it did not come to that")
        found += ["the request went on"] if forwarded else []
        found += [f"the answer was {status}"] if 0 < status < 500 else []
        await met(grounds, awaits, way)
    except AssertionError as left:
        found.append(str(left))
    return [f"{way.name}, {type(error).__name__} {hit}: {what}" for what in found]


class Tried:
    """Steps that were taken already: most of a way is that of others, too."""

    def __init__(self) -> None:
        self._steps: set[tuple[object, ...]] = set()

    def again(self, way: Way, hit: Hit) -> bool:
        steps = (*hit.within, hit.place, hit.moment)
        handed = hit.moment == "after" and hit.place.name in HANDED_OVER
        if steps in self._steps or handed or (way.once and hit.time > 1):
            return True
        self._steps.add(steps)
        return False


@pytest.mark.parametrize("fault", FAULTS)
async def test_s26_no_await_that_fails_lets_a_request_through(
    site: Site, tmp_path: Path, awaits: Awaits, fault: str
) -> None:
    """An answer of 5xx, or none; nothing is forwarded, nothing stays counted, and the next request is served."""
    grounds, tried, found = await laid_out(site, tmp_path), Tried(), []
    for way in WAYS:
        for hit in await met(grounds, awaits, way):
            # A hole is there each time. Where a purge comes amid a request, all is read again, and whole: then the
            # fault, which strikes once, has struck a reading that does not count.
            if not tried.again(way, hit) and await wrongs(grounds, awaits, way, hit, FAULTS[fault]()):
                found += await wrongs(grounds, awaits, way, hit, FAULTS[fault]())
    assert found == []


async def test_s26_no_await_of_the_other_engine_either(
    site: Site, tmp_path: Path, awaits: Awaits, postgres: Postgres
) -> None:
    """What is read and written goes through PostgreSQL."""
    found = []
    async with postgres.database("ways", migrated) as url:
        grounds, tried = await laid_out(site, tmp_path, url), Tried()
        for way in ON_POSTGRES[:1]:  # a session can be ended once only
            for hit in await met(grounds, awaits, way):
                if hit.place.module.startswith("store.") and not tried.again(way, hit):
                    for fault in ("mistake", "cancelled"):
                        found += await wrongs(grounds, awaits, way, hit, FAULTS[fault]())
        await grounds.running.stop()
    assert found == []


async def test_s26_every_await_is_met(site: Site, tmp_path: Path, awaits: Awaits, postgres: Postgres) -> None:
    """None was written that no way comes by: it would be one whose failure nobody has seen."""
    grounds = await laid_out(site, tmp_path)
    places = {hit.place for way in WAYS for hit in await met(grounds, awaits, way)}
    async with postgres.database("ways", migrated) as url:
        other = await laid_out(site, tmp_path, url)
        places |= {hit.place for way in ON_POSTGRES for hit in await met(other, awaits, way)}
        await other.running.stop()
    assert sorted(map(str, awaits.on_the_way - places)) == []


async def test_s26_nothing_else_is_waited_for(site: Site, tmp_path: Path, awaits: Awaits) -> None:
    """What a request comes by is looked at here, in whichever module it is."""
    grounds, found = await laid_out(site, tmp_path), set()
    for way in WAYS:
        await way.prepare(grounds)
        with awaits.recorded(), awaits.followed() as functions:
            await asked(grounds, awaits, way)
        found |= functions
    assert sorted(found - {place.name for place in awaits.on_the_way} - set(BESIDE_WITHIN)) == []
