"""What a fleet costs, as docs/scale.md counts it: formulas that the document and the load test share."""

from dataclasses import dataclass

POLLS = 2.0  # looks at the table of revocations, per worker and second (`app.revocations`)
POLL_READS = 2  # statements of a look that finds nothing: the new rows, and the greatest id
COLD_MICROS = 300.0  # CPU of a cold request more than of a warm one (P3 of `make bench`)
BELIEVED = 30.0  # seconds: `cache.credentials`


@dataclass(frozen=True, slots=True)
class Shape:
    """active: credentials in use at any time. rate: requests a second of the whole fleet. fresh: credentials a second
    that nobody has seen. changes: revocations, logouts and the like, a second. micros: CPU of a warm request.
    """

    gateways: int
    workers: int
    active: int
    rate: float
    fresh: float = 0.0
    changes: float = 0.0
    probes: float = 0.0
    micros: float = 35.0

    @property
    def processes(self) -> int:
        return self.gateways * self.workers

    def cores(self, reads: float) -> float:
        """Busy with requests, of which so many a second are cold."""
        return (self.rate * self.micros + reads * COLD_MICROS) / 1e6

    @property
    def principal_reads(self) -> float:
        """A second: a worker reads the principal of a credential that it has not seen for `BELIEVED` seconds.

        A credential that is asked for less often than once in that time in each worker is read with each request.
        """
        return self.reads_with(BELIEVED)

    def reads_with(self, believed: float) -> float:
        """The same with another `cache.credentials`, in seconds."""
        per_worker = self.rate / max(self.active, 1) / self.processes
        every = believed + (1 / per_worker if per_worker else 0.0)  # read, believed, and then waited for
        return self.active * self.processes / every + self.fresh

    @property
    def poll_reads(self) -> float:
        """A second, whatever the traffic; a probe looks at the table too."""
        return self.processes * (POLLS * POLL_READS + self.probes)

    @property
    def published(self) -> float:
        """Messages a second that Redis takes in: one for each change."""
        return self.changes

    @property
    def delivered(self) -> float:
        """Messages a second that Redis sends out: one to each worker for each change."""
        return self.changes * self.processes


CHANGES = 1e7 / 86_400  # a second: ten million accounts log out once a day
ASKS = 1 / 15  # requests a second of an active caller: four a minute
SCALES = ((1, 20_000), (10, 200_000), (100, 2_000_000))  # machines, active callers
WORKERS = 4


def table() -> str:
    """The one of docs/scale.md, in Markdown."""
    lines = [
        "| machines | active callers | requests a second | spread: reads a second | cores"
        " | affinity: reads a second | cores | and 5m: reads a second | cores | reads of revocations |",
        "|---" * 10 + "|",
    ]
    for machines, active in SCALES:
        rate = active * ASKS
        spread = Shape(machines, WORKERS, active, rate)
        near = Shape(1, 1, active, rate)  # each caller reaches one worker
        reads = (spread.principal_reads, near.principal_reads, near.reads_with(300.0))
        cells = [active, rate, *(cell for read in reads for cell in (read, spread.cores(read))), spread.poll_reads]
        lines.append(f"| {machines} | " + " | ".join(_shown(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _shown(number: float) -> str:
    """Two figures: more would claim what nobody knows."""
    if number < 10:
        return f"{number:.1f}"
    scale = 10 ** (len(str(int(number))) - 2)
    return f"{round(number / scale) * scale:,.0f}"


if __name__ == "__main__":
    print(table())
