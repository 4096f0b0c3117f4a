"""The threats that are numbered S-1 to S-56: each has a test in this folder that carries its number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NUMBERS: Final = range(1, 57)
_NAME = re.compile(r"test_s(\d\d)_").match


def numbered() -> Iterator[int]:
    """Of every test function in the folder."""
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (found := _NAME(node.name)):
                yield int(found[1])


def test_every_number_has_a_test() -> None:
    """None is missing, and none is there that means nothing."""
    found = set(numbered())
    assert [f"S-{number}" for number in NUMBERS if number not in found] == []
    assert found <= set(NUMBERS)
