"""Rows of the result: what was measured, against what, whether the target is met; as a table and as JSON."""

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

HEADINGS = ("row", "what", "unit", "ours", "against", "theirs", "ratio", "target", "verdict")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. With a `ratio`, `limit` and `stretch` bound that; without, they bound `ours` itself.

    at_least: they bound it from below. samples: the rounds' figures, ours and theirs.
    """

    row: str
    what: str
    unit: str
    ours: float
    against: str | None = None
    theirs: float | None = None
    ratio: float | None = None
    limit: float | None = None
    stretch: float | None = None
    at_least: bool = False
    samples: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def compared(
        cls,
        row: str,
        what: str,
        ours: Sequence[float],
        against: str,
        theirs: Sequence[float],
        *,
        unit: str = "us CPU",
        limit: float | None = None,
        stretch: float | None = None,
        at_least: bool = False,
    ) -> Self:
        """Medians of the rounds, and the median of the rounds' ratios: a round's two figures share the machine's mood,
        which drifts twofold between rounds.
        """
        ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
        samples = (tuple(ours), tuple(theirs))
        middle, other = statistics.median(ours), statistics.median(theirs)
        return cls(row, what, unit, middle, against, other, ratio, limit, stretch, at_least, samples)

    @property
    def target(self) -> str:
        bounds = [f"{'>=' if self.at_least else '<='} {self.limit:g}"] if self.limit is not None else []
        bounds += [f"stretch {self.stretch:g}"] if self.stretch is not None else []
        return ", ".join(bounds) or "-"

    @property
    def verdict(self) -> str:
        judged = self.ours if self.ratio is None else self.ratio
        if self.stretch is not None and self._within(judged, self.stretch):
            return "stretch met"
        if self.limit is None:
            return "-" if self.stretch is None else "stretch not met"
        return "met" if self._within(judged, self.limit) else "NOT MET"

    def _within(self, judged: float, bound: float) -> bool:
        return judged >= bound if self.at_least else judged <= bound


@dataclass(frozen=True, slots=True)
class Result:
    """options: how it was run. left_out: what could not be started or measured, and why."""

    options: dict[str, object]
    rows: tuple[Row, ...]
    left_out: tuple[str, ...]

    def table(self) -> str:
        cells = [HEADINGS, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*(line.rstrip() for line in lines), *(f"left out: {reason}" for reason in self.left_out)])

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(row) | {"target": row.target, "verdict": row.verdict} for row in self.rows]
        machine = {"python": platform.python_version(), "kernel": platform.release(), "machine": platform.machine()}
        value = {"machine": machine, "options": self.options, "rows": rows, "left_out": list(self.left_out)}
        path.write_text(json.dumps(value, indent=2) + "\n")


def _cells(row: Row) -> tuple[str, ...]:
    theirs = "-" if row.theirs is None else f"{row.theirs:.4g}"
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    return (
        row.row,
        row.what,
        row.unit,
        f"{row.ours:.4g}",
        row.against or "-",
        theirs,
        ratio,
        row.target,
        row.verdict,
    )
