"""`limits` of a route: what is taken, and what is said of the rest."""

import pytest

from settings.conftest import Faults, Load

ROUTE = """
upstreams: { u: { endpoints: [http://127.0.0.1:1] } }
routes:
  - path: /a
    upstream: u
    access: protected
    limits: { LIMITS }
"""


def config(limits: str) -> str:
    return ROUTE.replace("LIMITS", limits)


def test_everything_that_can_be_said(loaded: Load) -> None:
    """In the form that the rest of the gateway reads."""
    said = "body: 1B, head: 64B, rate: [{ by: account, at_most: 5, in: 90s, shared: api }]"
    limits = loaded(config(said)).settings.routes[0].limits
    (rate,) = limits.rate
    assert (limits.body, limits.head) == (1, 64)
    assert (rate.by, rate.at_most, rate.in_, rate.shared) == ("account", 5, 90.0, "api")


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("7", [("route", 7)]),
        ("{ at_most: 7 }", [("route", 7)]),
        ("{ by: account, at_most: 7 }", [("account", 7)]),
        ("[{ at_most: 7 }, { by: address, at_most: 2 }]", [("route", 7), ("address", 2)]),
    ],
)
def test_concurrency_is_a_number_a_rule_or_rules(loaded: Load, text: str, rules: list[tuple[str, int]]) -> None:
    """A number is of all of the route."""
    limits = loaded(config(f"concurrency: {text}")).settings.routes[0].limits
    assert [(rule.by, rule.at_most) for rule in limits.concurrency] == rules


def test_a_header_is_lower_case(loaded: Load) -> None:
    """Its name is compared so."""
    said = config("rate: [{ by: { header: X-Client }, at_most: 1, in: 1s }]")
    assert loaded(said).settings.routes[0].limits.rate[0].by.header == "x-client"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ("rate: [{ by: adress, at_most: 1, in: 1m }]", "did you mean 'address'?"),
        ("rate: [{ by: address, at_most: 0, in: 1m }]", "1"),
        ("rate: [{ by: address, at_most: 1000000001, in: 1m }]", "1000000000"),
        ("rate: [{ by: address, at_most: 1, in: 999ms }]", "must be from 1s to 7d"),
        ("rate: [{ by: address, at_most: 1, in: 8d }]", "must be from 1s to 7d"),
        ("rate: [{ by: address, at_most: 1, in: 1500ms }]", "must be whole seconds"),
        ("rate: [{ by: address, at_most: 1 }]", "in"),
        ("rate: [{ by: address, in: 1m }]", "at_most"),
        ("rate: [{ at_most: 1, in: 1m }]", "by"),
        ("rate: [{ by: address, at_most: 1, in: 1m, burst: 2 }]", "burst"),
        ("rate: [{ by: address, at_most: 1, in: 1m, shared: 'a b' }]", "is not a name"),
        ("rate: [{ by: { header: authorization }, at_most: 1, in: 1m }]", "has another meaning"),
        ("rate: [{ by: { header: X-Forwarded-For }, at_most: 1, in: 1m }]", "has another meaning"),
        ("rate: [{ by: { header: cookie }, at_most: 1, in: 1m }]", "has another meaning"),
        ("rate: [{ by: { header: user_id }, at_most: 1, in: 1m }]", "is not a header name"),
        ("concurrency: 0", "1"),
        ("concurrency: true", "write a number, a rule"),
        ("concurrency: many", "write a number, a rule"),
        ("head: 63B", "must be from 64B to 256KiB"),
    ],
)
def test_a_mistake_is_said_at_its_line(faults: Faults, limits: str, message: str) -> None:
    """Each with what to write instead."""
    found = faults(config(limits))
    assert {fault.line for fault in found} == {7}
    assert len(found) == 1
    assert message in found[0].message


def test_the_bounds_are_taken(loaded: Load) -> None:
    """Both ends of each."""
    for text in ("at_most: 1, in: 1s", "at_most: 1000000000, in: 7d"):
        loaded(config(f"rate: [{{ by: route, {text} }}]"))
    loaded(config("head: 64B"))
