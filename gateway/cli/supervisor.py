"""`gateway serve` with several workers: the process that starts them, has the admin listener and obeys signals.

It serves nobody itself, and loads neither the data plane nor the store. What it runs is `gateway.supervise`.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import click

from gateway.cli.hangup import Hangup
from gateway.cli.watch import Watch
from gateway.clock import Clock
from gateway.control import admin
from gateway.control.listener import Listener
from gateway.errors import DependencyFailed
from gateway.ops.health import Readiness
from gateway.ops.logs import ApplicationLog, adopt_standard_logging, application_log
from gateway.ops.notify import READY, STOPPING, Notify
from gateway.ops.question import Question
from gateway.settings import model
from gateway.settings.compose import compose
from gateway.settings.faults import SettingsInvalid
from gateway.settings.files import Recorder, packed, unpacked
from gateway.settings.load import load
from gateway.settings.seen import Seen
from gateway.settings.values import Address
from gateway.supervise import state, succession
from gateway.supervise.children import Children
from gateway.supervise.fleet import Fleet
from gateway.supervise.part import SuccessorPart, WorkerPart, told
from gateway.supervise.reading import Reading
from gateway.supervise.slot import Slot
from gateway.supervise.sockets import bind_all
from gateway.supervise.worker import Worker, WorkerFailed


class Supervisor:
    """settings: of the configuration that the workers run."""

    def __init__(
        self, path: Path, settings: model.Settings, migrate: bool, environ: Mapping[str, str], seen: Seen
    ) -> None:
        self._path = path
        self._migrate = migrate
        self._environ = environ
        self.watch = Watch(seen)
        self.settings = settings
        self.log: ApplicationLog = application_log(sys.stderr, settings.log.level, settings.log.format, environ)
        self.notify = Notify(environ)
        self.children = Children()
        self.stopped = asyncio.Event()
        self.succeeding = asyncio.Event()
        self.hangup = Hangup(self.reload, self.log)
        self._stops = 0
        self._tasks: set[asyncio.Task[object]] = set()
        self.fleet: Fleet
        self.admin: socket.socket
        self.listener: Listener

    def build(self, slots: Sequence[Slot], reading: Reading, admin_socket: socket.socket) -> None:
        self.fleet = Fleet(slots, reading, self.launch, self.reread, self.log, Clock())
        self.admin = admin_socket

    async def open_admin(self) -> None:
        """The socket stays, for a successor; what serves on it is a copy."""
        said = self.settings.admin.address
        application = admin.build(self, self._access, self.log, self.upgrade)
        self.listener = Listener(application, said.host, said.port, self.admin.dup())
        await self.listener.start()

    def _access(self) -> admin.AdminAccess:
        said = self.settings.admin
        token = said.token.get_secret_value().encode() if said.token.is_set else None
        return admin.AdminAccess(token, frozenset(said.hosts))

    # processes

    async def launch(self, slot: Slot, configuration: str, *, first: bool = False, migrate: bool = False) -> Worker:
        ours, theirs = socket.socketpair()
        file = _in_memory(configuration)
        try:
            listen, admin_address = self.settings.listen, self.settings.admin.address
            part = WorkerPart(
                slot.number, slot.listening.fileno(), theirs.fileno(), file, first, migrate,
                listen.workers, str(listen.address), str(admin_address),
            )  # fmt: skip
            inherited = (part.listening, part.control, part.configuration)
            child = self.children.start({**self._environ, **told(part)}, inherited)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(file)
        worker = Worker(slot.number, child, ours)
        await worker.open()
        return worker

    def reread(self) -> Reading:
        with self.watch.reading() as recorder:
            try:
                return _reading(load(self._path, self._environ, recorder).settings, recorder, self._take)
            except SettingsInvalid as invalid:
                return Reading("", [fault.as_json() for fault in invalid.faults])

    def _take(self, settings: model.Settings) -> None:
        self.settings = settings
        self.log.become(settings.log.level, settings.log.format)

    # what an operator can ask for (`control.admin.Operations`)

    async def readiness(self) -> Readiness:
        return await self.fleet.readiness()

    async def reload(self) -> Sequence[Mapping[str, object]]:
        self.notify.reloading()
        try:
            return await self.fleet.reload()
        finally:
            self.notify.tell(READY)

    async def explain(self, question: Question) -> Mapping[str, object]:
        return await self.fleet.explain(question)

    async def purge(self) -> None:
        await self.fleet.purge()

    def metrics(self) -> bytes:
        return self.fleet.metrics()

    async def upgrade(self) -> Sequence[Mapping[str, object]]:
        """Fresh workers of the program as it is now, then this process as well. Returns what kept it from that."""
        if self.fleet.stopping or self.succeeding.is_set():
            raise DependencyFailed("draining")
        async with self.fleet.changing:
            new, faults = await asyncio.to_thread(self._raw)
            faults = faults or list(await self.fleet.upgrade(new, self._migrate))
            if not faults and not self.fleet.stopping:
                faults = await self._try_successor()
        if not faults:
            self.succeeding.set()
        return faults

    def _raw(self) -> tuple[Reading, list[Mapping[str, object]]]:
        """The files alone: what they may say, the new program knows."""
        recorder = Recorder()
        composed = compose(self._path, source=recorder)
        reading = Reading(packed(recorder), drain=self.settings.listen.timeouts.drain)
        return reading, [fault.as_json() for fault in composed.faults]

    async def _try_successor(self) -> list[Mapping[str, object]]:
        async with self.fleet.starts.closed():
            if self.fleet.stopping:
                raise DependencyFailed("draining")
            given = succession.handed_over(self.fleet, self.admin)
            code = await succession.trial(self.children, given, self._environ)
        if code == 0:
            return []
        self.log.error("upgrade stopped: the new supervisor would not start", code=code)
        message = f"the new supervisor would not start: exit code {code}"
        count = len(self.fleet.slots)
        return [{"code": "upgrade_failed", "message": message, "replaced": count, "workers": count}]

    async def succeed(self) -> None:
        """Becomes the new program; returns if it is told to stop. Raises OSError when it cannot, and goes on."""
        async with self.fleet.changing, self.fleet.starts.closed():
            pass  # what is under way may take long; until it is over, the admin listener answers
        await self.listener.aclose()  # answers what was asked
        number = -1
        async with self.fleet.changing, self.fleet.starts.closed():
            await succession.hold()
            try:
                if not self.stopped.is_set():
                    self.log.info("supervisor replaced")
                    given = succession.handed_over(self.fleet, self.admin, self.hangup.pending)
                    number = state.written(given)
                    succession.become(number, given, self._environ)
            finally:
                succession.release()
                self.succeeding.clear()
                if number >= 0:
                    os.close(number)
                await self.open_admin()

    # signals

    def obey(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self.hangup)
        loop.add_signal_handler(signal.SIGUSR2, lambda: self._do(self._attempt(self.upgrade())))

    def _stop(self) -> None:
        self._stops += 1
        if self._stops > 1:
            self.fleet.hurry()
        self.stopped.set()

    async def _attempt(self, upgrade: Coroutine[object, object, object]) -> None:
        try:
            await upgrade
        except Exception as error:  # nobody waits for this task: what runs goes on
            self.log.error("upgrade failed", exc_info=error)

    def _do(self, work: Coroutine[object, object, object]) -> asyncio.Task[object]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _reading(settings: model.Settings, recorder: Recorder, take: Callable[[model.Settings], object]) -> Reading:
    return Reading(packed(recorder), (), settings.listen.timeouts.drain, lambda: take(settings))


async def begin(
    path: Path, settings: model.Settings, recorder: Recorder, migrate: bool, given: Sequence[socket.socket]
) -> None:
    """A new fleet, until it is stopped. given: listening sockets of a service manager. Raises WorkerFailed."""
    supervisor = Supervisor(path, settings, migrate, dict(os.environ), recorder.seen)
    adopt_standard_logging(supervisor.log)
    sockets = list(given) or _bound(settings.listen.address, settings.listen.workers)
    (own,) = _bound(settings.admin.address, 1, " (admin)")
    slots = [Slot(number, sockets[(number - 1) % len(sockets)]) for number in range(1, settings.listen.workers + 1)]
    supervisor.build(slots, _reading(settings, recorder, lambda _: None), own)
    supervisor.obey()

    async def start() -> None:
        await supervisor.fleet.start(migrate)
        await supervisor.open_admin()

    await _run(supervisor, start)


async def go_on(path: Path, given: state.State, migrate: bool) -> None:
    """The fleet of the image before this one."""
    settings, reading = copied(path, given)
    recorder = Recorder()
    with contextlib.suppress(SettingsInvalid):
        load(path, os.environ, recorder)
    changed = packed(recorder) != given.configuration
    supervisor = Supervisor(path, settings, migrate, dict(os.environ), recorder.seen)
    adopt_standard_logging(supervisor.log)
    supervisor.build(succession.slots(given), reading, succession.adopted_socket(given.admin))
    supervisor.obey()
    succession.release()

    async def start() -> None:
        await succession.adopt(supervisor.fleet, supervisor.children, given)
        await supervisor.open_admin()
        if given.reload or (changed and settings.reload.watch):
            supervisor.hangup()

    await _run(supervisor, start)


def copied(path: Path, given: state.State) -> tuple[model.Settings, Reading]:
    """The configuration that the workers run. Raises SettingsInvalid."""
    settings = load(path, os.environ, unpacked(given.configuration)).settings
    return settings, Reading(given.configuration, drain=settings.listen.timeouts.drain)


async def _run(supervisor: Supervisor, start: Callable[[], Coroutine[object, object, None]]) -> None:
    fleet, notify = supervisor.fleet, supervisor.notify
    async with AsyncExitStack() as stack:
        stack.callback(supervisor.children.close)
        stack.push_async_callback(fleet.aclose)
        if not await _unless(supervisor.stopped, start()):
            return
        address, own = supervisor.fleet.slots[0].listening.getsockname(), supervisor.admin.getsockname()
        supervisor.log.info("serving", address=_text(address), admin=_text(own), workers=len(fleet.slots))
        notify.tell(READY, f"MAINPID={os.getpid()}")
        watching = asyncio.create_task(notify.watch(fleet.watched))
        stack.callback(watching.cancel)
        looking = asyncio.create_task(supervisor.watch.run(supervisor.hangup, lambda: supervisor.settings.reload.watch))
        stack.callback(looking.cancel)
        while await _unless(supervisor.stopped, supervisor.succeeding.wait()):
            try:
                await supervisor.succeed()
            except OSError as error:
                supervisor.log.error("the supervisor cannot be replaced", exc_info=error)
        notify.tell(STOPPING)
        supervisor.log.info("draining")
        await fleet.stop()
        await supervisor.listener.aclose()
    supervisor.log.info("stopped")


async def _unless(stopped: asyncio.Event, work: Coroutine[object, object, object]) -> bool:
    """Whether it came to its end before the event did. Raises what it raised."""
    task, stop = asyncio.ensure_future(work), asyncio.ensure_future(stopped.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    if stop.done() and not task.done():
        task.cancel()
        await asyncio.wait({task})
        return False
    stop.cancel()
    await task
    return True


def _bound(address: Address, count: int, what: str = "") -> list[socket.socket]:
    try:
        return bind_all(address.host, address.port, count)
    except OSError as error:
        raise WorkerFailed(f"cannot listen on {address}{what}: {error.strerror}", code=3) from error


def _in_memory(text: str) -> int:
    number = os.memfd_create("gateway-configuration")
    with os.fdopen(os.dup(number), "w") as file:
        file.write(text)
    return number


def _text(name: tuple[str, int]) -> str:
    return str(Address(*name[:2]))


def serve(
    path: Path, settings: model.Settings, recorder: Recorder, migrate: bool, given: Sequence[socket.socket]
) -> int:
    """Exit code, as of `gateway serve`. What kept a worker from its start, it has said itself."""
    return _until_stopped(begin(path, settings, recorder, migrate, given))


def succeed(path: Path, part: SuccessorPart, migrate: bool) -> int:
    """As `serve`, for what another image of this process has begun. Of a trial: 0 if this one could go on with it."""
    os.set_inheritable(part.state, False)
    try:
        given = state.read(part.state)
    except state.StateUnknown as unknown:
        click.echo(f"gateway: this program cannot go on with what the running one hands over: {unknown}", err=True)
        return 3
    if part.trial:
        copied(path, given)
        return 0
    os.close(part.state)
    return _until_stopped(go_on(path, given, migrate))


def _until_stopped(work: Coroutine[None, None, None]) -> int:
    gc.enable()
    try:
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(succession.threads())
            runner.run(work)
    except WorkerFailed as failure:
        if not failure.told:
            click.echo(f"gateway: {failure.detail}", err=True)
        return failure.code if failure.code in (1, 3) else 3
    return 0
