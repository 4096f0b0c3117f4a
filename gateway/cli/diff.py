"""`gateway diff OLD NEW`: what another configuration would change, for requests that were logged too."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import click

from gateway.app.checks import read
from gateway.app.difference import RouteChange, other_changes, route_changes
from gateway.app.replay import Decision, Replay, replays
from gateway.cli.progress import progress
from gateway.cli.shared import keys_of, shown
from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.ops.logged import Logged, parse
from gateway.ops.logs import application_log
from gateway.settings.difference import KeyChange
from gateway.settings.faults import SettingsInvalid, render
from gateway.settings.load import Loaded


@dataclass(slots=True)
class Otherwise:
    """Requests that two configurations decide in the same two ways."""

    old: Decision
    new: Decision
    example: Logged
    count: int = 0

    def as_json(self) -> Mapping[str, object]:
        example = {"id": self.example.id, "method": self.example.method, "path": self.example.path}
        return {"old": self.old.as_json(), "new": self.new.as_json(), "count": self.count, "example": example}


@dataclass(slots=True)
class Tally:
    """lines: of the log that could be decided. skipped: built-in endpoints, preflights, and what is no line."""

    lines: int = 0
    skipped: int = 0
    different: dict[tuple[Decision, Decision], Otherwise] = field(default_factory=dict)

    def as_json(self) -> Mapping[str, object]:
        found = sorted(self.different.values(), key=lambda some: -some.count)
        return {"lines": self.lines, "skipped": self.skipped, "different": [some.as_json() for some in found]}


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--log", type=click.File("rb"), help="An access log; - is standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print {routes, settings, requests}.")
@click.option("-c", "config", hidden=True)
@click.pass_context
def diff(context: click.Context, old: Path, new: Path, log: BinaryIO | None, as_json: bool, config: object) -> None:
    """Which routes and settings NEW changes, and, with --log, which requests it would decide otherwise.

    The callers of logged requests are looked up in the store of OLD, as they are now. Nothing is forwarded and nothing
    is stored. Exit code: 0 no difference, 1 some, 2 misuse, 3 a dependency is down.
    """
    before, after = _read(old), _read(new)
    routes, settings = list(route_changes(before, after)), list(other_changes(before, after))
    tally = None if log is None else asyncio.run(_replayed(before, after, log))
    if as_json:
        click.echo(json.dumps(_as_json(routes, settings, tally), ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(routes, settings, tally)))
    context.exit(1 if routes or settings or (tally and tally.different) else 0)


def _read(path: Path) -> Loaded:
    try:
        return read(path, os.environ)
    except SettingsInvalid as invalid:
        faults = "\n".join(map(render, invalid.faults))
        raise click.UsageError(f"{path} is not a valid configuration\n{faults}") from invalid


async def _replayed(old: Loaded, new: Loaded, log: BinaryIO) -> Tally:
    clock, tally = Clock(), Tally()
    keys = keys_of(old.settings.secrets)
    async with replays([old.settings, new.settings], keys, clock, application_log(sys.stderr, "error")) as both:
        with progress("run it again") as told:
            size, done = _size(log), 0
            for line in log:
                done += len(line)
                told("replaying bytes", done, size)
                await _count(tally, both, line)
    return tally


def _size(log: BinaryIO) -> int | None:
    """None for a stream."""
    found = os.fstat(log.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


async def _count(tally: Tally, both: Sequence[Replay], line: bytes) -> None:
    logged = parse(line)
    try:
        if logged is None:
            raise RequestRejected("invalid_value")
        old, new = [await replay.decide(logged) for replay in both]
    except (RequestRejected, ValueError):
        tally.skipped += 1
        return
    tally.lines += 1
    if old.otherwise(new):
        found = tally.different.setdefault((old, new), Otherwise(old, new, logged))
        found.count += 1


def _as_json(routes: Sequence[RouteChange], settings: Sequence[KeyChange], tally: Tally | None) -> Mapping[str, object]:
    return {
        "routes": [
            {"change": one.change, "route": one.route, "old": one.old, "new": one.new, "keys": [*map(_key, one.keys)]}
            for one in routes
        ],
        "settings": [_key(change) for change in settings],
        "requests": None if tally is None else tally.as_json(),
    }


def _key(change: KeyChange) -> Mapping[str, str]:
    return {"key": change.key, "old": change.old, "new": change.new}


def _lines(routes: Sequence[RouteChange], settings: Sequence[KeyChange], tally: Tally | None) -> Iterator[str]:
    for change in routes:
        places = " -> ".join(place for place in (change.old, change.new) if place is not None)
        yield f"route {change.change:8} {shown(change.route)} ({places})"
        for key in change.keys:
            yield f"  {_said(key)}"
    yield from (_said(key) for key in settings)
    if not routes and not settings:
        yield "no route and no setting differs"
    if tally is None:
        return
    count = sum(some.count for some in tally.different.values())
    yield f"{count} of {tally.lines} requests would be decided otherwise ({tally.skipped} lines skipped)"
    for some in sorted(tally.different.values(), key=lambda some: -some.count):
        example = some.example
        yield f"  {some.count:6}  {_told(some.old)}  ->  {_told(some.new)}"
        yield f"          such as {shown(example.method)} {shown(example.path)}, id {shown(example.id)}"


def _said(change: KeyChange) -> str:
    return f"{shown(change.key)}: {shown(change.old)} -> {shown(change.new)}"


def _told(decision: Decision) -> str:
    if decision.route is None:
        return decision.outcome
    return f"{decision.outcome} ({shown(decision.route)} to {shown(decision.upstream)})"
