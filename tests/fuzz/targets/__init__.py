"""One module a target. `once(data)` raises AssertionError where its oracle says no, and lets through any exception that
the code under test does not declare; `seeds()` are inputs that get far, from which both mutators start; `WORDS` are
pieces that an input is likelier to need than chance would find.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

NAMES = ("configuration", "connection_string", "credentials", "init_data", "jwt", "request_target")


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    once: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes]


def load(name: str) -> Target:
    """Imported when it is asked for: what is to be measured for coverage must not have been imported before."""
    module = import_module(f"fuzz.targets.{name}")
    return Target(name, module.once, tuple(module.seeds()), tuple(module.WORDS))
