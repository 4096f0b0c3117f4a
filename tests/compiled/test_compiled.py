"""What `make test-compiled` tests is what was compiled, and all of it; what `make test` tests is the source."""

import ast
import importlib
import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
_spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
assert _spec is not None
assert _spec.loader is not None
hatch_build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hatch_build)
SUFFIX = ".so" if os.environ.get("GATEWAY_COMPILED") else ".py"


@pytest.mark.parametrize("source", hatch_build.sources(ROOT))
def test_a_module_runs_as_it_was_asked_to(source: str) -> None:
    """Else a build that compiled nothing would pass."""
    module = importlib.import_module(source.removesuffix(".py").replace("/", "."))
    assert Path(module.__file__ or "").suffix == SUFFIX


@pytest.mark.parametrize("source", hatch_build.sources(ROOT))
def test_a_bound_of_a_slice_does_nothing(source: str) -> None:
    """mypyc (2.4) evaluates it twice unless a list, tuple, str or bytes is sliced: a write would be done twice."""
    slices = [node for node in ast.walk(ast.parse((ROOT / source).read_text())) if isinstance(node, ast.Slice)]
    bounds = [bound for node in slices for bound in (node.lower, node.upper, node.step) if bound is not None]
    calls = [
        node for bound in bounds for node in ast.walk(bound) if isinstance(node, ast.Call | ast.NamedExpr | ast.Await)
    ]
    assert [ast.unparse(call) for call in calls if ast.unparse(call).split("(")[0] not in {"len", "max", "min"}] == []


@pytest.mark.parametrize("name", hatch_build.INTERPRETED)
def test_what_stays_interpreted_exists(name: str) -> None:
    """A row that names no module has no reason to be in the table."""
    assert (ROOT / "gateway" / f"{name}.py").is_file()
