"""Readiness: which conditions take a copy out of service."""

import asyncio
from collections.abc import Iterable

import pytest

from gateway.errors import DependencyFailed
from gateway.ops.health import Check, Condition, Readiness, readiness


def finds(*conditions: Condition) -> Check:
    async def check() -> Iterable[Condition]:
        return conditions

    return check


async def test_nothing_found_is_ready() -> None:
    """No reasons, no warnings."""
    assert await readiness([finds()]) == Readiness()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("draining"), Readiness(reasons=("draining",))),
        (Condition("store_unavailable"), Readiness(reasons=("store_unavailable",))),
        (Condition("keys_pending", "acme"), Readiness(reasons=("keys_pending: acme",))),
        (Condition("keys_unavailable", "acme"), Readiness(warnings=("keys_unavailable: acme",))),
        (Condition("upstream_unreachable", "orders"), Readiness(warnings=("upstream_unreachable: orders",))),
        (Condition("configuration_refused"), Readiness(warnings=("configuration_refused",))),
        (Condition("something_new"), Readiness(reasons=("something_new",))),
    ],
)
async def test_a_condition_is_a_reason_or_a_warning(condition: Condition, expected: Readiness) -> None:
    """As the table says; one without a row is a reason."""
    assert await readiness([finds(condition)]) == expected


async def test_all_conditions_are_told_at_once() -> None:
    """In the order of the checks."""
    found = await readiness([finds(Condition("draining")), finds(Condition("store_unavailable"))])
    assert found.reasons == ("draining", "store_unavailable")


async def test_a_check_that_fails_has_found_why() -> None:
    """A store that raises is a store that is down."""

    async def ping() -> Iterable[Condition]:
        raise DependencyFailed("store_unavailable", "locked")

    assert await readiness([ping]) == Readiness(reasons=("store_unavailable: locked",))


async def test_a_check_that_hangs_is_a_reason() -> None:
    """The probe is answered all the same."""

    async def hang() -> Iterable[Condition]:
        await asyncio.Event().wait()
        return ()

    assert await readiness([hang], seconds=0.01) == Readiness(reasons=("check_timeout",))
