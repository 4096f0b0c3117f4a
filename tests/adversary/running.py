"""Runs cases against a gateway, and judges them by what came back and by what reached the upstream."""

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .model import Case, Field, Ground, Options, Outcome, Record, Result, held
from .wire import exchange

_MARK = re.compile(rb"adv\d{6}q")
_QUIET = 0.3  # seconds without a new line after which the log is taken to be whole
_GRAIN = 0.05


class CannotBeTriedError(Exception):
    """The options do not fit the gateway: what any gateway has to do is not done."""


class Log:
    """What the upstream wrote since this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin = path.stat().st_size if path.exists() else 0

    def lines(self) -> list[dict[str, Any]]:
        with self._path.open("rb") as file:
            file.seek(self._begin)
            whole, _, _ = file.read().rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines()]

    async def settle(self) -> None:
        """Until nothing has been added for a moment."""
        size, quiet = -1, 0.0
        while quiet < _QUIET:
            now = self._path.stat().st_size
            quiet = quiet + _GRAIN if now == size else 0.0
            size = now
            await asyncio.sleep(_GRAIN)


async def tried(options: Options) -> frozenset[bytes]:
    """Names of the fields that the gateway adds. Raises CannotBeTriedError where the options cannot be right."""
    ground = Ground(options)
    log = Log(options.log)
    seen: dict[str, Record] = {}
    for name, target, fields, authorized in ground.places(mark := b"adv000000q"):
        case = Case("", name, mark, [ground.request(target, *fields)], lambda _: None, authorized)
        outcome = await exchange(case, options)
        arrived = [record for line in log.lines() if (record := _record(line)) and record.target == target]
        if len(arrived) != 1:
            raise CannotBeTriedError(f"{target.decode()} did not reach the upstream: {outcome.answers}")
        seen[name] = arrived[0]
    case = Case("", "", mark, [ground.request(ground.protected(mark))], lambda _: None)
    outcome = await exchange(case, options)
    if not outcome.answers or outcome.answers[0].status < 300:
        raise CannotBeTriedError(f"{options.protected.decode()} asks for no credential: {outcome.answers}")
    if options.credential is not None and not seen["protected"].all(options.identities[0]):
        raise CannotBeTriedError(f"{options.identities[0].decode()} is not told to the upstream")
    own = {b"host", b"authorization"}
    return frozenset(name.lower() for record in seen.values() for name, _ in record.fields) - own


async def run(cases: Sequence[Case], options: Options) -> list[Result]:
    """In the order of the cases."""
    log = Log(options.log)
    gate = asyncio.Semaphore(options.at_once)

    async def one(case: Case) -> Outcome | None:
        if case.inapplicable:
            return None
        if case.slow:
            return await exchange(case, options)
        async with gate:
            return await exchange(case, options)

    outcomes = await asyncio.gather(*map(one, cases))
    await log.settle()
    stray = _attribute(log.lines(), {case.mark: outcome for case, outcome in zip(cases, outcomes, strict=True)})
    results = [_judged(case, outcome, options) for case, outcome in zip(cases, outcomes, strict=True)]
    if stray:
        results.append(Result("S-18", "requests that nobody sent", "failed", f"{len(stray)}, such as {stray[0]!r}"))
    return results


def _judged(case: Case, outcome: Outcome | None, options: Options) -> Result:
    if outcome is None:
        return Result(case.rule, case.name, "n/a", case.inapplicable)
    said = held(case, outcome, options) or case.judge(outcome)
    return Result(case.rule, case.name, "failed" if said else "passed", said or "")


def _attribute(lines: Sequence[dict[str, Any]], outcomes: dict[bytes, Outcome | None]) -> list[str]:
    """Gives each outcome its records, by the mark, else by what came before on the connection. Returns the rest."""
    last: dict[int, Outcome] = {}
    stray = []
    for line in lines:
        found = _MARK.search(line.get("target", line.get("raw", "")).encode("latin-1"))
        found = found or _MARK.search(json.dumps(line.get("fields", "")).encode())
        outcome = outcomes.get(found[0]) if found else last.get(line["connection"])
        if outcome is None:
            stray.append(str(line.get("target", line.get("raw", "")))[:80])
            continue
        last[line["connection"]] = outcome
        if "raw" in line:
            outcome.raw.append(line["raw"])
        elif record := _record(line):
            outcome.records.append(record)
    return stray


def _record(line: dict[str, Any]) -> Record | None:
    if "record" not in line:
        return None

    def pair(field: list[str]) -> Field:
        return field[0].encode("latin-1"), field[1].encode("latin-1")

    return Record(
        line["record"],
        line["connection"],
        line["method"].encode("latin-1"),
        line["target"].encode("latin-1"),
        tuple(map(pair, line["fields"])),
        tuple(trailer.encode("latin-1") for trailer in line.get("trailers", ())),
        line.get("complete", False),
        line.get("malformed", False),
        line.get("tunnel", False),
        line["at"],
        line.get("body", 0),
    )
