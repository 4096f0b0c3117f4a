"""All workers of one gateway: started, started again, reloaded and replaced one after another, asked as one.

What is asked of them is here; how a process is started is `children`, how it is spoken to `worker`, and how the
supervisor itself is replaced `succession`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.ops import merged
from gateway.ops.health import Readiness
from gateway.ops.logs import Log
from gateway.supervise.channel import ChannelClosedError, Message
from gateway.supervise.slot import Slot
from gateway.supervise.worker import Fault, Worker, WorkerFailed, how

RELOAD_SECONDS: Final = 60.0  # 10,000 routes on a busy machine take a tenth of that
READY_SECONDS: Final = 120.0  # of a successor; a migration may be part of its start
MARGIN_SECONDS: Final = 10.0  # after `listen.timeouts.drain`, before what does not end is killed
PATIENCE_SECONDS: Final = 1.0  # that connections of a worker that is replaced may take to their last request


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration as it was read. text: for the workers. faults: why it is none.

    take: called when they have it. drain: seconds.
    """

    text: str
    faults: Sequence[Fault] = ()
    drain: float = 30.0
    take: Callable[[], object] = lambda: None


class Launch(Protocol):
    async def __call__(self, slot: Slot, configuration: str, *, first: bool = False, migrate: bool = False) -> Worker:
        """A process for this slot, just begun. Raises OSError."""


