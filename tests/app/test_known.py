"""What one generation of the configuration leaves to the next about upstreams, and what it forgets."""

from gateway.app.known import Known
from gateway.edge.health import Health


def test_an_endpoint_is_as_well_as_it_was() -> None:
    """The same object for the same name; of another upstream it is another."""
    known = Known(lambda: 7.0)
    health = known.of("u").health("http://a")
    assert known.of("u").health("http://a") is health
    assert known.of("v").health("http://a") is not health


def test_a_new_endpoint_begins_now() -> None:
    """From where a slow start counts."""
    assert Known(lambda: 7.0).of("u").health("http://a").since == 7.0


def test_what_is_not_used_any_more_is_forgotten() -> None:
    """Names of containers come and go: nothing grows with them."""
    known = Known(lambda: 7.0)
    record = known.of("u")
    kept, gone = record.health("http://a"), record.health("http://b")
    record.addresses = {"a": ("10.0.0.1",), "b": ("10.0.0.2",)}
    record.unresolved = {"a", "b"}
    record.keep({"http://a": kept})
    record.keep_names(["a"])
    assert record.health("http://a") is kept
    assert record.health("http://b") is not gone
    assert (record.addresses, record.unresolved) == ({"a": ("10.0.0.1",)}, {"a"})


def test_what_is_in_use_is_what_is_kept() -> None:
    """Whatever was asked for meanwhile, for a generation that may never run."""
    record, mine = Known(lambda: 7.0).of("u"), Health()
    record.keep({"http://a": mine})
    assert record.health("http://a") is mine


def test_an_upstream_that_is_gone_is_forgotten() -> None:
    """With its counts."""
    known = Known(lambda: 7.0)
    ledger = known.of("u").ledger
    known.of("v")
    known.keep(["v"])
    assert known.of("u").ledger is not ledger
