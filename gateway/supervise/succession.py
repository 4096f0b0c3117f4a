"""How a supervisor becomes a new image of itself (execve), with its process number, its sockets and its workers."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final, NoReturn

from gateway.ops.merged import Family
from gateway.supervise.children import Child, Children, command_line
from gateway.supervise.fleet import Fleet
from gateway.supervise.part import SuccessorPart, told
from gateway.supervise.slot import Slot
from gateway.supervise.worker import Worker

# Between the old image and the new one nobody handles them: they wait.
HELD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)

State = Mapping[str, Any]  # JSON, written and read in this module


def written(fleet: Fleet, admin: socket.socket) -> int:
    """The descriptor of a file in memory that says what the successor takes over."""
    state = {
        "admin": admin.fileno(),
        "configuration": fleet.reading.text,
        "drain": fleet.reading.drain,
        "reloads": fleet.reloads,
        "kept": {name: asdict(family) for name, family in fleet.kept.items()},
        "slots": [
            {
                "number": slot.number,
                "listening": slot.listening.fileno(),
                "restarts": slot.restarts,
                "seconds": slot.seconds,
                "workers": [_worker(worker, worker is not slot.worker) for worker in slot.processes()],
            }
            for slot in fleet.slots
        ],
    }
    number = os.memfd_create("gateway-state")
    with os.fdopen(os.dup(number), "w") as file:
        json.dump(state, file)
    return number


def _worker(worker: Worker, leaving: bool) -> State:
    control = worker.control_number
    return {
        "pid": worker.child.pid,
        "control": control,
        "since": worker.since,
        "exposition": worker.exposition,
        "leaving": leaving,
    }


def read(number: int) -> State:
    """Leaves the descriptor as it is: the trial reads it before the successor does."""
    with os.fdopen(os.dup(number)) as file:
        file.seek(0)
        found: State = json.load(file)
    return found


def slots(state: State) -> list[Slot]:
    """Their workers are not in them yet, see `adopt`."""
    return [
        Slot(row["number"], adopted_socket(row["listening"]), restarts=row["restarts"], seconds=row["seconds"])
        for row in state["slots"]
    ]


async def adopt(fleet: Fleet, children: Children, state: State) -> None:
    """Everything goes on as it was left."""
    fleet.reloads.update(state["reloads"])
    fleet.kept = {name: Family(**family) for name, family in state["kept"].items()}
    for slot, row in zip(fleet.slots, state["slots"], strict=True):
        for said in row["workers"]:
            child: Child = children.adopt(said["pid"])
            worker = Worker(slot.number, child, adopted_socket(said["control"]), said["since"])
            worker.exposition = said["exposition"]
            await worker.open()
            fleet.install(slot, worker, leaving=said["leaving"])
        if slot.worker is None:
            fleet.keep(slot)


def adopted_socket(number: int) -> socket.socket:
    sock = socket.socket(fileno=number)
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def descriptors(state: State) -> list[int]:
    """All that the successor takes over."""
    workers = [worker["control"] for slot in state["slots"] for worker in slot["workers"]]
    return [state["admin"], *(slot["listening"] for slot in state["slots"]), *workers]


def become(number: int, environ: Mapping[str, str]) -> NoReturn:
    """number: of the state. To be called after `hold`. Raises OSError when the program cannot be executed."""
    inherited = [number, *descriptors(read(number))]
    try:
        for each in inherited:
            os.set_inheritable(each, True)
        command = command_line()
        os.execve(command[0], command, {**environ, **told(SuccessorPart(number, trial=False))})  # noqa: S606 - our own
    finally:
        with suppress(OSError):
            for each in inherited:
                os.set_inheritable(each, False)


async def hold() -> None:
    """Signals wait from here on. Those that have come are handled first: between the images nobody would."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    for _ in range(3):  # the loop reads what signals have written to it, then calls their handlers
        await asyncio.sleep(0)


def release() -> None:
    """Signals are handled from here on; those that came meanwhile come now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


async def trial(children: Children, number: int, environ: Mapping[str, str]) -> int:
    """Whether the new program would take over: its exit code, 0 for yes."""
    child = children.start({**environ, **told(SuccessorPart(number, trial=True))}, [number])
    return (await child.end()).code
