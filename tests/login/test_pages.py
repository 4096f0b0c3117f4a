"""The pages as bytes: what they say, what they keep to themselves, and what a browser may do with them."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gateway.login.dialect import Reply
from gateway.login.pages.render import LoginView, Pages, masked, span

VIEW = LoginView("/login/link/t0ken", "ann@example.com", "25 November 2025, 14:05 UTC", "Firefox", "192.0.2.7", 9)
PAGES = Pages("Mycelium")
REPLIES = {
    "ask": PAGES.ask(VIEW),
    "code": PAGES.code(VIEW, "048151"),
    "gone": PAGES.gone(),
    "refused": PAGES.refused(429, "Too many attempts", "There were too many attempts.", 61),
}
EVERY = pytest.mark.parametrize("name", sorted(REPLIES))
HOSTILE = "\"'><script>alert(1)</script>{{ 7 * 7 }}"


class Reading(HTMLParser):
    """Tags with their attributes, and the text outside the style."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(reply.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def style(reply: Reply) -> str:
    return reply.body.decode().partition("<style>")[2].partition("</style>")[0]


@pytest.mark.parametrize(("name", "status"), [("ask", 200), ("code", 200), ("gone", 401), ("refused", 429)])
def test_a_page_has_its_status(name: str, status: int) -> None:
    """And is HTML."""
    assert (REPLIES[name].status, REPLIES[name].content_type) == (status, "text/html; charset=utf-8")


@EVERY
def test_a_page_allows_its_own_style_and_nothing_else(name: str) -> None:
    """By the hash of what stands between the tags."""
    digest = base64.b64encode(hashlib.sha256(style(REPLIES[name]).encode()).digest()).decode()
    assert REPLIES[name].headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@EVERY
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ],
)
def test_a_page_is_neither_kept_framed_nor_told_of(name: str, header: str, value: str) -> None:
    """Its address holds a token, and it may hold a code."""
    assert REPLIES[name].headers[header] == value


@EVERY
def test_a_page_runs_and_loads_nothing(name: str) -> None:
    """No script, no picture, no style but the one, no address of anybody else."""
    reading = Reading(REPLIES[name])
    assert {tag for tag, _ in reading.tags} & {"script", "img", "link", "iframe", "base", "object"} == set()
    assert [
        key for _, found in reading.tags for key in found if key in ("style", "src", "href") or key[:2] == "on"
    ] == []
    assert "url(" not in style(REPLIES[name])


@EVERY
def test_a_page_can_be_found_one_s_way_in(name: str) -> None:
    """A language, a title, one heading in one main landmark, and a width that is the telephone's."""
    reading = Reading(REPLIES[name])
    assert reading.all("html") == [{"lang": "en"}]
    assert [len(reading.all(tag)) for tag in ("title", "main", "h1")] == [1, 1, 1]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in reading.all("meta")


@EVERY
def test_the_title_has_the_product(name: str) -> None:
    """After what the page is about."""
    assert "· Mycelium</title>" in REPLIES[name].body.decode()


@pytest.mark.parametrize(
    "words", ["a***@example.com", "25 November 2025, 14:05 UTC", "Firefox", "192.0.2.7", "9 minutes", "Not you?"]
)
def test_the_question_tells_where_the_login_comes_from(words: str) -> None:
    """So that its owner recognises it."""
    assert words in Reading(REPLIES["ask"]).text


def test_the_question_has_one_button_that_posts() -> None:
    """A mail scanner that opens the link presses nothing."""
    reading = Reading(REPLIES["ask"])
    assert reading.all("form") == [{"method": "post", "action": "/login/link/t0ken"}]
    assert reading.all("button") == [{"type": "submit"}]


@pytest.mark.parametrize("name", ["ask", "code"])
def test_the_whole_address_is_on_no_page(name: str) -> None:
    """Nor in an attribute."""
    assert b"ann@" not in REPLIES[name].body


