"""Threads that give way: what takes long may take longer, and who does not ask for it is not to wait for it."""

import os
import struct
import sys
from contextlib import suppress
from threading import get_native_id
from typing import Final

NICE: Final = 10  # such a thread gets a tenth of a core that others want, and all of one that is free
# Seconds. Since Linux 6.6 who wakes up waits for the end of the slice that another thread has, 3 ms or so, whatever the
# priorities; since 6.12 not if that one's is longer than its own. A longer slice is no larger share.
TIME_SLICE: Final = 0.01

_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274}  # numbers of the call, which libc may not have
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, deadline, period
_KEEP_POLICY: Final = 0x08  # SCHED_FLAG_KEEP_POLICY


def give_way() -> None:
    """Lower the priority of the thread that calls.

    Only Linux has one for each thread (setpriority(2), sched_setattr(2)); where it is not allowed, all share the core.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):
        now = os.getpriority(os.PRIO_PROCESS, 0)  # this thread's
        os.setpriority(os.PRIO_PROCESS, get_native_id(), min(now + NICE, 19))
    _lengthen_time_slice()


def _lengthen_time_slice() -> None:
    number = _SCHED_SETATTR.get(os.uname().machine)
    if number is None or sys.maxsize < 1 << 32:  # a program of 32 bits has other numbers on the same machine
        return
    with suppress(Exception):  # MemoryError where no memory may be made executable; whatever it is, hashing goes on
        import ctypes

        nice = os.getpriority(os.PRIO_PROCESS, 0)
        wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, 0, _KEEP_POLICY, nice, 0, round(TIME_SLICE * 1e9), 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wanted, 0)  # before 6.12 it is nothing new; a refusal is no loss
