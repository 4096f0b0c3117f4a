"""One of several workers: serves on the socket it inherits, does what the supervisor asks, and ends with it."""

import asyncio
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import click

from gateway.app.checks import read
from gateway.app.gateway import Gateway
from gateway.app.opening import StartFailed
from gateway.cli.heap import tended_heap
from gateway.cli.serve import first_of, raise_file_limit, uvloop_run
from gateway.clock import Clock
from gateway.errors import DependencyFailed, GatewayError
from gateway.ops.logs import adopt_standard_logging, application_log
from gateway.ops.question import from_json
from gateway.settings.faults import Fault, SettingsInvalid, render
from gateway.settings.files import Files, unpacked
from gateway.settings.load import Loaded
from gateway.settings.values import Address
from gateway.supervise.channel import Channel, Message, open_channel
from gateway.supervise.part import WorkerPart

QUEUE = 4096  # connections that a socket holds: edge.listener.BACKLOG
TURNS = 3  # of the loop, in which what has been accepted is read
IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)  # a terminal sends them to all; the supervisor acts on them


class Desk:
    """What the supervisor asks of one worker.

    stopped: set when it has to end. hurried: when it has to end now. patience: as in Edge.drain.
    """

    def __init__(self, path: Path, files: Files) -> None:
        self._path = path
        self._files = files
        self.gateway: Gateway | None = None
        self.stopped = asyncio.Event()
        self.hurried = asyncio.Event()
        self.patience = 0.0

    def read(self) -> Loaded:
        """The configuration that the supervisor handed over last."""
        return read(self._path, os.environ, self._files)

    def hear(self, message: Message) -> None:
        match message.get("do"):
            case "leave":
                self.patience = cast(float, message["patience"])
                self.stopped.set()
            case "stop":
                self.stopped.set()
            case "hurry":
                self.stopped.set()
                self.hurried.set()

    async def answer(self, message: Message) -> Message:
        gateway = self.gateway
        match message.get("do"):
            case "metrics" if gateway is not None:
                return {"exposition": await exposition(gateway)}
            case "ready" if gateway is not None:
                found = await gateway.readiness()
                return {"reasons": found.reasons, "warnings": found.warnings}
            case "ping":
                return {}
            case "labels" if gateway is not None:
                return {"labels": gateway.labels()}
            case "explain" if gateway is not None:
                return await _explained(gateway, message)
            case "purge" if gateway is not None:
                await gateway.purge()
                return {}
            case "reload" if gateway is not None:
                self._files = unpacked(str(message["configuration"]))
                return await _reloaded(gateway)
        return {"error": "not known to this release"}


async def exposition(gateway: Gateway) -> str:
    return (await asyncio.to_thread(gateway.metrics)).decode()


async def _reloaded(gateway: Gateway) -> Message:
    try:
        return {"faults": list(await gateway.reload())}
    except DependencyFailed as failure:
        return {"error": failure.detail or failure.code}
    except Exception as error:  # told to whoever asked for it; the old configuration goes on
        return {"error": f"{type(error).__name__}: {error}"}


async def _explained(gateway: Gateway, message: Message) -> Message:
    try:
        return {"explained": await gateway.explain(from_json(cast(Mapping[str, object], message["question"])))}
    except GatewayError as fault:
        return {"code": fault.code, "detail": fault.detail, "ours": isinstance(fault, DependencyFailed)}


async def run(path: Path, part: WorkerPart) -> None:
    """Serves until it is told to stop, or the supervisor is gone.

    Raises SettingsInvalid, StartFailed, DependencyFailed.
    """
    with os.fdopen(os.dup(part.configuration)) as file:
        file.seek(0)
        desk = Desk(path, unpacked(file.read()))
    os.close(part.configuration)
    channel = await open_channel(socket.socket(fileno=part.control), desk.answer, desk.hear)
    bound = asyncio.ensure_future(channel.run())
    bound.add_done_callback(lambda _: desk.stopped.set())
    try:
        await _serve(desk, part, channel)
    except SettingsInvalid as invalid:
        channel.tell({"event": "failed", "code": 1, "faults": [fault.as_json() for fault in invalid.faults]})
        raise
    except (StartFailed, DependencyFailed) as failure:
        channel.tell({"event": "failed", "code": 3, "detail": detail(failure)})
        raise
    finally:
        await channel.aclose()
        await bound


