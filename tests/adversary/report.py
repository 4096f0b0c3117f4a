"""Results, counted by family."""

from collections import Counter
from collections.abc import Sequence

from .cases import FAMILIES
from .model import Result


def counted(results: Sequence[Result]) -> dict[str, Counter[str]]:
    """By rule, in the order of the rules: verdicts and how often."""
    found = {rule: Counter[str]() for rule in FAMILIES}
    for result in results:
        found[result.rule][result.verdict] += 1
    return {rule: counts for rule, counts in found.items() if counts}


def table(results: Sequence[Result]) -> str:
    lines = [f"{'rule':6} {'family':52} {'passed':>6} {'failed':>6} {'n/a':>4}"]
    for rule, counts in counted(results).items():
        lines.append(f"{rule:6} {FAMILIES[rule]:52} {counts['passed']:6} {counts['failed']:6} {counts['n/a']:4}")
    return "\n".join(lines)


def summary(results: Sequence[Result]) -> str:
    total = Counter(result.verdict for result in results)
    return f"{len(results)} cases: {total['passed']} passed, {total['failed']} failed, {total['n/a']} not applicable"