def test_the_code_is_text_and_spelt() -> None:
    """One selection copies it; a screen reader says digits, not forty-eight thousand."""
    reading = Reading(REPLIES["code"])
    assert "048151" in reading.words
    assert reading.all("output") == [{"class": "code", "aria-label": "0 4 8 1 5 1"}]


def test_the_code_comes_with_a_warning() -> None:
    """Not to tell it."""
    assert "Tell it to nobody" in Reading(REPLIES["code"]).text


def test_an_unknown_origin_is_called_so() -> None:
    """Not left empty."""
    assert Reading(PAGES.ask(replace(VIEW, platform="", ip=""))).text.count("unknown") == 2


@pytest.mark.parametrize(
    "reply",
    [
        PAGES.ask(LoginView(HOSTILE, f"{HOSTILE}@{HOSTILE}", HOSTILE, HOSTILE, HOSTILE, 9)),
        PAGES.code(replace(VIEW, action=HOSTILE), HOSTILE),
        PAGES.refused(400, HOSTILE, HOSTILE, None),
        Pages(HOSTILE).gone(),
    ],
)
def test_what_comes_from_elsewhere_is_text(reply: Reply) -> None:
    """Whatever it looks like: not a tag, not an attribute, not a template."""
    reading = Reading(reply)
    assert reading.all("script") == []
    assert {key for _, found in reading.tags for key in found} <= {
        "lang", "charset", "name", "content", "class", "id", "method", "action", "type", "aria-label", "aria-labelledby"
    }  # fmt: skip
    assert b"49" not in reply.body.partition(b"</style>")[2]


def test_half_of_a_surrogate_pair_is_no_error() -> None:
    """JSON can hold one."""
    assert b"a***@?" in PAGES.ask(replace(VIEW, address="a@\ud800")).body


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ann@example.com", "a***@example.com"),
        ("a@example.com", "a***@example.com"),
        ('"a@b"@example.com', '"***@example.com'),
        ("@example.com", "***@example.com"),
        ("ann", "***"),
        ("", "***"),
    ],
)
def test_of_an_address_its_first_letter_and_its_domain_are_shown(address: str, shown: str) -> None:
    """And never how long it is."""
    assert masked(address) == shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 minutes"),
        (1, "1 second"),
        (2, "2 seconds"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (61, "2 minutes"),
        (900, "15 minutes"),
    ],
)
def test_a_span_is_rounded_up(seconds: int, words: str) -> None:
    """Whoever waits that long has waited long enough."""
    assert span(seconds) == words


def test_a_refusal_says_when_to_try_again() -> None:
    """If it is known."""
    assert "Try again in 2 minutes." in Reading(REPLIES["refused"]).text
    assert "Try again" not in Reading(PAGES.refused(503, "Unavailable", "", None)).text


def test_a_detail_that_is_the_title_is_said_once() -> None:
    """As `problems` does without a detail."""
    assert Reading(PAGES.refused(503, "Not now", "Not now", None)).text.count("Not now") == 2  # the title, the heading


def colours(scheme: int) -> dict[str, str]:
    """The custom properties of the light (0) or the dark (1) scheme."""
    block = re.findall(r":root \{(.*?)\}", style(REPLIES["ask"]), re.DOTALL)[scheme]
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def pairs() -> Iterator[tuple[int, str, str, float]]:
    for scheme in (0, 1):
        for text in ("text", "soft"):
            for ground in ("card", "well"):
                yield scheme, text, ground, 4.5
        yield scheme, "on-button", "button", 4.5
        yield scheme, "on-button", "hover", 4.5
        yield scheme, "focus", "card", 3.0  # WCAG 1.4.11: not text


@pytest.mark.parametrize(("scheme", "text", "ground", "least"), list(pairs()))
def test_text_can_be_told_from_its_ground(scheme: int, text: str, ground: str, least: float) -> None:
    """WCAG 1.4.3, by day and by night."""
    found = colours(scheme)
    dark, light = sorted((luminance(found[text]), luminance(found[ground])))
    assert (light + 0.05) / (dark + 0.05) >= least
