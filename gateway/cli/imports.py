"""`gateway account import`: many accounts that come from another system, in a file of JSON Lines."""

import asyncio
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

import click

from gateway.cli.hashing import hashing
from gateway.cli.options import Failure, Misuse, shared
from gateway.cli.progress import progress
from gateway.cli.shared import Fields, Session, emit, operate
from gateway.errors import RequestRejected
from gateway.store.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.identity.arrivals import Arrival
    from gateway.identity.model import Tenant

MAX_LINE = 256 << 10  # bytes; a thousand roles fit
SHOWN = 50  # faults or conflicts that are told by line; the rest is a number
BREATH = 200  # lines between two looks whether somebody wants it to stop


class Invalid(Misuse):
    """The file is wrong, and nothing was imported: a line for each fault."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, err=True)


@dataclass(slots=True)
class Reports:
    """By line of the file. The first of them are kept, all are counted."""

    name: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, line: int, text: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(f"{self.name}:{line}: {text}")

    def __str__(self) -> str:
        more = [f"and {self.count - SHOWN} more"] if self.count > SHOWN else []
        return "\n".join([*self.first, *more])


@click.command("import")
@shared
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Check the file, and say what would be done.")
def import_(source: Path, dry_run: bool) -> None:
    """Import accounts from FILE, one JSON object a line; `-` reads standard input.

    The whole file is checked before anything is done. It can be interrupted and repeated: accounts that are here as the
    file has them are skipped, those that differ are told by line and stay as they are. Exit code 1 when there are any.
    """
    name = "standard input" if str(source) == "-" else str(source)
    conflicts = Reports(name)
    with lines_of(source) as file, progress("run it again: what is imported is skipped") as told:
        done = operate(lambda session: Import(session, file, conflicts, told).run(dry_run))
    emit(done)
    if conflicts.count:
        raise Conflicts(f"{conflicts}\ngateway: {conflicts.count} of the file's accounts are here with other values")


class Conflicts(Failure):
    """A line for each."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, err=True)


@contextmanager
def lines_of(source: Path) -> "Iterator[BinaryIO]":
    """A file that can be read twice. Raises Misuse."""
    if str(source) == "-":
        with tempfile.TemporaryFile() as copy:  # it has no name: whatever happens, nothing is left of it
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.seek(0)
            yield cast(BinaryIO, copy)
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise Misuse(f"{source}: {(error.strerror or 'cannot be read').lower()}") from error
    with file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise Misuse(f"{source}: not a regular file; give what comes from a pipe to `-`")
        if mode & (stat.S_IRGRP | stat.S_IROTH):
            click.echo(f"gateway: others may read {source}, and it has secrets: chmod 600 {source}", err=True)
        yield file


class Import:
    """file: read twice, from where it stands."""

    def __init__(self, session: Session, file: BinaryIO, conflicts: Reports, told: Told) -> None:
        self._session = session
        self._file = file
        self._conflicts = conflicts
        self._told = told
        self._faults = Reports(conflicts.name)

    async def run(self, dry: bool) -> Fields:
        """Raises Invalid; Failure when the file changes meanwhile."""
        tenant = named(await self._session.accounts.tenants())
        total = await self._check(tenant)
        if self._faults.count:
            raise Invalid(f"{self._faults}\ngateway: {self._faults.count} faults, so nothing was imported")
        self._file.seek(0)
        return await self._take(tenant, total, dry)

    async def _check(self, tenant: Callable[[str], str]) -> int:
        """How many accounts there are. All faults are kept."""
        seen: dict[bytes, int] = {}
        count = 0
        async for one in self._arrivals(tenant, self._faults.add):
            count += 1
            self._told("checking", count, None)
            texts = [("email", one.email.key)] + ([("username", one.username[1])] if one.username else [])
            for kind, text in texts:
                # a digest: what is remembered of a line is as long for every line
                before = seen.setdefault(blake2b(f"{kind} {text}".encode(), digest_size=16).digest(), one.line)
                if before != one.line:
                    self._faults.add(one.line, f"the {kind} stands in line {before} too")
        return count

    async def _take(self, tenant: Callable[[str], str], total: int, dry: bool) -> Fields:
        from gateway.store.arrivals import BATCH

        created = skipped = done = 0
        arrivals = self._session.store.changes().arrivals()
        batch: list[Arrival] = []
        with hashing() as passwords:

            def moved_on(stored: str, said: str) -> bool:
                """Whoever has logged in, or set a password, since the last time has a hash of today's kind."""
                return passwords.needs_rehash(said) and not passwords.needs_rehash(stored)

            async def take() -> None:
                nonlocal created, skipped, done
                taken = await arrivals.take(batch, moved_on, dry=dry)
                created, skipped, done = created + taken.created, skipped + taken.skipped, done + len(batch)
                for line, text in taken.conflicts:
                    self._conflicts.add(line, text)
                batch.clear()
                self._told("importing", done, total)

            async for one in self._arrivals(tenant, changed_meanwhile):
                batch.append(one)
                if len(batch) == BATCH:
                    await take()
            if batch:
                await take()
        counted = {"created": created, "skipped": skipped, "conflicts": self._conflicts.count}
        return {**counted, "dryRun": True} if dry else counted

    async def _arrivals(
        self, tenant: Callable[[str], str], fault: Callable[[int, str], None]
    ) -> "AsyncIterator[Arrival]":
        from gateway.identity.arrivals import read

        number = 0
        while text := self._file.readline(MAX_LINE + 1):
            number += 1
            if number % BREATH == 0:
                await asyncio.sleep(0)
            if len(text) > MAX_LINE:
                fault(number, f"the line is longer than {MAX_LINE >> 10} KiB")
                while text and not text.endswith(b"\n"):
                    text = self._file.readline(MAX_LINE)
                continue
            if not text.strip():
                continue
            try:
                found = read(number, text, tenant)
            except RequestRejected as error:
                fault(number, error.detail or error.code)
            else:
                yield found


def changed_meanwhile(line: int, text: str) -> None:
    raise Failure(f"line {line}: {text}. The file has changed while it was read: run it again")


def named(tenants: Sequence["Tenant"]) -> Callable[[str], str]:
    """Finds the id of a tenant by its id or its name."""
    by_name: dict[str, list[str]] = {}
    for tenant in tenants:
        by_name.setdefault(tenant.name, []).append(tenant.id)
    ids = {tenant.id for tenant in tenants}

    def find(text: str) -> str:
        if text.lower() in ids:
            return text.lower()
        found = by_name.get(text, [])
        if len(found) == 1:
            return found[0]
        why = "there are several, so write its id" if found else "there is none: `gateway tenant create` makes it"
        raise RequestRejected("invalid_value", f"the tenant {text[:64]!r}: {why}")

    return find
