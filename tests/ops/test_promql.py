"""What is read out of an expression."""

import pytest

from .promql import Reference, grouped, references, samples, unknown


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("a", {"a": ()}),
        ("rate(a[5m])", {"a": ()}),
        ('sum by (x) (rate(a{y="1", z=~"b|c"}[$__rate_interval])) / sum(b)', {"a": ("y", "z"), "b": ()}),
        ("histogram_quantile(0.99, sum by (x, le) (rate(a_bucket[5m]))) > 0.1", {"a_bucket": ()}),
        ('a{y!="d{e}"} unless on (x) b == 1', {"a": ("y",), "b": ()}),
        ('count by (x) (a{y="$z"} offset 5m) and b', {"a": ("y",), "b": ()}),
    ],
)
def test_metrics_are_found_with_the_labels_that_they_are_selected_by(
    expression: str, found: dict[str, tuple[str, ...]]
) -> None:
    """No function, number, word or text is taken for one."""
    assert references(expression) == [Reference(name, frozenset(labels)) for name, labels in found.items()]


def test_labels_are_found_that_are_grouped_by() -> None:
    """Wherever they stand."""
    assert grouped("sum by (x, y) (a) / on (z) group_left (w) b") == {"x", "y", "z", "w"}


EXPORTED = samples('# TYPE a counter\na_total{x="1",le="} 2"} 3.0\nb 1.0\n')


@pytest.mark.parametrize(
    ("expression", "missing"),
    [
        ('sum by (x) (a_total{le="1", job="g"}) / b', []),
        ("a", ["a"]),
        ('a_total{y="1"}', ["a_total{y}"]),
        ("sum by (y) (a_total)", ["by (y) in sum by (y) (a_total)"]),
        ("1 + 1", ["no metric in 1 + 1"]),
        ("up == 0", []),
    ],
)
def test_what_is_not_exported_is_named(expression: str, missing: list[str]) -> None:
    """A misspelt metric, a label that it has not, and an expression about nothing."""
    assert list(unknown(expression, EXPORTED)) == missing
