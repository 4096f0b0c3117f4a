"""Where nodes share what they count: both sides of every form, and that no password gets into a text."""

import pytest

from gateway.settings.state_url import StateUrl, state_url
from gateway.settings.values import Address

from .conftest import Faults, Load

A, B = Address("a.example", 1), Address("b.example", 26379)
LOCAL = Address("127.0.0.1", 6379)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("memory", StateUrl()),
        ("redis://127.0.0.1", StateUrl("single", False, (LOCAL,))),
        ("redis://127.0.0.1:6379/3", StateUrl("single", False, (LOCAL,), database=3)),
        ("redis://127.0.0.1/", StateUrl("single", False, (LOCAL,))),
        ("rediss://gw@[::1]:7", StateUrl("single", True, (Address("::1", 7),), "gw")),
        ("redis://localhost:1", StateUrl("single", False, (Address("localhost", 1),))),
        ("redis://a.example:1?tls=off", StateUrl("single", False, (A,))),
        ("redis://a.example:1/3?tls=off", StateUrl("single", False, (A,), database=3)),
        ("redis://[::1]", StateUrl("single", False, (Address("::1", 6379),))),
        ("redis://a%40b@127.0.0.1", StateUrl("single", False, (LOCAL,), "a@b")),
        ("redis+sentinel://a.example:1,b.example/main?tls=off", StateUrl("sentinel", False, (A, B), service="main")),
        ("redis+sentinel://a.example:1/main/2?tls=off", StateUrl("sentinel", False, (A,), database=2, service="main")),
        ("redis+cluster://a.example:1,127.0.0.1?tls=off", StateUrl("cluster", False, (A, LOCAL))),
        ("rediss+cluster://a.example:1", StateUrl("cluster", True, (A,))),
        ("unix:///run/redis.sock", StateUrl("unix", path="/run/redis.sock")),
    ],
)  # fmt: skip
def test_what_is_read(text: str, url: StateUrl) -> None:
    """The text gives the value."""
    assert state_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "Memory", "memory:", "redis:", "redis://", "redis:///0", "redis://h/x", "redis://h/99999", "redis://h:0",
        "redis://h:65536", "redis://h:x", "redis://h?db=1", "redis://h#x", "redis://h1,h2", "redis://h o",
        "redis://u:s3cret@h", "redis://:s3cret@h", "redis://u:s3/cret@h", "redis://s3cret@cret@h", "redis://%FF@h",
        "rediss://u:s3cret@h", "redis+sentinel://u:s3cret@h/m", "redis+sentinel://h", "redis+sentinel://h/",
        "redis+sentinel://h/m/x", "redis+sentinel://h/a b", "redis+cluster://h/0", "redis+cluster://h,h",
        "redis+cluster://h,", "valkey://s3cret", "http://s3cret", "unix://s3cret", "unix:///", "unix:///s3cret@x",
        "redis://::1", "redis://127.0.0.1?tls=no", "redis://127.0.0.1?tls=off&x", "rediss://h?tls=off",
        "redis://h?tls=on", "unix:///run/redis?tls=off",
    ],
)  # fmt: skip
def test_what_is_refused_without_repeating_it(text: str) -> None:
    """The text may hold a password."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each says something else
        state_url(text)
    assert [word for word in ("s3", "cret") if word in str(caught.value)] == []


@pytest.mark.parametrize(
    "url", ["redis://u:s3cret@host", "redis://:s3cret@h", "redis://u:s3/cret@h", "rediss://u:s3@cret@h"]
)
def test_a_fault_shows_no_password(faults: Faults, url: str) -> None:
    """Neither in what it says nor in the line that it shows."""
    (fault,) = faults(f"state:\n  url: {url}")
    assert [word for word in ("s3", "cret") if word in f"{fault.message}{fault.source_line}"] == []


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("url: redis://gw@127.0.0.1", "names a user"),
        ("password: { env: REDIS }", "goes with a url of Redis"),
        ("{ url: redis://127.0.0.1, ca: ca.pem }", "ca is for a server with TLS: write rediss://"),
        ("url: valkey://127.0.0.1", "write redis://"),
        ("{ url: redis://127.0.0.1, password: s3cret }", "a secret is never in this file"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said(faults: Faults, said: str, message: str) -> None:
    """At its place."""
    (fault,) = faults(f"state: {said}" if said.startswith("{") else f"state: {{ {said} }}", {"REDIS": "s3cret"})
    assert message in fault.message
    assert "s3cret" not in f"{fault.message}{fault.source_line}"


@pytest.mark.parametrize(
    "url", ["redis://10.0.0.1", "redis://gw@a.example/2", "redis+sentinel://127.0.0.1,a.example/m", "redis+cluster://h"]
)
def test_plain_text_to_another_machine_is_a_choice(url: str) -> None:
    """As with PostgreSQL: the password, and who is counted for what, would be read on the way."""
    with pytest.raises(ValueError, match=r"rediss://.*\?tls=off"):
        state_url(url)
    state_url(f"{url}?tls=off")


def test_a_user_without_a_password_is_a_fault_of_the_url(faults: Faults) -> None:
    """It is what names the user."""
    (fault,) = faults("state: { url: redis://gw@127.0.0.1 }")
    assert (fault.line, fault.column) == (1, 15)


def test_nothing_is_shared_unless_it_is_said(loaded: Load) -> None:
    """The default."""
    assert loaded("{}").settings.state.url == StateUrl()
