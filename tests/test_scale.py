"""What docs/scale.md says is what its formulas give."""

from pathlib import Path

import pytest

from bench.fleet.arithmetic import Shape, table

ROOT = Path(__file__).parents[1]


def test_the_table_is_what_the_formulas_give() -> None:
    """`python -m bench.fleet.arithmetic` prints it."""
    assert table() in (ROOT / "docs/scale.md").read_text()


def test_a_caller_who_reaches_one_worker_is_read_once_in_a_caches_life() -> None:
    """Ten callers without pause: ten reads in thirty seconds."""
    assert Shape(1, 1, 10, 10_000).principal_reads == pytest.approx(10 / 30, rel=0.01)


def test_callers_who_ask_rarely_are_read_each_time() -> None:
    """Spread over four hundred workers, no two requests of one meet."""
    assert Shape(100, 4, 1000, 10).principal_reads == pytest.approx(10, rel=0.01)
