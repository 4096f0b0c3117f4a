"""The page with every command of the command line, its arguments and options, from the commands themselves."""

import inspect
import re
from collections.abc import Iterator
from typing import Final

import click

from gateway.cli import main

INTRODUCTION: Final = """\
# Command line

Every command; `-h` prints the same. Standard output has the answer, standard error has what went wrong. The exit code
is 0 for yes, 1 for no, 2 for misuse, 3 for a dependency that is down. What a command changes, a running gateway obeys
within a second.

| every command takes | |
|---|---|
| `-c FILE` | The configuration: `./config.yaml` unless given, else `$GATEWAY_CONFIG`. |
| `--json` | JSON on standard output, for programs. |
"""


SHARED: Final = ("shared_config", "shared_json")  # what every command takes


def page() -> str:
    return INTRODUCTION + "".join(_section(path, command) for path, command in commands())


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each that can be called, by the words that call it."""
    return _below(main, ("gateway",))


def _below(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from _below(command, (*path, name))
        else:
            yield (*path, name), command


def _section(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(command, info_name=" ".join(path))
    usage = " ".join([*path, *command.collect_usage_pieces(context)])
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    rows = "".join(_row(option, context) for option in options if not option.hidden and option.name not in SHARED)
    table = f"\n| option | |\n|---|---|\n{rows}" if rows else ""
    return f"\n## {' '.join(path)}\n\n```text\n{usage}\n```\n\n{_prose(command.help or '')}\n{table}"


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None
    names, said = record
    return f"| `{_cell(names)}` | {_cell(_plain(said))} |\n"


def _prose(text: str) -> str:
    """The paragraphs of a help text. `\\b` marks one whose lines stay as they are, for click; here it is code."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        f"```text\n{part.removeprefix(chr(8)).strip(chr(10))}\n```" if part.startswith("\b") else _plain(part)
        for part in paragraphs
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _plain(text: str) -> str:
    """As it is written; code in it stays code."""
    parts = text.split("`")
    return "`".join(part if place % 2 else re.sub(r"([*<\[\]])", r"\\\1", part) for place, part in enumerate(parts))