async def _serve(desk: Desk, part: WorkerPart, channel: Channel) -> None:
    loop = asyncio.get_running_loop()
    loaded = desk.read()
    faults = fixed(loaded, part)
    if faults:
        raise SettingsInvalid(faults)
    settings = loaded.settings
    raise_file_limit()
    log = application_log(sys.stderr, settings.log.level, settings.log.format, os.environ, worker=part.number)
    adopt_standard_logging(log)
    migrated: tuple[str | None, str] | None = None
    if part.migrate:
        from gateway.store.schema import migrate as migrate_store  # Alembic, which nothing else here needs

        migrated = await migrate_store(settings.store.url, settings.store.secret)
    listening = socket.socket(fileno=part.listening)
    gateway = Gateway(loaded, Clock(), log, desk.read, log.become, listening=listening, admin=False)
    del loaded
    await gateway.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_tell_last, channel, gateway)
        stack.push_async_callback(gateway.aclose)
        stack.enter_context(tended_heap(lambda: gateway.reloads["done"]))
        await gateway.auditing.migrated(migrated)
        desk.gateway = gateway
        loop.add_signal_handler(signal.SIGTERM, desk.stopped.set)  # from a service manager: to all of us at once
        channel.tell({"event": "ready", "address": str(Address(*gateway.address))})
        if gateway.setup_token is not None and part.first and part.number == 1:  # not to the log, which others read
            click.echo(f"nobody has an account yet: x-setup-token: {gateway.setup_token}", err=True)
        await desk.stopped.wait()
        if not desk.patience:  # else a successor accepts on the same socket
            await _caught_up(listening)
        await first_of(gateway.drain(desk.patience), desk.hurried.wait())
        await _tell_last(channel, gateway)  # now too: what has to be closed may last longer than the supervisor waits


async def _tell_last(channel: Channel, gateway: Gateway) -> None:
    """What it has counted. Lines of the access log may be lost as late as when that is closed."""
    channel.tell({"event": "last", "exposition": await exposition(gateway)})


async def _caught_up(listening: socket.socket) -> None:
    """What is queued on the socket is accepted, and what was sent on it read: closing it would reset all that.

    The loop accepts one connection in each turn. Of a stream that does not end, as many as the queue holds.
    """
    waiting = select.poll()
    waiting.register(listening, select.POLLIN)
    for _ in range(QUEUE):
        if not waiting.poll(0):
            break
        await asyncio.sleep(0)
    for _ in range(TURNS):
        await asyncio.sleep(0)


def fixed(loaded: Loaded, part: WorkerPart) -> Sequence[Fault]:
    """What the fleet cannot change by replacing its workers."""
    listen, admin = loaded.settings.listen, loaded.settings.admin
    found = (
        (("listen", "address"), str(listen.address), part.address),
        (("listen", "workers"), str(listen.workers), str(part.count)),
        (("admin", "address"), str(admin.address), part.admin),
    )
    return [
        loaded.place(keys).fault("needs_restart", f"{'.'.join(keys)} changes only with a restart")
        for keys, new, old in found
        if new != old
    ]


def detail(failure: StartFailed | DependencyFailed) -> str:
    return (failure.detail or failure.code) if isinstance(failure, DependencyFailed) else str(failure)


def serve(path: Path, part: WorkerPart) -> int:
    """Exit code: 0 stopped, 1 for a wrong configuration, 3 for a dependency. At a first start it says why on stderr."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    for number_ in (part.listening, part.control, part.configuration):
        os.set_inheritable(number_, False)
    try:
        uvloop_run(run(path, part))
    except SettingsInvalid as invalid:
        if part.first:
            click.echo("\n".join(map(render, invalid.faults)), err=True)
        return 1
    except (StartFailed, DependencyFailed) as failure:
        if part.first:
            click.echo(f"gateway: {detail(failure)}", err=True)
        return 3
    return 0
