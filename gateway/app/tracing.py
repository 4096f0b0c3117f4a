"""Where spans go, as the settings say: opened where a collector is named, as its libraries are an extra."""

import ssl
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

from gateway.errors import DependencyFailed
from gateway.ops.heard import Heard
from gateway.ops.logs import Log
from gateway.ops.spans import Spans
from gateway.settings.faults import Fault
from gateway.settings.load import Loaded
from gateway.settings.tracing import Tracing

_LIBRARY = "opentelemetry.exporter.otlp.proto.http"


class Recording:
    """current: where records go now; None where no collector is named. The counts are of all that were."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.current: Spans | None = None
        self._heard = Heard()  # one for all that live at a time
        self._retiring: set[Spans] = set()
        self._exported = self._dropped = 0  # of those that have ended

    def open(self, said: Tracing) -> Spans | None:
        """For a start or a reload; nothing goes there before it is adopted. The libraries take a third of a second.

        Raises DependencyFailed.
        """
        if said.otlp is None:
            return None
        try:
            tracing = import_module("gateway.ops.tracing")
        except ImportError as error:  # the extra was found, and is not whole
            raise DependencyFailed("internal_error", f"what sends spans cannot be loaded: {error}") from error
        sender = tracing.Otlp(
            said.otlp.url,
            _headers(said),
            str(said.ca) if said.ca is not None else None,
            said.timeout,
            said.service,
            version("mycelium-gateway"),
            self._heard,
        )
        return Spans(sender, self._told)

    def reopen(self, old: Tracing, new: Tracing) -> Spans | None:
        """As `open`; the current one where the settings mean the same. old: what that was opened with."""
        return self.current if _same(old, new) else self.open(new)

    def adopt(self, spans: Spans | None) -> Spans | None:
        """Records go there from now on. Gives back the one before it, which is to be retired; None if it stays."""
        if spans is self.current:
            return None
        old, self.current = self.current, spans
        if old is not None:
            self._retiring.add(old)
        return old

    async def retire(self, spans: Spans) -> None:
        """It sends what it has, within its bound."""
        await spans.aclose()
        self._retiring.discard(spans)
        self._exported += spans.exported
        self._dropped += spans.dropped

    async def aclose(self) -> None:
        if (old := self.adopt(None)) is not None:
            await self.retire(old)

    def counts(self) -> Mapping[str, float]:
        live = [*self._retiring, *([self.current] if self.current is not None else [])]
        exported = self._exported + sum(spans.exported for spans in live)
        dropped = self._dropped + sum(spans.dropped for spans in live)
        return {"exported": exported, "dropped": dropped}

    def _told(self, why: str | None) -> None:
        if why is None:
            self._log.info("spans are exported again")
        else:
            self._log.warning("spans cannot be exported", reason=why)


def _headers(said: Tracing) -> Mapping[str, str]:
    return {name: secret.get_secret_value() for name, secret in said.headers.items()}


def _same(old: Tracing, new: Tracing) -> bool:
    """Certificates in a file of their own are read anew, which is how they are renewed."""
    if new.ca is not None or _headers(old) != _headers(new):
        return False
    return (old.otlp, old.ca, old.timeout, old.service) == (new.otlp, new.ca, new.timeout, new.service)


def tracing_faults(loaded: Loaded) -> Iterator[Fault]:
    """What only a look at the installation and the files shows."""
    said = loaded.settings.tracing
    if said.otlp is None:
        return
    try:
        found = find_spec(_LIBRARY) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        message = "sending spans takes an extra of the gateway: pip install mycelium-gateway[otel]"
        yield loaded.place(("tracing", "otlp")).fault("extra_missing", message)
    if said.ca is not None:
        try:
            ssl.create_default_context(cafile=str(said.ca))
        except OSError as error:  # ssl.SSLError is one
            why = f"the certificates cannot be used: {error.strerror or error.args[-1]}"
            yield loaded.place(("tracing", "ca")).fault("bad_certificate", why)
