"""Every input that a target once failed on passes; so do its seeds, and a few thousand inputs made of them."""

from pathlib import Path

import pytest

from fuzz.__main__ import REGRESSIONS
from fuzz.mutate import failures, inputs
from fuzz.targets import NAMES, load

MUTATED = 1000  # inputs of each target: seconds in all
FOUND = sorted(path for path in REGRESSIONS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_once_passes(path: Path) -> None:
    """The file is the input."""
    assert failures(load(path.parent.name), [path.read_bytes()]) == []


def test_whatever_was_found_belongs_to_a_target() -> None:
    """Else nobody would replay it."""
    assert {path.parent.name for path in FOUND} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_holds(name: str) -> None:
    """On its seeds, and on inputs made of them; the same in each run."""
    target = load(name)
    assert failures(target, target.seeds) == []
    assert failures(target, list(inputs(target, MUTATED))) == []
