"""The example and the schema say what the model says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.settings.load import Loaded, load
from gateway.settings.schema import schema_text
from gateway.settings.yaml import Node, Room, plain, read

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "config.example.yaml"
SCHEMA: dict[str, Any] = json.loads(schema_text())

EXCLUDED = {
    "routes[].access.kind",  # stands instead of roles, which the example shows
    "store.password",  # goes with a url of PostgreSQL; the example shows it in a comment
    "mail.password",  # goes with a url that names a user; the example shows it in a comment
    "state.password",  # goes with a url of Redis; as above
    "state.ca",  # goes with a url of TLS; as above
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The object behind a reference, or the mapping form among several."""
    for option in schema.get("anyOf", []):
        if "$ref" in option:
            return resolved(option)
    return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def described(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of the model as a dotted path, `[]` for list entries and `*` for names, with its schema."""
    for name, field in resolved(schema).get("properties", {}).items():
        if "env" in resolved(schema)["properties"]:
            return
        yield prefix + name, field
        yield from described(field, f"{prefix}{name}.")
        yield from described(field.get("items", {}), f"{prefix}{name}[].")
        yield from described(next(iter(field.get("patternProperties", {}).values()), {}), f"{prefix}{name}.*.")


KEYS = dict(described(SCHEMA))


def written(node: Node, prefix: str = "") -> Iterator[tuple[str, Node, int]]:
    """Every key of the example with its value and the line of the key."""
    if isinstance(node.value, list):
        for child in node.value:
            yield from written(child, prefix)
    elif isinstance(node.value, dict):
        for name, child in node.value.items():
            path = prefix + ("*" if prefix == "upstreams." else name)
            yield path, child, node.keys[name].line
            yield from written(child, f"{path}[]." if isinstance(child.value, list) else f"{path}.")


@pytest.fixture(scope="module")
def example() -> dict[str, tuple[Node, str]]:
    parsed = read("example", EXAMPLE.read_bytes(), Room())
    assert parsed.root is not None
    lines = EXAMPLE.read_text().splitlines()
    return {path: (node, lines[line - 1]) for path, node, line in written(parsed.root)}


@pytest.fixture
def installed(tmp_path: Path) -> Loaded:
    """The example in a folder as `gateway init` leaves it."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var/master.key").write_text("k")
    (tmp_path / "var/admin.token").write_text("t")
    (tmp_path / "config.yaml").write_bytes(EXAMPLE.read_bytes())
    return load(tmp_path / "config.yaml", {})


def test_the_example_loads(installed: Loaded) -> None:
    """It can be copied and cut down."""
    assert [route.path for route in installed.settings.routes] == ["/orders/**"]


@pytest.mark.parametrize("key", sorted(set(KEYS) - EXCLUDED))
def test_every_key_is_in_the_example(example: dict[str, tuple[Node, str]], key: str) -> None:
    """A key that nobody can find is a key that nobody uses."""
    assert key in example


def is_section(key: str) -> bool:
    """Whether there are keys below: its default is that of those."""
    return any(other.startswith((f"{key}.", f"{key}[].")) for other in KEYS)


def test_every_value_of_the_example_is_the_default_or_marked(example: dict[str, tuple[Node, str]]) -> None:
    """A value that looks like the default is the default."""
    unmarked = {key: plain(node) for key, (node, line) in example.items() if "# example: " not in line and key in KEYS}
    said = {key: value for key, value in unmarked.items() if not is_section(key)}
    assert len(said) > 40
    assert json.loads(json.dumps(said)) == {key: KEYS[key].get("default", "no default") for key in said}


@pytest.mark.parametrize("key", sorted(set(KEYS) - EXCLUDED))
def test_every_key_of_the_example_has_its_sentence(example: dict[str, tuple[Node, str]], key: str) -> None:
    """On its own line."""
    assert "  # " in example[key][1]


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_described(key: str) -> None:
    """One sentence, for the editor."""
    assert KEYS[key]["description"].endswith(".")


def test_the_committed_schema_is_that_of_the_model() -> None:
    """`gateway schema > config/schema.json` after a change."""
    assert (ROOT / "config/schema.json").read_text() == schema_text()


def test_no_editor_offers_null() -> None:
    """A key without a value is a fault."""
    assert '"null"' not in schema_text()
    assert ": null" not in schema_text()
