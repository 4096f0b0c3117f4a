"""The access log for people: a line of JSON becomes aligned columns. What goes where is `access_log`'s and `app`'s.

A client chooses some of the text, and a terminal obeys what it is sent: whatever is not printable becomes `?`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

RESET: Final = "\x1b[0m"
DIM: Final = "\x1b[2m"
# By the first digit of the status; 0 is that of no answer.
COLOURS: Final[Mapping[int, str]] = {
    0: "\x1b[35m",
    1: "\x1b[36m",
    2: "\x1b[32m",
    3: "\x1b[36m",
    4: "\x1b[33m",
    5: "\x1b[31m",
}
# Columns as wide as what stands in them most often: 3 figures and a unit, GET to OPTIONS.
METHOD, PATH, ROUTE, UPSTREAM, TOOK, ID = 7, 28, 22, 10, 7, 8


def wants_colour(terminal: bool, environ: Mapping[str, str]) -> bool:
    """NO_COLOR, if it is not empty, turns them off (no-color.org), as does a terminal that has none."""
    return terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def chosen(form: str, terminal: bool, environ: Mapping[str, str]) -> Callable[[str], str] | None:
    """What is written of each line of the access log; None where it is JSON. form: a value of `log.format`."""
    if form == "json" or (form == "auto" and not terminal):
        return None
    colours = wants_colour(terminal, environ)
    return lambda line: shown(json.loads(line), colours)


def shown(told: Mapping[str, object], colours: bool) -> str:
    """One exchange, with the end of the line. told: a line of the access log."""
    status = int(str(told["status"]))
    columns = (
        _paint(str(told["time"])[11:23], DIM, colours),
        _paint(str(status or "---"), COLOURS.get(status // 100, ""), colours),
        _fit(told["method"], METHOD),
        _fit(told["path"], PATH),
        _paint(_fit(told["route"], ROUTE), DIM, colours),
        _fit(told["upstream"], UPSTREAM),
        took(float(str(told["seconds"]))).rjust(TOOK),
        _paint(_plain(told["reason"]), COLOURS[4] if told["reason"] else DIM, colours),
        _paint(str(told["id"])[-ID:], DIM, colours),  # ids that were made together begin alike
    )
    return " ".join(columns) + "\n"


def took(seconds: float) -> str:
    """With three figures, or as many as there are before the point."""
    amount, unit = (seconds, "s") if seconds >= 1.0 else (seconds * 1e3, "ms")
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"


def _fit(said: object, width: int) -> str:
    """In that many columns; what is longer loses its middle, as both ends of a path tell something."""
    text = _plain(said)
    if len(text) > width:
        kept = width - 3
        text = f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"
    return text.ljust(width)


def _plain(said: object) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in str(said or "-"))


def _paint(text: str, colour: str, colours: bool) -> str:
    return f"{colour}{text}{RESET}" if colours and colour else text
