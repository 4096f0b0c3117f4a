"""What a reload cannot change: said at its place, so that nobody takes the old value for the new one."""

from collections.abc import Iterator

from gateway.settings import model
from gateway.settings.faults import Fault
from gateway.settings.load import Loaded
from gateway.settings.secrets import Secret, SecretAbsent

FIXED = (
    ("listen", "address"),
    ("listen", "workers"),
    ("admin", "address"),
    ("store", "url"),
    ("store", "password"),
    ("state", "url"),
    ("state", "password"),
    ("state", "ca"),
    ("secrets", "master_key"),
    ("secrets", "previous_master_key"),
)


def needs_restart(running: model.Settings, loaded: Loaded) -> list[Fault]:
    """A fault for each value that differs from the running one and is fixed at the start."""
    return [*_fixed(running, loaded), *_tls(running, loaded)]


def _fixed(running: model.Settings, loaded: Loaded) -> Iterator[Fault]:
    for section, key in FIXED:
        place = loaded.place((section, key))
        try:
            old, new = (_value(getattr(getattr(settings, section), key)) for settings in (running, loaded.settings))
        except SecretAbsent as absent:
            yield place.fault("secret_absent", str(absent))
            continue
        if old != new:
            yield place.fault("needs_restart", f"{section}.{key} changes only with a restart")


def _value(said: object) -> object:
    return said.get_secret_value() if isinstance(said, Secret) else said


def _tls(running: model.Settings, loaded: Loaded) -> Iterator[Fault]:
    if (running.listen.tls is None) != (loaded.settings.listen.tls is None):
        yield loaded.place(("listen",)).fault("needs_restart", "TLS is turned on or off with a restart")
