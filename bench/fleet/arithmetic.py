"""What a fleet costs, as docs/scale.md counts it: formulas that the document and the load test share."""

from dataclasses import dataclass

POLLS = 2.0  # looks at the table of revocations, per worker and second (`app.revocations`)
POLL_READS = 2  # statements of a look that finds nothing: the new rows, and the greatest id
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
    micros: float = 25.0

    @property
    def processes(self) -> int:
        return self.gateways * self.workers

    @property
    def cores(self) -> float:
        """Busy with warm requests."""
        return self.rate * self.micros / 1e6

    @property
    def principal_reads(self) -> float:
        """A second: a worker reads the principal of a credential that it has not seen for `BELIEVED` seconds.

        A credential that is asked for less often than once in that time in each worker is read with each request.
        """
        per_worker = self.rate / max(self.active, 1) / self.processes
        every = BELIEVED + (1 / per_worker if per_worker else 0.0)  # read, believed, and then waited for
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
