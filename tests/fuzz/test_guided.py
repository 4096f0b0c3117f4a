"""A short run of each target under atheris, which follows what an input reaches."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from e2e.parts import need

from fuzz.__main__ import run, told
from fuzz.targets import NAMES

COVERED = 1000  # inputs of each target


@pytest.mark.parametrize("name", NAMES)
def test_a_target_holds_where_coverage_guides(name: str, tmp_path: Path) -> None:
    """A short run of what `make fuzz` does for long, but from the same seed each time."""
    need(find_spec("atheris"), "atheris (the dependency group `fuzz`)")
    code, said = run(name, tmp_path, tmp_path / "found", f"-runs={COVERED}", "-seed=1")
    assert code == 0, told(name, code, said)
    assert told(name, code, said).endswith("nothing found")
