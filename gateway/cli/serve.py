"""`gateway serve`: start, obey signals, drain, stop. The only home of uvloop."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import click
import uvloop

from gateway.app.gateway import Gateway, StartFailed, read
from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.ops.logs import adopt_standard_logging, application_log
from gateway.settings.faults import SettingsInvalid, render
from gateway.store.schema import migrate as migrate_store


async def run(path: Path, migrate: bool = False, ready: Callable[[Gateway], Awaitable[None]] | None = None) -> None:
    """Serves until SIGTERM or SIGINT. migrate: bring the database up to date first, making it if there is none.

    ready: called once requests are answered. Raises SettingsInvalid, StartFailed, DependencyFailed.
    """
    loaded = read(path, os.environ)
    log = application_log(sys.stderr, loaded.settings.log.level)
    adopt_standard_logging(log)
    if migrate:
        await migrate_store(loaded.settings.store.url)
    gateway = Gateway(loaded, Clock(), log, lambda: read(path, os.environ))
    await gateway.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.aclose)
        stopped = _signals(gateway)
        log.info("serving", address="%s:%d" % gateway.address, admin="%s:%d" % gateway.admin_address)
        if ready is not None:
            await ready(gateway)
        await stopped.wait()
        log.info("draining")
        await gateway.drain()
    log.info("stopped")


def _signals(gateway: Gateway) -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task: asyncio.Task[object] = loop.create_task(_reload(gateway))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    return stopped


async def _reload(gateway: Gateway) -> None:
    await gateway.reload()


def serve_until_stopped(work: Awaitable[None]) -> int:
    """Runs it on uvloop. Exit code: 0, 1 for a wrong configuration, 3 for a dependency that is down."""

    async def main() -> None:
        await work

    try:
        uvloop.run(main())
    except SettingsInvalid as invalid:
        click.echo("\n".join(map(render, invalid.faults)), err=True)
        return 1
    except (StartFailed, DependencyFailed) as failure:
        detail = failure.detail if isinstance(failure, DependencyFailed) else str(failure)
        click.echo(f"gateway: {detail}", err=True)
        return 3
    return 0
