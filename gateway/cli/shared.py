"""What the commands share: the services over an open store, and output."""

import asyncio
import json
import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import click

from gateway.app.masters import master_keys
from gateway.cli.check import config_path
from gateway.cli.options import Misuse, chosen_config, wants_json
from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.accounts import Accounts
from gateway.identity.administration import Administration
from gateway.identity.audit import Scope, acting
from gateway.identity.grants import Grants
from gateway.identity.keys import Keys
from gateway.identity.sessions import Terms
from gateway.login.shown import Fields as Fields
from gateway.settings.load import load
from gateway.settings.model import Secrets, Settings
from gateway.store.sql import Store, open_store

T = TypeVar("T")


def settings() -> Settings:
    """Of the chosen configuration. Raises SettingsInvalid."""
    path = config_path([chosen_config(click.get_current_context())], os.environ)
    return load(path, os.environ).settings


@dataclass(frozen=True, slots=True)
class Session:
    """The services, over an open store."""

    settings: Settings
    store: Store
    administration: Administration
    clock: Clock

    @property
    def accounts(self) -> Accounts:
        return self.administration.accounts

    @property
    def grants(self) -> Grants:
        return self.administration.grants

    @property
    def keys(self) -> Keys:
        return self.administration.keys


@asynccontextmanager
async def opened(found: Settings, clock: Clock) -> AsyncIterator[Session]:
    key, previous = keys_of(found.secrets)
    store = await open_store(found.store.url, key, clock, found.store.secret, previous)
    try:
        with acting(Scope(f"cli:{os_user()}")):
            yield Session(
                settings=found,
                store=store,
                administration=_administration(found, store, clock),
                clock=clock,
            )
    finally:
        with suppress(DependencyFailed):  # what was done is done; `gateway audit verify` tells what is wrong
            await store.seal_audit()
        await store.aclose()


def _administration(found: Settings, store: Store, clock: Clock) -> Administration:
    strings, tokens, changes = found.connection_strings, found.tokens, store.changes()
    return Administration(
        Accounts(store.accounts, store.tenants, store.roles, clock),
        Grants(store.grants, store.keys, clock, form=strings.format, max_lifetime=strings.max_lifetime),
        Keys(store.keys, clock),
        store.keys,
        changes.factors,
        changes.accounts,
        changes.governance,
        tokens.algorithm,
        Terms(tokens.issuer, tokens.audience, tokens.lifetime, tokens.restricted_lifetime),
        clock,
    )


def os_user() -> str:
    """By whom a command was given, as the system knows it: no variable, which anybody could set."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # in a container, say
        return str(number)


def keys_of(said: Secrets) -> tuple[bytes, bytes | None]:
    try:
        return master_keys(said)
    except ValueError as error:
        raise Misuse(str(error)) from error


def operate(work: Callable[[Session], Awaitable[T]]) -> T:
    """Run `work` over the store of the chosen configuration."""
    found = settings()

    async def session() -> T:
        async with opened(found, Clock()) as services:
            return await work(services)

    return asyncio.run(session())


def emit(value: Fields | Sequence[Fields], columns: Sequence[str] = ()) -> None:
    """JSON with `--json`; else a mapping as lines and a list as a table. columns: of the table, all by default."""
    if wants_json(click.get_current_context()):
        click.echo(json.dumps(value, ensure_ascii=False))
    elif isinstance(value, Mapping):
        width = max(map(len, value), default=0)
        click.echo("\n".join(f"{name:{width}}  {shown(field)}" for name, field in value.items()))
    elif value:
        click.echo(table(value, columns or list(value[0])))
    else:
        click.echo("none", err=True)


def table(rows: Sequence[Fields], columns: Sequence[str]) -> str:
    cells = [list(columns), *([shown(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def shown(field: object) -> str:
    """One field for people; what could move a terminal's cursor becomes `?`."""
    if field is None:
        return "-"
    text = {True: "yes", False: "no"}[field] if isinstance(field, bool) else str(field)
    return "".join(letter if letter.isprintable() else "?" for letter in text)
