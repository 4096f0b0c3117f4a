"""A gateway of one process: start, obey signals, drain, stop. The only home of uvloop.

Which kind of process `gateway serve` becomes is decided in `start`.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path

import click
import uvloop

from gateway.app.checks import compiled, read
from gateway.app.gateway import Gateway
from gateway.app.opening import StartFailed
from gateway.cli.demo import demo
from gateway.cli.hangup import Hangup
from gateway.cli.heap import tended_heap
from gateway.cli.watch import Watch
from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.ops.logs import Log, adopt_standard_logging, application_log
from gateway.ops.notify import READY, STOPPING, Notify
from gateway.settings.faults import SettingsInvalid, render
from gateway.settings.files import Recorder
from gateway.settings.load import Loaded, load
from gateway.settings.seen import Seen
from gateway.settings.values import Address


async def run(
    path: Path,
    loaded: Loaded,
    migrate: bool = False,
    ready: Callable[[Gateway], Awaitable[None]] | None = None,
    listening: socket.socket | None = None,
    *,
    seen: Seen,
) -> None:
    """Serves until SIGTERM or SIGINT. migrate: bring the database up to date first, making it if there is none.

    ready: called once requests are answered. listening: as in Gateway. seen: of the files of `loaded`. Raises
    SettingsInvalid, StartFailed, DependencyFailed.
    """
    compiled(loaded)
    raise_file_limit()
    log = application_log(sys.stderr, loaded.settings.log.level, loaded.settings.log.format, os.environ)
    adopt_standard_logging(log)
    migrated: tuple[str | None, str] | None = None
    if migrate:
        from gateway.store.schema import migrate as migrate_store  # Alembic, which nothing else here needs

        migrated = await migrate_store(loaded.settings.store.url, loaded.settings.store.secret)
    notify = Notify(os.environ)
    watch = Watch(seen)

    def reread() -> Loaded:
        with watch.reading() as recorder:
            return read(path, os.environ, recorder)

    gateway = Gateway(loaded, Clock(), log, reread, log.become, listening)
    del loaded  # with it goes the tree of places that faults are told by: 10,000 routes are 15 MiB of it
    await gateway.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gateway.aclose)
        stack.enter_context(tended_heap(lambda: gateway.reloads["done"]))
        await gateway.auditing.migrated(migrated)
        hangup = Hangup(lambda: _reload(gateway, notify), log)
        stopped, hurried = _signals(hangup, log)
        log.info("serving", address=str(Address(*gateway.address)), admin=str(Address(*gateway.admin_address)))
        if gateway.setup_token is not None:  # not to the log, which others read
            click.echo(f"nobody has an account yet: x-setup-token: {gateway.setup_token}", err=True)
        if ready is not None:
            await ready(gateway)
        notify.tell(READY, f"MAINPID={os.getpid()}")
        stack.callback(asyncio.create_task(notify.watch()).cancel)
        stack.callback(asyncio.create_task(watch.run(hangup, lambda: gateway.watched)).cancel)
        await stopped.wait()
        notify.tell(STOPPING)
        log.info("draining")
        await first_of(gateway.drain(), hurried.wait())
    log.info("stopped")


def raise_file_limit() -> None:
    """Each connection is an open file, and the usual soft limit of 1024 was made for `select`: the hard one counts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # where "unlimited" is more than the system has
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def first_of(work: Coroutine[object, object, object], signal_: Coroutine[object, object, object]) -> None:
    """Until one of the two ends; the other is cancelled. Raises what `work` raised."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(signal_)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if not tasks[0].cancelled():
        tasks[0].result()


def _signals(hangup: Hangup, log: Log) -> tuple[asyncio.Event, asyncio.Event]:
    """Set by the first signal to stop, and by the second, which ends the draining. SIGHUP reloads."""
    loop = asyncio.get_running_loop()
    stopped, hurried = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (hurried if stopped.is_set() else stopped).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hangup)
    loop.add_signal_handler(signal.SIGUSR2, log.warning, "an upgrade without a gap takes `listen.workers` of 2 or more")
    return stopped, hurried


async def _reload(gateway: Gateway, notify: Notify) -> None:
    notify.reloading()
    try:
        await gateway.reload()
    finally:
        notify.tell(READY)


async def run_demo(gateway: str, admin: str, empty: bool = False) -> None:
    """The demo: its own folder, accounts and echo upstream, and lines to paste. empty: without the accounts."""
    async with demo(gateway, admin, empty=empty) as shown:

        async def greet(running: Gateway) -> None:
            click.echo(shown.greeting(f"http://{Address(*running.address)}"))

        recorder = Recorder()
        await run(shown.config, load(shown.config, os.environ, recorder), ready=greet, seen=recorder.seen)


def serve_until_stopped(work: Coroutine[None, None, None]) -> int:
    """Runs it on uvloop. Exit code: 0, 1 for a wrong configuration, 3 for a dependency that is down."""
    try:
        uvloop_run(work)
    except SettingsInvalid as invalid:
        click.echo("\n".join(map(render, invalid.faults)), err=True)
        return 1
    except (StartFailed, DependencyFailed) as failure:
        detail = failure.detail if isinstance(failure, DependencyFailed) else str(failure)
        click.echo(f"gateway: {detail}", err=True)
        return 3
    return 0


def uvloop_run(work: Coroutine[None, None, None]) -> None:
    gc.disable()  # until the gateway has started, see `tended_heap`
    # libuv looks names up in half of its threads, which are four: two names whose servers are silent would hold up all
    os.environ.setdefault("UV_THREADPOOL_SIZE", "16")
    try:
        uvloop.run(work)
    finally:
        gc.enable()
