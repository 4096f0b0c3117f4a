"""What is known of upstreams from one generation of the configuration to the next, by their configured names."""

from collections.abc import Callable, Iterable, Mapping

from gateway.edge.health import Health
from gateway.edge.ledger import Ledger


class Record:
    """Of one upstream. addresses: of each name that was looked up, the last that were found. unresolved: names whose
    last look-up failed."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._healths: dict[str, Health] = {}
        self.ledger = Ledger()
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.unresolved: set[str] = set()

    def health(self, endpoint: str) -> Health:
        """The same object each time. Of a new endpoint it begins now."""
        found = self._healths.get(endpoint)
        if found is None:
            found = self._healths[endpoint] = Health(self._monotonic())
        return found

    def keep(self, healths: Mapping[str, Health]) -> None:
        """Forgets all others. healths: by endpoint, those in use: a generation may be in the making in another thread,
        and what it asks for now is kept when it is adopted."""
        self._healths = dict(healths)

    def keep_names(self, names: Iterable[str]) -> None:
        """Forgets all others. names: that are looked up; not while others are, for a generation to come."""
        looked_up = set(names)
        self.addresses = {name: found for name, found in self.addresses.items() if name in looked_up}
        self.unresolved &= looked_up


class Known:
    """monotonic: seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._records: dict[str, Record] = {}

    def of(self, upstream: str) -> Record:
        found = self._records.get(upstream)
        if found is None:
            found = self._records[upstream] = Record(self._monotonic)
        return found

    def keep(self, upstreams: Iterable[str]) -> None:
        """Forgets all others."""
        self._records = {name: self.of(name) for name in upstreams}
