"""An outage in the application log: its beginning, and nothing of the thousands of requests that meet it."""

import pytest
from harness.kept import Kept

from gateway.errors import UPSTREAM_FAULTS, DependencyFailed
from gateway.ops.outages import QUIET_SECONDS, Outages

FAULT = DependencyFailed("store_unavailable", "/var/gateway.db: No such file or directory")


def lines(fault: DependencyFailed, *moments: float) -> list[tuple[str, str, dict[str, object]]]:
    """What is logged when requests fail at these seconds."""
    log, left = Kept(), list(moments)
    outages = Outages(log, lambda: left.pop(0))
    for _ in moments:
        outages.failed(fault)
    return log.lines


def test_it_is_told_with_the_code_and_the_detail() -> None:
    """The operator reads here what the client is not told."""
    assert lines(FAULT, 5.0) == [("error", "requests fail", {"code": FAULT.code, "detail": FAULT.detail})]


@pytest.mark.parametrize(("pause", "told"), [(QUIET_SECONDS - 0.1, 1), (QUIET_SECONDS, 2)])
def test_it_is_over_after_half_a_minute_without_a_failure(pause: float, told: int) -> None:
    """Both sides of the number."""
    assert len(lines(FAULT, 100.0, 100.0 + pause)) == told


def test_it_lasts_as_long_as_requests_fail() -> None:
    """The pause counts from the last of them."""
    assert len(lines(FAULT, 0.0, 20.0, 40.0, 60.0)) == 1


@pytest.mark.parametrize("code", ["upstream_busy", "overloaded", "internal_error"])
def test_what_nobody_else_tells_is_told(code: str) -> None:
    """An upstream's limits are ours: no part of it knows when requests begin to meet them."""
    assert len(lines(DependencyFailed(code, "x"), 0.0)) == 1


@pytest.mark.parametrize("code", ["keys_unavailable", *sorted(UPSTREAM_FAULTS)])
def test_what_is_told_elsewhere_is_not_told_here(code: str) -> None:
    """By the part that knows when it begins and ends."""
    assert lines(DependencyFailed(code, "x"), 0.0) == []
