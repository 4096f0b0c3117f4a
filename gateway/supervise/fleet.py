"""All workers of one gateway: started, started again, watched, reloaded and replaced one after another.

What they are asked as one is `whole`; how a process is started is `children`, how it is spoken to `worker`, and how the
supervisor itself is replaced `succession`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final, Protocol, cast

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.ops import merged
from gateway.ops.health import Readiness
from gateway.ops.logs import Log
from gateway.ops.question import Question
from gateway.supervise import pulse, whole
from gateway.supervise.channel import ChannelClosedError
from gateway.supervise.children import End
from gateway.supervise.gate import Gate
from gateway.supervise.reading import Fault, Reading
from gateway.supervise.slot import Slot
from gateway.supervise.worker import Worker, WorkerFailed, how

RELOAD_SECONDS: Final = 60.0  # 10,000 routes on a busy machine take a tenth of that
READY_SECONDS: Final = 120.0  # of a successor; a migration may be part of its start
MARGIN_SECONDS: Final = 10.0  # after `listen.timeouts.drain`, before what does not end is killed
PATIENCE_SECONDS: Final = 3.0  # that connections of a worker that is replaced may take to their last request


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
        self.reading = reading  # what a worker has that serves, or takes before it does; set without a wait in between
        self.release = 0  # counts upgrades: a worker has the number of the one that it was started in
        self.reloads = {"done": 0, "refused": 0}
        self.last_reload_ok = True
        self.last_reload_at = clock.now()  # when a configuration was accepted last, in seconds since the epoch
        self.kept: merged.Families = {}  # counters of workers that have ended
        self.changing = asyncio.Lock()  # held by a reload and by an upgrade: one at a time
        self.starts = Gate()  # passed by workers from their start to their place
        self.stopping = False
        self._launch = launch
        self._reread = reread
        self._log = log
        self._clock = clock
        self._starting: set[Worker] = set()
        self._discarded: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    async def start(self, migrate: bool = False) -> None:
        """The first alone: it says what is wrong, and makes tables and keys. Raises WorkerFailed, OSError."""
        first, *others = self.slots
        self.install(first, await self._started(first, self.reading, first=True, migrate=migrate))
        for outcome in await asyncio.gather(*map(self._begin, others), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _begin(self, slot: Slot) -> None:
        self.install(slot, await self._started(slot, self.reading, first=True))

    async def _started(self, slot: Slot, reading: Reading, *, first: bool = False, migrate: bool = False) -> Worker:
        """A worker that is ready. Raises WorkerFailed, after its end."""
        if self.stopping:
            raise WorkerFailed("draining", code=3)
        release = self.release
        try:
            worker = await self._launch(slot, reading.text, first=first, migrate=migrate)
        except OSError as error:
            raise WorkerFailed(f"it cannot be started: {error}", code=3) from error
        self._starting.add(worker)
        try:
            if self.stopping:  # meanwhile: it was not told to stop
                worker.kill()
            await worker.until_ready(None if first else READY_SECONDS)
        except BaseException:
            self._discard(worker)
            raise
        finally:
            self._starting.discard(worker)
        worker.reading, worker.release, worker.since = reading, release, self._clock.monotonic()
        return worker

    def _discard(self, worker: Worker) -> None:
        """One that never had its place."""
        worker.kill()
        self._discarded.add(worker)
        self._do(self._buried(worker))

    async def _buried(self, worker: Worker) -> None:
        await worker.over()
        self._discarded.discard(worker)

    def install(self, slot: Slot, worker: Worker, leaving: bool = False) -> None:
        """From now on it is the slot's, or was."""
        if leaving:
            slot.leaving.add(worker)
        else:
            slot.worker = worker
        if self.stopping:
            worker.tell("stop")
        self._do(self._outlive(slot, worker, self._do(self._watch(slot, worker))))

    async def _watch(self, slot: Slot, worker: Worker) -> None:
        await pulse.silence(worker)
        self._log.error("worker does not answer and is killed", worker=slot.number)
        worker.kill()

    def watched(self) -> bool:
        """Whether every worker answers or is being replaced; not while one that was killed for its silence stays."""
        return all(slot.worker is None or slot.worker.missed < pulse.MISSES for slot in self.slots)

    async def _outlive(self, slot: Slot, worker: Worker, watching: asyncio.Task[None]) -> None:
        """Whatever a worker has said, its slot gets another."""
        end = await worker.over()
        watching.cancel()
        self._inherit(slot, worker, end)
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

    def _inherit(self, slot: Slot, worker: Worker, end: End) -> None:
        slot.seconds += end.seconds
        if worker.fault:
            self._log.error("worker was not understood", worker=slot.number, detail=worker.fault)
        try:
            self.kept = merged.merged([self.kept, merged.growing(merged.parse(worker.exposition))])
        except Exception as error:  # it has said so; its slot is to have another
            self._log.error("worker was not understood", worker=slot.number, detail=repr(error))

    async def revive(self, slot: Slot) -> None:
        """Until it has a worker."""
        while not self.stopping and slot.worker is None:
            try:
                await self._refill(slot, None)
            except Exception as error:  # this is all that brings the slot back
                wait = slot.backoff.after(0.0)
                failure = error if isinstance(error, WorkerFailed) else WorkerFailed(repr(error))
                self._log.error("worker cannot start", worker=slot.number, detail=failure.detail, restart_in=wait)
                self._tell(failure.faults)
                await asyncio.sleep(wait)

    async def _refill(self, slot: Slot, old: Worker | None) -> None:
        """A worker in the place of the old one, which still serves, or of none. Raises WorkerFailed."""
        async with self.starts.passing():
            if slot.worker is not old or self.stopping:
                return
            worker = await self._started(slot, self.reading)
            try:
                await self._bring(worker)
            except BaseException:
                self._discard(worker)
                raise
            if slot.worker is old:
                self.succeed(slot, worker)
            else:  # an upgrade was faster
                self._discard(worker)

    async def _bring(self, worker: Worker) -> None:
        """It has the configuration that runs, also when that has changed since it was started."""
        while worker.reading is not self.reading:
            reading = self.reading
            faults, _ = await self._reloaded(worker, reading)
            if faults:
                raise WorkerFailed(str(faults[0]["message"]), faults)

    def keep(self, slot: Slot) -> None:
        """Has the slot get a worker, if it has none."""
        self._do(self.revive(slot))

    def _do(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """All drain at once; what does not end in time is killed.

        The kernel refuses connections once the workers have closed their sockets, so none may be left open here.
        """
        self.stopping = True
        for worker in self._starting:
            worker.kill()
        for worker in self.workers():
            worker.tell("stop")
        for slot in self.slots:
            slot.listening.close()
        while living := [worker for worker in self.workers() if not worker.child.ended.done()]:
            await self._ended(living)  # one that came to serve meanwhile is among the next

    def hurry(self) -> None:
        """The draining ends now."""
        for worker in self.workers():
            worker.tell("hurry")

    async def aclose(self) -> None:
        """Nothing is left, however it came to that."""
        self.stopping = True
        living = [*self.workers(), *self._starting, *self._discarded]
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
        async with self.changing:
            faults = await self._reload()
        self.reloads["refused" if faults else "done"] += 1
        self.last_reload_ok = not faults
        if not faults:
            self.last_reload_at = self._clock.now()
            self._log.info("reloaded", workers=len(self.slots))
            await self._forget()
        return faults

    async def _reload(self) -> Sequence[Fault]:
        """A worker that took the new one decides for all: what fails then is replaced, so that no two differ.

        One that came to serve meanwhile is asked as well.
        """
        new = await asyncio.to_thread(self._reread)
        if new.faults:
            self._tell(new.faults, "reload refused")
            return new.faults
        failed: set[Worker] = set()
        while behind := self._behind(new, failed):
            slot, worker = behind
            faults, silent = await self._reloaded(worker, new)
            if faults and self.reading is not new and not silent:
                return faults  # the worker has told them
            if not faults:
                self.adopt(new)
                continue
            failed.add(worker)
            detail = str(faults[0]["message"])
            self._log.error("reload failed in a worker, which is replaced", worker=slot.number, detail=detail)
            self._do(self._replace_failed(slot, worker))
        if failed and self.reading is not new:
            return [{"code": "reload_failed", "message": "no worker answers"}]
        self.adopt(new)  # without any worker: what starts next takes it, or says why not
        return []

    def _behind(self, new: Reading, failed: set[Worker]) -> tuple[Slot, Worker] | None:
        """The next to be asked."""
        for slot in self.slots:
            if slot.worker is not None and slot.worker.reading is not new and slot.worker not in failed:
                return slot, slot.worker
        return None

    async def _reloaded(self, worker: Worker, reading: Reading) -> tuple[Sequence[Fault], bool]:
        """What kept it from the new configuration, and whether that is its silence."""
        try:
            answer = await worker.ask("reload", RELOAD_SECONDS, configuration=reading.text)
        except ChannelClosedError:
            return [{"code": "reload_failed", "message": "it does not answer"}], True
        if "error" in answer:
            return [{"code": "reload_failed", "message": answer["error"]}], False
        faults = cast(Sequence[Fault], answer["faults"])
        if not faults:
            worker.reading = reading
        return faults, False

    async def _replace_failed(self, slot: Slot, worker: Worker) -> None:
        """By one with the configuration that runs; if that cannot start, it ends all the same, and is retried."""
        try:
            await self._refill(slot, worker)
        except WorkerFailed as failure:
            self._log.error("worker cannot start", worker=slot.number, detail=failure.detail)
            worker.tell("leave", patience=PATIENCE_SECONDS)
        await self._ended([worker])

    async def _forget(self) -> None:
        """Counts of routes that are no more, of workers that are no more: names of routes would pile up for ever."""
        known = await whole.labels(self.workers())
        if known is not None:
            self.kept = merged.without_routes(self.kept, known)

    def adopt(self, new: Reading) -> None:
        if self.reading is not new:
            self.reading = new
            new.take()

    async def upgrade(self, new: Reading, migrate: bool = False) -> Sequence[Fault]:
        """A fresh process in every slot, one after another, of the program and configuration as they are now.

        A fault ends it: the old workers stay that have not been replaced. To be called with `changing` held.
        """
        self.release += 1
        for done, slot in enumerate(self.slots):
            if self.stopping:
                raise DependencyFailed("draining")
            try:
                async with self.starts.passing():
                    successor = await self._started(slot, new, migrate=migrate and slot is self.slots[0])
                    self.succeed(slot, successor)
            except WorkerFailed as failure:
                self._log.error("upgrade stopped: a new worker cannot start", worker=slot.number, detail=failure.detail)
                self._tell(failure.faults)
                faults = failure.faults or [{"code": "upgrade_failed", "message": failure.detail}]
                return [
                    {**fault, "worker": slot.number, "replaced": done, "workers": len(self.slots)} for fault in faults
                ]
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
                place = f"{fault['file']}:{fault.get('line')}:{fault.get('column')}"
                self._log.error(event, place=place, fault=fault.get("message"))

    # all as one (`control.admin.Operations`)

    async def readiness(self) -> Readiness:
        if self.stopping:
            return Readiness(("draining",))
        return await whole.readiness(self.slots, refused=not self.last_reload_ok)

    async def explain(self, question: Question) -> Mapping[str, object]:
        return await whole.explain(self.workers(), question)

    async def purge(self) -> None:
        await whole.purge(self.workers())

    def metrics(self) -> bytes:
        """Called in a thread, as parsing what many routes count takes long."""
        kept, expositions = asyncio.run_coroutine_threadsafe(self._measured(), self._loop).result()
        parts = [merged.parse(text) for text in expositions]
        reloaded = (self.last_reload_ok, self.last_reload_at)
        own = whole.own(self.slots, self.reloads, reloaded)
        return (merged.rendered(merged.merged([*parts, kept])) + own).encode()

    async def _measured(self) -> tuple[merged.Families, list[str]]:
        """The two are taken at one moment: a worker that ends is in the one or in the other."""
        await asyncio.gather(*(worker.measure() for worker in self.workers()))
        return self.kept, [worker.exposition for worker in self.workers()]
