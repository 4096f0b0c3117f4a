"""The pages that are derived: current, and whole."""

import re

import click
import pytest
from settings.test_settings_example import KEYS, SCHEMA

from docs.commands import SHARED, commands
from docs.configuration import Key, keys
from docs.contents import FOLDER
from docs.written import pages
from gateway.cli import main


@pytest.mark.parametrize("name", pages())
def test_a_derived_page_is_current(name: str) -> None:
    """`python -m docs` writes it."""
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name]


def test_every_key_of_the_schema_is_on_the_page() -> None:
    """Once, with its sentence, and none that there is not."""
    schemas = (SCHEMA, *SCHEMA["$defs"].values())
    wanted = {
        (name, field["description"]) for schema in schemas for name, field in schema.get("properties", {}).items()
    }
    paths = [key.path for key in keys()]
    assert {(re.split(r"[.]", key.path)[-1], key.description) for key in keys()} == wanted
    assert len(paths) == len(set(paths))
    assert set(KEYS) - set(paths) == set()
    page = pages()["configuration.md"]
    assert [path for path in paths if f"| `{path}` |" not in page] == []


@pytest.mark.parametrize("key", [key for key in keys() if key.path in KEYS], ids=lambda key: key.path)
def test_a_key_says_what_it_takes_and_what_it_is_unless_said(key: Key) -> None:
    """With the sentence of the schema, and the default of it."""
    schema = KEYS[key.path]
    assert key.takes
    assert key.description == schema["description"]
    assert (key.default is None) == ("default" not in schema or "$ref" in schema)


def test_bounds_are_on_the_page() -> None:
    """Those that the schema has, and those of sizes and durations, which it has not."""
    takes = {key.path: key.takes for key in keys()}
    assert takes["listen.workers"] == "a whole number, 1 to 64"
    assert takes["cache.credentials"] == "a duration, 0s to 5m"
    assert takes["routes[].limits.body"] == "a size, 0B to 1024GiB"


def test_every_command_and_option_is_on_the_page() -> None:
    """As click finds them."""
    page = pages()["command-line.md"]
    shown = re.findall(r"^## (gateway .+)$", page, re.M)
    assert shown == [" ".join(path) for path, _ in commands()]
    assert len(shown) > 20
    for path, command in commands():
        section = page.partition(f"## {' '.join(path)}\n")[2].partition("\n## ")[0]
        options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
        own = [one for one in options if one.name not in SHARED]  # -c and --json, which the top of the page has
        missing = [name for option in own for name in option.opts if name not in section]
        assert (path, missing) == (path, [])


def test_no_group_is_left_out() -> None:
    """Each name that `gateway --help` lists."""
    listed = set(main.list_commands(click.Context(main)))
    assert {path[1] for path, _ in commands()} == listed
