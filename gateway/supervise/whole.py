"""What is asked of all workers, answered as by one gateway (`control.admin.Operations`)."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from gateway.errors import DependencyFailed, GatewayError, RequestRejected
from gateway.ops import merged
from gateway.ops.health import Readiness
from gateway.ops.question import Question
from gateway.supervise.channel import ChannelClosedError, Message
from gateway.supervise.slot import Slot
from gateway.supervise.worker import Worker

READINESS_SECONDS: Final = 1.9  # more than `ops.health.CHECK_SECONDS`; balancers give up on a probe after 2 or 3 s
EXPLAIN_SECONDS: Final = 10.0  # the tables of 10,000 routes are made, and a store may be slow
GRACE_SECONDS: Final = 0.3  # for the others, once one has said that it is ready: they could only add warnings


async def readiness(
    slots: Sequence[Slot], seconds: float = READINESS_SECONDS, grace: float = GRACE_SECONDS, refused: bool = False
) -> Readiness:
    """Ready while one worker is. Connections of one that hangs wait on its socket until it is replaced.

    refused: whether the configuration that was read last was, of which the workers may not even have heard.
    """
    asking = [asyncio.ensure_future(_ready(slot)) for slot in slots]
    await _known(asking, seconds, grace)
    reasons: list[str] = []
    warnings: dict[str, None] = {"configuration_refused": None} if refused else {}
    ready = False
    for slot, asked in zip(slots, asking, strict=True):
        answer = asked.result() if not asked.cancelled() else _not("does not answer")
        found = [f"worker {slot.number}: {reason}" for reason in cast(Sequence[str], answer["reasons"])]
        ready |= not found
        reasons += found
        warnings.update(dict.fromkeys(cast(Sequence[str], answer["warnings"])))
    if not ready:
        return Readiness(tuple(reasons), tuple(warnings))
    return Readiness((), (*reasons, *_mixed(slots), *warnings))


async def _known(asking: Sequence[asyncio.Future[Message]], seconds: float, grace: float) -> None:
    """Until all have answered, or nobody who has not could change the answer. The rest is cancelled."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    pending = set(asking)
    while pending and (left := end - loop.time()) > 0:
        done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if any(not asked.result()["reasons"] for asked in done):
            end = min(end, loop.time() + grace)
    for asked in pending:
        asked.cancel()
    if pending:
        await asyncio.wait(pending)


async def _ready(slot: Slot) -> Message:
    if slot.worker is None:
        return _not("not running")
    try:
        answer = await slot.worker.ask("ready", READINESS_SECONDS)
    except ChannelClosedError:
        return _not("does not answer")
    return answer if "reasons" in answer else _not("does not answer")


def _not(reason: str) -> Message:
    return {"reasons": [reason], "warnings": ()}


def _mixed(slots: Sequence[Slot]) -> Sequence[str]:
    """While two releases run side by side: during an upgrade, and after one that did not come to its end."""
    found = [slot.worker.release for slot in slots if slot.worker is not None]
    old = sum(release < max(found) for release in found)
    return [f"upgrade: {old} of {len(slots)} workers run the program as it was before"] if old else []


async def explain(workers: Sequence[Worker], question: Question) -> Mapping[str, object]:
    """By the first that can: each remembers the requests that it served itself.

    Raises RequestRejected, DependencyFailed, as one gateway would.
    """
    fault: GatewayError = DependencyFailed("overloaded", "No worker answers.")
    for worker in workers:
        try:
            answer = await worker.ask("explain", EXPLAIN_SECONDS, question=question.as_json())
        except ChannelClosedError:
            continue
        if "explained" in answer:
            return cast(Mapping[str, object], answer["explained"])
        kind = DependencyFailed if answer.get("ours") else RequestRejected
        fault = kind(str(answer.get("code", "internal_error")), str(answer.get("detail", "")))
        if fault.code != "not_found":
            break
    raise fault


async def purge(workers: Sequence[Worker]) -> None:
    """A worker that ends meanwhile has forgotten everything."""
    for answer in await asyncio.gather(*(worker.ask("purge") for worker in workers), return_exceptions=True):
        if isinstance(answer, BaseException) and not isinstance(answer, ChannelClosedError):
            raise answer


async def labels(workers: Sequence[Worker]) -> frozenset[str] | None:
    """Names that the workers count routes by; None if one does not tell."""
    try:
        answers = await asyncio.gather(*(worker.ask("labels") for worker in workers))
        return frozenset(label for answer in answers for label in cast(Sequence[str], answer["labels"]))
    except (ChannelClosedError, KeyError):
        return None


def own(slots: Sequence[Slot], reloads: Mapping[str, int], reloaded: tuple[bool, float]) -> str:
    """What the supervisor counts itself. reloaded: whether the last one was accepted, and when one was."""
    rows = merged.family
    ended = [(outcome, float(count)) for outcome, count in reloads.items()]
    up = [(str(slot.number), float(slot.worker is not None and not slot.worker.missed)) for slot in slots]
    restarts = [(str(slot.number), float(slot.restarts)) for slot in slots]
    name = "gateway_config_last_reload_success"
    return "".join(
        (
            rows("gateway_reloads_total", "counter", "Configuration reloads.", "outcome", ended),
            rows(
                f"{name}ful", "gauge", "Whether the configuration was accepted when read last.", "", [("", reloaded[0])]
            ),
            rows(f"{name}_timestamp_seconds", "gauge", "When one was accepted last.", "", [("", reloaded[1])]),
            rows("gateway_worker_up", "gauge", "Whether a worker runs and answers.", "worker", up),
            rows("gateway_worker_restarts_total", "counter", "Workers that ended unasked.", "worker", restarts),
            *_processes(slots),
        )
    )


# How the processes of one slot become one row: while a worker is replaced, there are two.
_PROCESSES: Final[Mapping[str, tuple[str, Callable[[Iterable[float]], float], str]]] = {
    "process_cpu_seconds_total": ("counter", sum, "Processor time of a worker."),
    "process_resident_memory_bytes": ("gauge", sum, "Memory of a worker."),
    "process_virtual_memory_bytes": ("gauge", sum, "Address space of a worker."),
    "process_open_fds": ("gauge", max, "Open files of a worker."),
    "process_max_fds": ("gauge", max, "Files that a worker may have open."),
    "process_start_time_seconds": ("gauge", max, "When a worker was started, in seconds since the epoch."),
}


def _processes(slots: Sequence[Slot]) -> Iterator[str]:
    used = [(slot, [worker.usage() for worker in slot.processes()]) for slot in slots]
    for name, (kind, join, meaning) in _PROCESSES.items():
        found = [(slot, [usage[name] for usage in usages if name in usage]) for slot, usages in used]
        before = {slot.number: slot.seconds if kind == "counter" else 0.0 for slot in slots}  # of those that have ended
        rows = [(str(slot.number), before[slot.number] + (join(values) if values else 0.0)) for slot, values in found]
        yield merged.family(name, kind, meaning, "worker", rows)
