"""Every input that a target once failed on passes; so do its seeds, and a few thousand inputs made of them."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from e2e.parts import need

from fuzz.__main__ import REGRESSIONS, run, told
from fuzz.mutate import failures, inputs
from fuzz.targets import NAMES, load

MUTATED, COVERED = 1000, 1000  # inputs of each target: seconds in all
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


@pytest.mark.parametrize("name", NAMES)
def test_a_target_holds_where_coverage_guides(name: str, tmp_path: Path) -> None:
    """A short run of what `make fuzz` does for long, but from the same seed each time."""
    need(find_spec("atheris"), "atheris (the dependency group `fuzz`)")
    code, said = run(name, tmp_path, tmp_path / "found", f"-runs={COVERED}", "-seed=1")
    assert code == 0, told(name, code, said)
    assert told(name, code, said).endswith("nothing found")
