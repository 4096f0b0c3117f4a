"""YAML 1.2 as it is read here: the scalars, the refusals, the bounds."""

import pytest

from gateway.settings import yaml
from gateway.settings.yaml import MAX_BYTES, MAX_DEPTH, Parsed, Room, plain, read


def parse(text: str | bytes, room: Room | None = None) -> Parsed:
    return read("f.yaml", text.encode() if isinstance(text, str) else text, room or Room())


def codes(text: str | bytes, room: Room | None = None) -> list[str]:
    return [fault.code for fault in parse(text, room).faults]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("No", "No"), ("y", "y"),
        ("true", True), ("True", True), ("FALSE", False), ("tRue", "tRue"),
        ("010", 10), ("0o10", 8), ("0x1F", 31), ("-3", -3), ("+3", 3), ("1_000", "1_000"), ("0b1", "0b1"),
        ("12:30:45", "12:30:45"), ("2026-01-01", "2026-01-01"), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5),
        ("1.", 1.0), (".inf", float("inf")), ("-.INF", float("-inf")), ("1.2.3", "1.2.3"), ("=", "="),
        ("'8'", "8"), ('"true"', "true"), ("''", ""), ("9" * 40, int("9" * 40)), ("10s", "10s"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_core_schema(written: str, value: object) -> None:
    """A plain scalar has the type that YAML 1.2 gives it, a quoted one is text."""
    root = parse(f"k: {written}").root
    assert root is not None
    assert (plain(root)["k"], type(plain(root)["k"])) == (value, type(value))


def test_a_number_of_many_digits_is_not_computed() -> None:
    """Python refuses to read integers of thousands of digits; the reader never asks it to."""
    root = parse("k: " + "9" * 5000).root
    assert root is not None
    assert plain(root) == {"k": "9" * 5000}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: 1\na: 2", "duplicate_key"), ("{a: 1, 'a': 2}", "duplicate_key"), ("1: x", "bad_key"),
        ("true: x", "bad_key"), ("~: x", "bad_key"), ("? [a]\n: x", "bad_key"), ("? {a: b}\n: x", "bad_key"),
        ("a: !!str 1", "tag_refused"), ("a: !x 1", "tag_refused"), ("a: ! 1", "tag_refused"),
        ("a: !!python/object:os.system [x]", "tag_refused"), ("b: &b {c: d}\na: {<<: *b}", "merge_refused"),
        ("a:", "empty_value"), ("a: ~", "empty_value"), ("a: [1, null]", "empty_value"), ("a: [1, ~]", "empty_value"),
        ("a: 1\n---\nb: 2", "many_documents"), ("a: *b", "bad_alias"), ("a: &a [*a]", "bad_alias"),
        ("a: [", "syntax"), ("a: 'x", "syntax"), ("\ta: 1", "syntax"), ("a: b: c", "syntax"), ("a: \x01", "syntax"),
        ("%YAML 3.0\n---\na: 1", "syntax"), ("@a: 1", "syntax"), ('a: "\\q"', "syntax"), ('a: "\\ud800"', "syntax"),
        (b"a: \xff", "bad_encoding"), ("a: 1".encode("utf-16"), "bad_encoding"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str | bytes, code: str) -> None:
    """Each construct that could surprise is one fault with its code."""
    assert codes(text) == [code]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~", "--- # x\n...\n", "\ufeff"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    """Nothing written means that everything is left to its default."""
    parsed = parse(text)
    assert parsed.root is not None
    assert (plain(parsed.root), parsed.faults) == ({}, [])


def test_aliases_are_read() -> None:
    """An alias stands for the value of its anchor."""
    root = parse("a: &x [1]\nb: *x").root
    assert root is not None
    assert plain(root) == {"a": (1,), "b": (1,)}


def test_a_duplicate_keeps_the_first() -> None:
    """What follows a duplicate is checked against the first value, which is the one the fault points back to."""
    parsed = parse("a: 1\nb: 2\na: 3")
    assert parsed.root is not None
    assert plain(parsed.root) == {"a": 1, "b": 2}
    assert parsed.faults[0].message == "'a' is given twice, first at f.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a: 1\na: 2", 2, 1), ("a: {b: 1, b: 2}", 1, 11), ("ä: 1\n\n  \nä: 2", 4, 1), ("a: ö\nb: [ü, !x 1]", 2, 8)],
)
def test_marks_count_characters_from_one(text: str, line: int, column: int) -> None:
    """Line and column are those that an editor shows."""
    fault = parse(text).faults[0]
    assert (fault.line, fault.column) == (line, column)


@pytest.mark.parametrize("breaks", ["\x85", "\u2028", "\u2029", "\r", "\r\n"])
def test_lines_are_broken_as_libyaml_breaks_them(breaks: str) -> None:
    """The source line that is shown is the one that the mark counts."""
    fault = parse(f"a: 1{breaks}a: 2").faults[0]
    assert fault.source_line == "a: 2"


@pytest.mark.parametrize(("size", "expected"), [(MAX_BYTES, []), (MAX_BYTES + 1, ["too_large"])])
def test_the_size_of_a_file_is_bounded(size: int, expected: list[str]) -> None:
    """One MiB is read, one byte more is not."""
    assert codes(b"a: 1\n#" + b"x" * (size - 6)) == expected


@pytest.mark.parametrize(("levels", "expected"), [(MAX_DEPTH - 1, []), (MAX_DEPTH, ["too_deep"])])
def test_the_depth_is_bounded(levels: int, expected: list[str]) -> None:
    """The mapping around the value counts as a level."""
    assert codes("a: " + "[" * levels + "]" * levels) == expected


def test_the_depth_through_aliases_is_bounded() -> None:
    """Levels behind an alias count where it stands."""
    levels = MAX_DEPTH // 2
    text = f"a: &a {'[' * levels}{']' * levels}\nb: {'[' * levels}*a{']' * levels}"
    assert codes(text) == ["too_deep"]


@pytest.mark.parametrize(("room", "expected"), [(7, []), (6, ["too_many_nodes"])])
def test_the_number_of_values_is_bounded_with_aliases_expanded(room: int, expected: list[str]) -> None:
    """Mapping, two keys, list and entry are five values; the alias stands for two more."""
    assert codes("a: &a [1]\nb: *a", Room(room)) == expected


def test_an_alias_bomb_is_refused_at_once() -> None:
    """Nine levels of nine aliases would be 400 million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert codes("\n".join(lines)) == ["too_many_nodes"]


def test_a_megabyte_of_brackets_does_not_exhaust_the_stack() -> None:
    """Nesting is refused as it is read, long before Python or C recurses into it."""
    assert codes("[" * (yaml.MAX_BYTES - 1)) == ["too_deep"]
