"""Processes: started with the files that they inherit, and reaped. Fresh ones, never forks of a loaded program.

What is started is the command line that this process was started with, in an environment that names the part to play;
so a new release in the same place is what the next start runs.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class End:
    """code: as a shell has it, negative for a signal. seconds: of processor time that it took in its life."""

    code: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Child:
    pid: int
    ended: asyncio.Future[End]  # to be shielded: several wait for it

    async def end(self) -> End:
        return await asyncio.shield(self.ended)

    def kill(self) -> None:
        """Nothing if it has ended: its number may be another's."""
        if not self.ended.done():
            os.kill(self.pid, signal.SIGKILL)


class Children:
    """All that this process has started, or had started before it was replaced by a new image of itself."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._living: dict[int, Child] = {}
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def start(self, environ: Mapping[str, str], files: Sequence[int]) -> Child:
        """files: descriptors that it inherits under their numbers. Raises OSError."""
        command = command_line()
        kept = [(os.POSIX_SPAWN_DUP2, number, number) for number in files]  # takes FD_CLOEXEC off, in the child alone
        pid = os.posix_spawn(command[0], command, environ, file_actions=kept, setsigmask=())
        return self.adopt(pid)

    def adopt(self, pid: int) -> Child:
        child = self._living[pid] = Child(pid, self._loop.create_future())
        self._loop.call_soon(self._reap)  # it may have ended before anybody looked
        return child

    def close(self) -> None:
        self._loop.remove_signal_handler(signal.SIGCHLD)

    def _reap(self) -> None:
        for child in tuple(self._living.values()):
            try:
                pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status, usage = child.pid, 0, None
            if pid:
                del self._living[child.pid]
                seconds = usage.ru_utime + usage.ru_stime if usage is not None else 0.0
                child.ended.set_result(End(os.waitstatus_to_exitcode(status), seconds))


def command_line() -> list[str]:
    """How this process was started, with the interpreter's own path first."""
    return [sys.executable, *sys.orig_argv[1:]]
