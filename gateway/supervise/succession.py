"""How a supervisor becomes a new image of itself (execve), with its process number, its sockets and its workers.

What it hands over is `state`.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, NoReturn

from gateway.supervise import state
from gateway.supervise.children import Child, Children, command_line
from gateway.supervise.fleet import Fleet
from gateway.supervise.part import SuccessorPart, told
from gateway.supervise.slot import Slot
from gateway.supervise.state import SlotState, State, WorkerState
from gateway.supervise.worker import Worker

# Between the old image and the new one nobody handles them: they wait.
HELD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)


def handed_over(fleet: Fleet, admin: socket.socket, reload: bool = False) -> State:
    slots = [
        SlotState(
            slot.number,
            slot.listening.fileno(),
            slot.restarts,
            slot.seconds,
            [_worker(fleet, worker, worker is not slot.worker) for worker in slot.processes()],
        )
        for slot in fleet.slots
    ]
    return State(admin.fileno(), fleet.reading.text, slots, fleet.reloads, fleet.kept, fleet.release, reload)


def _worker(fleet: Fleet, worker: Worker, leaving: bool) -> WorkerState:
    current = worker.reading is fleet.reading
    said = worker.since, worker.exposition, leaving, worker.release, current
    return WorkerState(worker.child.pid, worker.control_number, *said)


def slots(given: State) -> list[Slot]:
    """Their workers are not in them yet, see `adopt`."""
    return [
        Slot(slot.number, adopted_socket(slot.listening), restarts=slot.restarts, seconds=slot.seconds)
        for slot in given.slots
    ]


async def adopt(fleet: Fleet, children: Children, given: State) -> None:
    """Everything goes on as it was left."""
    fleet.reloads.update(given.reloads)
    fleet.kept = given.kept
    fleet.release = given.release
    for slot, row in zip(fleet.slots, given.slots, strict=True):
        for said in row.workers:
            child: Child = children.adopt(said.pid)
            worker = Worker(slot.number, child, adopted_socket(said.control), said.since)
            worker.exposition, worker.release = said.exposition, said.release
            worker.reading = fleet.reading if said.current else None
            await worker.open()
            fleet.install(slot, worker, leaving=said.leaving)
        if slot.worker is None:
            fleet.keep(slot)


def adopted_socket(number: int) -> socket.socket:
    sock = socket.socket(fileno=number)
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def become(number: int, given: State, environ: Mapping[str, str]) -> NoReturn:
    """number: of the file. To be called after `hold`. Raises OSError when the program cannot be executed."""
    inherited = [number, *given.descriptors()]
    try:
        for each in inherited:
            os.set_inheritable(each, True)
        command = command_line()
        os.execve(command[0], command, {**environ, **told(SuccessorPart(number, trial=False))})  # noqa: S606 - our own
    finally:
        with suppress(OSError):
            for each in inherited:
                os.set_inheritable(each, False)


def threads() -> ThreadPoolExecutor:
    """For the loop of a supervisor: its threads leave signals to the main one.

    A signal that is held there would be taken by any other thread, noted in an image that is about to go, and lost.
    """
    return ThreadPoolExecutor(thread_name_prefix="asyncio", initializer=_leave_signals)


def _leave_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)


async def hold() -> None:
    """Signals wait from here on. Those that have come are handled first: between the images nobody would."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    for _ in range(3):  # the loop reads what signals have written to it, then calls their handlers
        await asyncio.sleep(0)


def release() -> None:
    """Signals are handled from here on; those that came meanwhile come now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


async def trial(children: Children, given: State, environ: Mapping[str, str]) -> int:
    """Whether the new program would take over: its exit code, 0 for yes."""
    number = state.written(given)
    try:
        child = children.start({**environ, **told(SuccessorPart(number, trial=True))}, [number])
        return (await child.end()).code
    finally:
        os.close(number)
