"""What an expression of PromQL refers to: its metrics, with the labels that it selects or groups by.

Not a parser: `promtool` is one, and is asked as well. Numbers, operators and the words of the language are passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

WORDS: Final = frozenset(
    ("and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring", "group_left")
)
ADDED: Final = frozenset(("job", "instance"))  # by Prometheus, to every sample that it collects
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"(?<![\w.])([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?(?=\s*(\(?))")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


@dataclass(frozen=True)
class Reference:
    """labels: that its selector names."""

    metric: str
    labels: frozenset[str]


def references(expression: str) -> list[Reference]:
    bare = _GROUPING.sub(" ", re.sub(r"\[[^]]*\]", " ", _TEXT.sub('""', expression)))
    return [
        Reference(name, frozenset(_LABEL.findall(matchers or "")))
        for name, matchers, opening in _SELECTOR.findall(bare)
        if name not in WORDS and not opening
    ]


def grouped(expression: str) -> frozenset[str]:
    """Labels that it groups by, or joins on."""
    found = _GROUPING.findall(_TEXT.sub('""', expression))
    return frozenset(label.strip() for labels in found for label in labels.split(",") if label.strip())


def samples(exposition: str) -> dict[str, set[str]]:
    """Labels by the name of a sample, of what a gateway exports."""
    found: dict[str, set[str]] = {}
    for line in exposition.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition("{") if "{" in line else (line.split(" ")[0], "", "")
            found.setdefault(name, set()).update(_LABEL.findall(_TEXT.sub('""', rest)))
    return found


def unknown(expression: str, exported: dict[str, set[str]]) -> Iterator[str]:
    """What it refers to and is not there."""
    named = references(expression)
    if not named:
        yield f"no metric in {expression}"
    for reference in named:
        if reference.metric != "up" and reference.metric not in exported:
            yield reference.metric
        for label in reference.labels - exported.get(reference.metric, set()) - ADDED:
            yield f"{reference.metric}{{{label}}}"
    known = ADDED.union(*(exported.get(reference.metric, set()) for reference in named))
    for label in grouped(expression) - known:
        yield f"by ({label}) in {expression}"
