"""The access log for people."""

import json
import re

import pytest

from gateway.ops.console import chosen, shown, took, wants_colour

TOLD: dict[str, object] = {
    "time": "2026-11-25T19:49:24.042Z",
    "id": "00000000-0000-4000-8000-00003f2a9c1d",
    "method": "GET",
    "route": "/orders/**",
    "path": "/orders/7",
    "upstream": "orders",
    "status": 200,
    "reason": None,
    "seconds": 0.001234,
}
ESCAPES = re.compile(r"\x1b\[\d*m")


def test_a_line_has_its_columns() -> None:
    """Time, status, method, path, route, upstream, duration, reason, short id."""
    assert shown(TOLD, False).split() == [
        "19:49:24.042", "200", "GET", "/orders/7", "/orders/**", "orders", "1.23", "ms", "-", "3f2a9c1d",
    ]  # fmt: skip


@pytest.mark.parametrize("path", [None, "/", "/" + "x" * 27, "/" + "x" * 28, "/" + "x" * 5000])
def test_columns_are_aligned(path: str | None) -> None:
    """What is too long loses its middle, and what is not known is a dash."""
    assert shown({**TOLD, "path": path}, False).index("/orders/**") == shown(TOLD, False).index("/orders/**")


@pytest.mark.parametrize(("length", "whole"), [(28, True), (29, False)])
def test_a_path_that_fits_is_whole(length: int, whole: bool) -> None:
    """Both sides of the column's width."""
    path = "/" + "x" * (length - 2) + "y"
    assert (path in shown({**TOLD, "path": path}, False)) is whole


def test_both_ends_of_a_long_path_are_shown() -> None:
    """The end tells as much as the beginning."""
    assert "/begin" in (line := shown({**TOLD, "path": "/begin/" + "x" * 99 + "/end"}, False))
    assert "/end " in line


@pytest.mark.parametrize("name", ["path", "method", "route", "upstream", "reason"])
def test_nobody_writes_to_the_terminal(name: str) -> None:
    """A client chooses a path; an escape sequence in it would move the cursor, or worse."""
    line = shown({**TOLD, name: "/a\x1b[2J\r\n\x9b1m\u202eb"}, False)
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert "\u202e" not in line


@pytest.mark.parametrize(("status", "colour"), [(204, 32), (301, 36), (404, 33), (502, 31), (0, 35)])
def test_the_status_is_coloured_by_its_class(status: int, colour: int) -> None:
    """Green, cyan, yellow, red; no answer at all is magenta dashes."""
    assert f"\x1b[{colour}m{status or '---'}\x1b[0m" in shown({**TOLD, "status": status}, True)


@pytest.mark.parametrize("reason", [None, "no_route"])
def test_colours_change_no_letter(reason: str | None) -> None:
    """Without them it is the same line."""
    told = {**TOLD, "reason": reason}
    assert ESCAPES.sub("", shown(told, True)) == shown(told, False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 us"), (0.000999, "999 us"), (0.001, "1 ms"), (0.0999, "99.9 ms"), (0.1, "100 ms"), (0.9996, "1000 ms"),
     (1.0, "1 s"), (61.25, "61.2 s"),
     (1234.0, "1234 s")],
)  # fmt: skip
def test_a_duration_has_a_unit_that_fits(seconds: float, text: str) -> None:
    """Both sides of each."""
    assert took(seconds) == text


@pytest.mark.parametrize(
    ("terminal", "environ", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "xterm"}, True),
    ],
)
def test_colours_are_for_terminals_that_want_them(terminal: bool, environ: dict[str, str], wanted: bool) -> None:
    """no-color.org: when present and not an empty string, whatever its value."""
    assert wants_colour(terminal, environ) is wanted


@pytest.mark.parametrize(
    ("form", "terminal", "console"),
    [("auto", True, True), ("auto", False, False), ("json", True, False), ("json", False, False),
     ("console", True, True), ("console", False, True)],
)  # fmt: skip
def test_the_form_follows_the_sink_unless_it_is_said(form: str, terminal: bool, console: bool) -> None:
    """A pipe and a file get JSON."""
    found = chosen(form, terminal, {})
    assert (found is not None) is console
    if found is not None:
        assert ("\x1b[" in found(json.dumps(TOLD))) is terminal
