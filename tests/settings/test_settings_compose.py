"""Several files as one configuration."""

import os
from pathlib import Path

import pytest

from gateway.settings import compose
from gateway.settings.compose import Composed
from gateway.settings.yaml import Room, plain


def write(folder: Path, **files: str) -> None:
    """`main` and its neighbours; `a__b` is a/b.yaml."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def composed(folder: Path, **files: str) -> Composed:
    write(folder, **files)
    return compose.compose(folder / "main.yaml")


def codes(result: Composed) -> list[str]:
    return [fault.code for fault in result.faults]


def test_lists_are_concatenated_in_the_order_of_reading(tmp_path: Path) -> None:
    """The file's own entries come first, then its includes by name."""
    result = composed(tmp_path, main="include: [d/*.yaml]\nroutes: [1]", d__b="routes: [3]", d__a="routes: [2]")
    assert plain(result.root)["routes"] == (1, 2, 3)


def test_maps_are_merged(tmp_path: Path) -> None:
    """Each file adds its own names."""
    result = composed(tmp_path, main="include: [a.yaml]\nupstreams: {x: {p: 1}}", a="upstreams: {y: {p: 2}}")
    assert plain(result.root)["upstreams"] == {"x": {"p": 1}, "y": {"p": 2}}


def test_a_name_given_in_two_files_is_a_fault_with_both_places(tmp_path: Path) -> None:
    """Neither file wins in silence."""
    result = composed(tmp_path, main="include: [a.yaml]\nupstreams: {x: {p: 1}}", a="upstreams:\n  x: {q: 2}")
    fault = result.faults[0]
    assert (fault.code, fault.file, fault.line) == ("duplicate_key", str(tmp_path / "a.yaml"), 2)
    assert fault.message.endswith(f"first at {tmp_path / 'main.yaml'}:2:13")


@pytest.mark.parametrize("other", ["public_url: x", "listen: [x]", "routes: {a: b}"])
def test_what_cannot_be_merged_is_a_fault(tmp_path: Path, other: str) -> None:
    """Scalars twice, and a list against a map."""
    result = composed(tmp_path, main="include: [a.yaml]\npublic_url: y\nlisten: {a: b}\nroutes: []", a=other)
    assert codes(result) == ["duplicate_key"]


def test_an_include_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    """A folder of configuration can be moved as a whole."""
    result = composed(tmp_path, main="include: [d/a.yaml]", d__a="include: [b.yaml]", d__b="routes: [1]")
    assert plain(result.root)["routes"] == (1,)


@pytest.mark.parametrize(("pattern", "expected"), [("no.yaml", ["file_missing"]), ("no*.yaml", []), ("n?.yaml", [])])
def test_an_include_that_matches_nothing(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    """A name that does not exist is a fault; a pattern without a match is an empty folder."""
    assert codes(composed(tmp_path, main=f"include: ['{pattern}']")) == expected


@pytest.mark.parametrize(
    "files",
    [
        {"main": "include: [main.yaml]"},
        {"main": "include: [a.yaml]", "a": "include: [main.yaml]"},
        {"main": "include: [a.yaml, 'a*.yaml']", "a": ""},
    ],
)
def test_a_file_is_read_once(tmp_path: Path, files: dict[str, str]) -> None:
    """A loop, or a second pattern for the same file, is a fault where it is asked for."""
    assert codes(composed(tmp_path, **files)) == ["include_loop"]


def test_a_file_under_two_names_is_read_once(tmp_path: Path) -> None:
    """A symbolic link is the file that it points to."""
    (tmp_path / "b.yaml").symlink_to("main.yaml")
    assert codes(composed(tmp_path, main="include: [b.yaml]")) == ["include_loop"]


@pytest.mark.parametrize("pattern", ["**", "/**/x", "a\\0b"])
def test_patterns_that_would_walk_the_disk_are_refused(tmp_path: Path, pattern: str) -> None:
    """One folder's names are what a pattern may look through."""
    assert codes(composed(tmp_path, main=f'include: ["{pattern}"]')) == ["wrong_value"]


@pytest.mark.parametrize("text", ["- a", "text", "8"])
def test_a_file_holds_keys_and_values(tmp_path: Path, text: str) -> None:
    """A list or a word at the top is no configuration."""
    assert codes(composed(tmp_path, main=text)) == ["wrong_type"]


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    """Opening it would wait for a writer for ever."""
    os.mkfifo(tmp_path / "a.yaml")
    assert codes(composed(tmp_path, main="include: [a.yaml]")) == ["file_missing"]


@pytest.mark.parametrize(("nodes", "expected"), [(9, []), (8, ["too_many_nodes"])])
def test_the_values_of_all_files_count_together(tmp_path: Path, nodes: int, expected: list[str]) -> None:
    """Includes do not multiply the bound: four values in one file and five in the other."""
    write(tmp_path, main="include: [a.yaml]", a="routes: [1, 2]")
    assert codes(compose.compose(tmp_path / "main.yaml", Room(nodes))) == expected


@pytest.mark.parametrize(("files", "expected"), [(3, []), (2, ["too_many_files"])])
def test_the_number_of_files_is_bounded(tmp_path: Path, files: int, expected: list[str]) -> None:
    """The main file counts."""
    write(tmp_path, main="include: [d/*.yaml]", d__a="", d__b="")
    assert codes(compose.compose(tmp_path / "main.yaml", files=files)) == expected
