"""What was asked, and what was wrong with the answers."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field

import aiohttp

PATIENCE = 30.0  # seconds for one action
AFTERMATH = 1.0  # seconds after the service is back: connections that were cut are noticed by then
KEPT = 50  # descriptions of what was wrong


class WrongError(Exception):
    """An answer that nothing excuses."""


class UnservedError(Exception):
    """No answer, or one that says so (502, 503, 504): right while the service is away, wrong at any other time."""


@dataclass
class Outages:
    """Of the service behind, by the monotonic clock. An open one has no end."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    since: float | None = None
    served: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.served.set()

    def begin(self) -> None:
        self.since = time.monotonic()
        self.served.clear()

    def end(self) -> None:
        assert self.since is not None
        self.spans.append((self.since, time.monotonic()))
        self.since = None
        self.served.set()

    def excuse(self, began: float, ended: float) -> bool:
        """Whether the service was away at any moment of that time, or just before."""
        if self.since is not None and ended >= self.since:
            return True
        return any(began <= until + AFTERMATH and ended >= since for since, until in self.spans)


@dataclass
class Record:
    """By kind of action: how many were right, and how many were not served as the service was away."""

    outages: Outages = field(default_factory=Outages)
    right: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    longest: dict[str, float] = field(default_factory=dict)
    descriptions: list[str] = field(default_factory=list)

    async def judge(self, kind: str, action: Awaitable[None]) -> None:
        """Awaits it; what it raises is what was wrong."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                await action
        except WrongError as error:
            self.fault(kind, str(error))
        except TimeoutError:
            self.fault(kind, f"no end within {PATIENCE:.0f} s")
        except (UnservedError, aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
            if self.outages.excuse(began, time.monotonic()):
                self.excused[kind] += 1
            else:
                self.fault(kind, f"not served: {error!r}")
        else:
            self.right[kind] += 1
        self.longest[kind] = max(self.longest.get(kind, 0.0), time.monotonic() - began)

    def fault(self, kind: str, description: str) -> None:
        self.wrong[kind] += 1
        if len(self.descriptions) < KEPT:
            self.descriptions.append(f"{time.strftime('%H:%M:%S')} {kind}: {description}")

    @property
    def total(self) -> int:
        return self.right.total() + self.excused.total() + self.wrong.total()

    def table(self) -> str:
        lines = [f"{'kind':16} {'right':>8} {'excused':>8} {'WRONG':>6} {'longest ms':>11}"]
        kinds = sorted(self.longest | dict.fromkeys(self.wrong, 0.0))
        lines += [
            f"{kind:16} {self.right[kind]:8} {self.excused[kind]:8} {self.wrong[kind]:6}"
            f" {self.longest.get(kind, 0.0) * 1e3:11.0f}"
            for kind in kinds
        ]
        return "\n".join(lines)
