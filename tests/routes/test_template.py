"""Paths of routes as written."""

import pytest

from gateway.routes.template import Template, read_template


@pytest.mark.parametrize(
    ("path", "segments", "rest"),
    [
        ("/", (b"",), False),
        ("/**", (), True),
        ("/orders", (b"orders",), False),
        ("/orders/", (b"orders", b""), False),
        ("/orders/**", (b"orders",), True),
        ("/orders/{id}", (b"orders", None), False),
        ("/{a}/x/{b_2}/**", (None, b"x", None), True),
        ("/a%2Fb;c", (b"a%2Fb;c",), False),
        ("/caf%C3%A9", (b"caf%C3%A9",), False),
    ],
)
def test_a_path_is_read_into_segments(path: str, segments: tuple[bytes | None, ...], rest: bool) -> None:
    """Literals are bytes as clients send them, parameters have no name."""
    assert read_template(path) == Template(segments, rest)


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("", "begins with /"),
        ("orders", "begins with /"),
        ("**", "begins with /"),
        ("/orders*", r"only in /\*\*"),
        ("/*/a", r"only in /\*\*"),
        ("/**/a", r"only in /\*\*"),
        ("/a**", r"only in /\*\*"),
        ("/**/**", r"only in /\*\*"),
        ("/a{id}", "whole segment"),
        ("/{id}.json", "whole segment"),
        ("/{}", "whole segment"),
        ("/{1a}", "whole segment"),
        ("/{a-b}", "whole segment"),
        ("/{a", "whole segment"),
        ("/a?b", "no query"),
        ("/café", "percent-encoded"),
        ("//a", "empty path segments"),
        ("/a//**", "empty path segments"),
        ("/a/../b", "dot segments"),
        ("/%2e", "dots"),
        ("/a\\b", "backslash"),
        ("/a#b", "fragment"),
        ("/a%zz", "hexadecimal"),
        ("/a b", "not printable"),
    ],
)
def test_a_path_that_no_request_has_is_refused(path: str, advice: str) -> None:
    """A rule that could never hold is an error that says what to write."""
    with pytest.raises(ValueError, match=advice):
        read_template(path)