class Fleet:
    """`start`, then `stop`; in between it keeps a worker in every slot."""

    def __init__(
        self,
        slots: Sequence[Slot],
        reading: Reading,
        launch: Launch,
        reread: Callable[[], Reading],
        log: Log,
        clock: Clock,
    ) -> None:
        """reread: the configuration as it is on the disk now; called in a thread. It raises nothing."""
        self.slots = slots
        self.reading = reading
        self.reloads = {"done": 0, "refused": 0}
        self.kept: merged.Families = {}  # counters of workers that have ended
        self.changing = asyncio.Lock()  # held by a reload and by an upgrade: one at a time
        self.configuring = asyncio.Lock()  # held while a worker starts or takes a configuration: all get the same
        self.stopping = False
        self._launch = launch
        self._reread = reread
        self._log = log
        self._clock = clock
        self._starting: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    async def start(self, migrate: bool = False) -> None:
        """The first alone: it says what is wrong, and makes tables and keys. Raises WorkerFailed, OSError."""
        first, *others = self.slots
        self.install(first, await self._started(first, first=True, migrate=migrate))
        for outcome in await asyncio.gather(*map(self._begin, others), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _begin(self, slot: Slot) -> None:
        self.install(slot, await self._started(slot, first=True))

    async def _started(
        self, slot: Slot, configuration: str | None = None, *, first: bool = False, migrate: bool = False
    ) -> Worker:
        """A worker that is ready. Raises WorkerFailed, after its end."""
        text = self.reading.text if configuration is None else configuration
        try:
            worker = await self._launch(slot, text, first=first, migrate=migrate)
        except OSError as error:
            raise WorkerFailed(f"it cannot be started: {error}", code=3) from error
        self._starting.add(worker)
        try:
            await worker.until_ready(None if first else READY_SECONDS)
        except BaseException:
            worker.kill()
            raise
        finally:
            self._starting.discard(worker)
        worker.since = self._clock.monotonic()
        return worker

    def install(self, slot: Slot, worker: Worker, leaving: bool = False) -> None:
        """From now on it is the slot's, or was."""
        if leaving:
            slot.leaving.add(worker)
        else:
            slot.worker = worker
        if self.stopping:
            worker.tell("stop")
        self._do(self._outlive(slot, worker))

    async def _outlive(self, slot: Slot, worker: Worker) -> None:
        end = await worker.over()
        self.kept = merged.merged([self.kept, merged.growing(merged.parse(worker.exposition))])
        slot.seconds += end.seconds
        slot.leaving.discard(worker)
        if slot.worker is not worker:
            return
        slot.worker = None
        if self.stopping:
            return
        slot.restarts += 1
        wait = slot.backoff.after(self._clock.monotonic() - worker.since)
        self._log.error("worker ended", worker=slot.number, how=how(end), restart_in=wait)
        await asyncio.sleep(wait)
        await self.revive(slot)

    async def revive(self, slot: Slot) -> None:
        """Until it has a worker."""
        while not self.stopping and slot.worker is None:
            try:
                async with self.configuring:
                    if slot.worker is None and not self.stopping:
                        self.install(slot, await self._started(slot))
            except WorkerFailed as failure:
                wait = slot.backoff.after(0.0)
                self._log.error("worker cannot start", worker=slot.number, detail=failure.detail, restart_in=wait)
                self._tell(failure.faults)
                await asyncio.sleep(wait)

    def keep(self, slot: Slot) -> None:
        """Has the slot get a worker, if it has none."""
        self._do(self.revive(slot))

    def _do(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """All drain at once; what does not end in time is killed."""
        self.stopping = True
        for worker in self._starting:
            worker.kill()
        for worker in self.workers():
            worker.tell("stop")
        while living := [worker for worker in self.workers() if not worker.child.ended.done()]:
            await self._ended(living)  # one that came to serve meanwhile is among the next

    def hurry(self) -> None:
        """The draining ends now."""
        for worker in self.workers():
            worker.tell("hurry")

    async def aclose(self) -> None:
        """Nothing is left, however it came to that."""
        self.stopping = True
        living = [*self.workers(), *self._starting]
        for worker in living:
            worker.kill()
        await asyncio.gather(*(worker.over() for worker in living))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def workers(self) -> list[Worker]:
        """All that serve, or still answer what they have begun."""
        return [worker for slot in self.slots for worker in slot.processes()]

    async def _ended(self, workers: Sequence[Worker]) -> None:
        """They have been told to; after `listen.timeouts.drain` and a margin they are killed."""
        waiting = [asyncio.ensure_future(worker.child.end()) for worker in workers]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=self.reading.drain + MARGIN_SECONDS)
            for worker in workers if late else ():
                worker.kill()
            await asyncio.wait(waiting)

    # one after another

    async def reload(self) -> Sequence[Mapping[str, object]]:
        """The new configuration in all workers, or the old one still: then the faults."""
        if self.stopping:
            raise DependencyFailed("draining")
        async with self.changing, self.configuring:
            faults = await self._reload()
        self.reloads["refused" if faults else "done"] += 1
        if not faults:
            self._log.info("reloaded", workers=len(self.slots))
        return faults

    async def _reload(self) -> Sequence[Fault]:
        """A worker that took the new one decides for all: what fails then is replaced, so that no two differ."""
        new = await asyncio.to_thread(self._reread)
        if new.faults:
            self._tell(new.faults, "reload refused")
            return new.faults
        taken = False
        living = [(slot, slot.worker) for slot in self.slots if slot.worker is not None]
        for slot, worker in living:
            faults, silent = await self._reloaded(worker, new.text)
            if faults and not taken and not silent:
                return faults  # the worker has told them
            if faults:
                detail = str(faults[0]["message"])
                self._log.error("reload failed in a worker, which is replaced", worker=slot.number, detail=detail)
                self._do(self._replace_failed(slot, worker))
                continue
            taken = True
            self.adopt(new)
        if living and not taken:
            return [{"code": "reload_failed", "message": "no worker answers"}]
        self.adopt(new)  # without any worker: what starts next takes it, or says why not
        return []

    async def _reloaded(self, worker: Worker, text: str) -> tuple[Sequence[Fault], bool]:
        """What kept it from the new configuration, and whether that is its silence."""
        try:
            answer = await worker.ask("reload", RELOAD_SECONDS, configuration=text)
        except ChannelClosedError:
            return [{"code": "reload_failed", "message": "it does not answer"}], True
        if "error" in answer:
            return [{"code": "reload_failed", "message": answer["error"]}], False
        return cast(Sequence[Fault], answer["faults"]), False

    async def _replace_failed(self, slot: Slot, worker: Worker) -> None:
        """By one with the configuration that runs; if that cannot start, it ends all the same, and is retried."""
        try:
            async with self.configuring:
                if slot.worker is worker:
                    self.succeed(slot, await self._started(slot))
        except WorkerFailed as failure:
            self._log.error("worker cannot start", worker=slot.number, detail=failure.detail)
            worker.tell("leave", patience=PATIENCE_SECONDS)
        await self._ended([worker])

    def adopt(self, new: Reading) -> None:
        self.reading = new
        new.take()

    async def upgrade(self, new: Reading, migrate: bool = False) -> Sequence[Fault]:
        """A fresh process in every slot, one after another, of the program and configuration as they are now.

        A fault ends it: the old workers stay that have not been replaced. To be called with `changing` held.
        """
        for slot in self.slots:
            if self.stopping:
                raise DependencyFailed("draining")
            try:
                async with self.configuring:
                    successor = await self._started(slot, new.text, migrate=migrate and slot is self.slots[0])
                    self.succeed(slot, successor)
            except WorkerFailed as failure:
                self._log.error("upgrade stopped: a new worker cannot start", worker=slot.number, detail=failure.detail)
                self._tell(failure.faults)
                return failure.faults or [{"code": "upgrade_failed", "message": failure.detail, "worker": slot.number}]
            self.reading = new
            self._log.info("worker replaced", worker=slot.number)
            await self._ended(tuple(slot.leaving))
        return []

    def succeed(self, slot: Slot, successor: Worker) -> None:
        """The old worker stops accepting now that the new one does, and ends with its last exchange."""
        old = slot.worker
        self.install(slot, successor)
        if old is not None:
            slot.leaving.add(old)
            old.tell("leave", patience=PATIENCE_SECONDS)

    def _tell(self, faults: Sequence[Fault], event: str = "configuration refused") -> None:
        for fault in faults:
            if "file" in fault:
                place = f"{fault['file']}:{fault['line']}:{fault['column']}"
                self._log.error(event, place=place, fault=fault["message"])

    # all as one (`control.admin.Operations`)

    async def readiness(self) -> Readiness:
        """Ready while one worker is: the kernel gives the others' connections to those that accept, or they wait."""
        if self.stopping:
            return Readiness(("draining",))
        answers = await asyncio.gather(*(self._ready(slot) for slot in self.slots))
        reasons: list[str] = []
        warnings: dict[str, None] = {}
        ready = False
        for slot, answer in zip(self.slots, answers, strict=True):
            found = [f"worker {slot.number}: {reason}" for reason in cast(Sequence[str], answer["reasons"])]
            ready |= not found
            reasons += found
            warnings.update(dict.fromkeys(cast(Sequence[str], answer["warnings"])))
        if not ready:
            return Readiness(tuple(reasons), tuple(warnings))
        return Readiness((), (*reasons, *warnings))

    async def _ready(self, slot: Slot) -> Message:
        try:
            if slot.worker is not None:
                return await slot.worker.ask("ready", 3.0)  # its own checks give up after 2 s
        except ChannelClosedError:
            pass
        return {"reasons": ["not running"], "warnings": ()}

    async def purge(self) -> None:
        """A worker that ends meanwhile has forgotten everything."""
        for answer in await asyncio.gather(*(worker.ask("purge") for worker in self.workers()), return_exceptions=True):
            if isinstance(answer, BaseException) and not isinstance(answer, ChannelClosedError):
                raise answer

    def metrics(self) -> bytes:
        """Called in a thread, as parsing what many routes count takes long."""
        kept, expositions = asyncio.run_coroutine_threadsafe(self._measured(), self._loop).result()
        parts = [merged.parse(text) for text in expositions]
        return (merged.rendered(merged.merged([*parts, kept])) + self._own()).encode()

    async def _measured(self) -> tuple[merged.Families, list[str]]:
        """The two are taken at one moment: a worker that ends is in the one or in the other."""
        await asyncio.gather(*(worker.measure() for worker in self.workers()))
        return self.kept, [worker.exposition for worker in self.workers()]

    def _own(self) -> str:
        used = [(str(slot.number), slot, [worker.usage() for worker in slot.processes()]) for slot in self.slots]
        rows = merged.family
        reloads = list(self.reloads.items())
        up = [(number, float(slot.worker is not None)) for number, slot, _ in used]
        restarts = [(number, float(slot.restarts)) for number, slot, _ in used]
        seconds = [(number, slot.seconds + sum(taken for taken, _ in found)) for number, slot, found in used]
        memory = [(number, float(sum(size for _, size in found))) for number, _, found in used]
        return "".join(
            (
                rows("gateway_reloads_total", "counter", "Configuration reloads.", "outcome", reloads),
                rows("gateway_worker_up", "gauge", "Whether a worker runs.", "worker", up),
                rows("gateway_worker_restarts_total", "counter", "Workers that ended unasked.", "worker", restarts),
                rows("process_cpu_seconds_total", "counter", "Processor time of a worker.", "worker", seconds),
                rows("process_resident_memory_bytes", "gauge", "Memory of a worker.", "worker", memory),
            )
        )
