"""How a fault is shown, and what is never shown."""

import pytest

from gateway.settings.faults import Fault, Place, Source, render, suggestion


def shown(text: str, line: int = 1) -> str:
    return Source("f.yaml", text.split("\n")).line(line)


def test_a_fault_is_its_place_the_line_and_a_caret() -> None:
    """The form that editors and people know from compilers."""
    fault = Place(Source("f.yaml", ["a: 1", "  b: 2"]), 2, 3).fault("unknown_key", "unknown key 'b'")
    assert render(fault) == "f.yaml:2:3: unknown key 'b'\n    b: 2\n    ^"


def test_a_tab_keeps_the_caret_in_its_column() -> None:
    """The caret's line has the same tabs as the source line."""
    assert render(Fault("f", 1, 4, "c", "m", "a:\tb")).split("\n")[2] == "    \t^"


def test_a_line_without_text_is_not_shown() -> None:
    """A file that could not be read has no line."""
    assert render(Fault("f", 1, 1, "c", "m", "")) == "f:1:1: m"


def test_a_long_line_is_cut_around_the_column() -> None:
    """A megabyte on one line does not fill the terminal."""
    _, text, caret = render(Fault("f", 1, 501, "c", "m", "a" * 500 + "X" + "b" * 500)).split("\n")
    assert (len(text), text[caret.index("^")]) == (162, "X")


@pytest.mark.parametrize(("length", "expected"), [(4096, 4096), (4097, 0)])
def test_a_very_long_line_is_not_shown(length: int, expected: int) -> None:
    """Looking for secrets in it could take long, and showing it unmasked is no choice."""
    assert len(shown("a" * length)) == expected


def test_terminal_sequences_are_not_printed() -> None:
    """A file from elsewhere cannot drive the operator's terminal."""
    assert "\x1b" not in render(Fault("f", 1, 1, "c", "m", "a: \x1b[2J\x9b1m"))


@pytest.mark.parametrize(
    "text",
    ["token: s3cret", "  token: 's3cret'", "admin: { token: s3cret, address: x }", "master_key: s3cret # s3cret",
     "tokn_secret: s3cret", '"master_key": s3cret', "MASTER-KEY:   s3cret", "secrets: s3cret", "password: a s3cret b",
     "endpoints: [http://u:s3cret@a:1]", "token: [s3cret]", "http://s3cret@host",
     "token: { value: s3cret }", "token: { env: A, file: s3cret }", "'token': {x: s3cret}",
     "token s3cret", "master_key = s3cret", "token : s3cret"],
)  # fmt: skip
def test_a_literal_secret_is_masked_in_the_source_line(text: str) -> None:
    """What stands where a secret belongs is shown as stars."""
    assert "s3cret" not in shown(text)


@pytest.mark.parametrize(
    "above", ["token:", "  master_key: |", "token: >-", "token:  # note", "token:\n\n", "secrets:"]
)
def test_a_literal_secret_on_the_next_line_is_masked(above: str) -> None:
    """A block or folded secret is one too."""
    text = f"{above}\n  s3cret"
    assert "s3cret" not in shown(text, text.count("\n") + 1)


def test_a_secret_under_a_wrong_key_is_masked() -> None:
    """Below a secret only a reference is shown."""
    assert "s3cret" not in shown("token:\n  value: s3cret", 2)


@pytest.mark.parametrize(
    ("text", "line"),
    [("token: { file: var/t }", 1), ("secrets: { master_key: { env: K } }", 1),
     ("tokens:\n  algorithm: EdDSA", 2), ("secrets:\n  other: x", 2),
     ("token:\n  file: x", 2), ("tokens: { lifetime: 24x }", 1), ("a: b\nc: d", 2)],
)  # fmt: skip
def test_other_lines_are_shown(text: str, line: int) -> None:
    """References and ordinary keys help to find the fault."""
    assert shown(text, line) == text.split("\n")[line - 1]


def test_a_mask_keeps_the_columns() -> None:
    """The caret of a fault behind a masked secret still points at its key."""
    text = "admin: { token: s3cret, adress: x }"
    assert shown(text).index("adress") == text.index("adress")


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [("adress", ["address", "token"], "; did you mean 'address'?"), ("get", ["GET", "PUT"], "; did you mean 'GET'?"),
     ("zzz", ["b", "a"], "; known: a, b"), ("zzz", [], ""), ("zzz", [f"name-{n}" for n in range(13)], "")],
)  # fmt: skip
def test_a_near_word_is_suggested(word: str, known: list[str], hint: str) -> None:
    """The nearest known word in any case, else the known words while they are few."""
    assert suggestion(word, known) == hint
