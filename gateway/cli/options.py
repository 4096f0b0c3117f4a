"""What every command has: `-c` and `--json`, and exit codes. Light, as `--help` needs it too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from gateway.errors import DependencyFailed, RequestRejected
from gateway.settings.faults import SettingsInvalid, render
from gateway.settings.secrets import SecretAbsent

T = TypeVar("T")

_CONFIG, _JSON = "shared_config", "shared_json"  # keys of click's `meta`, which nested contexts share


class Failure(click.ClickException):
    """A line on stderr, and the exit code for "no"."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"gateway: {self.message}", err=True)


class Misuse(Failure):
    exit_code = 2


class Down(Failure):
    exit_code = 3


@contextmanager
def translated() -> Iterator[None]:
    """The program's own errors as exit codes."""
    try:
        yield
    except RequestRejected as error:
        raise Failure(error.detail or error.code) from error
    except SettingsInvalid as error:
        raise Misuse("\n".join(["the configuration is not valid", *map(render, error.faults)])) from error
    except SecretAbsent as error:
        raise Misuse(str(error)) from error
    except DependencyFailed as error:
        raise Down(error.detail or error.code) from error


def shared(command: Callable[..., T]) -> Callable[..., T]:
    """Adds `-c FILE` and `--json`, which count wherever they stand: `gateway --json keys list` as well."""
    command = click.option(
        "--json", _JSON, is_flag=True, expose_value=False, callback=_remember, help="JSON on standard output."
    )(command)
    return click.option(
        "-c",
        _CONFIG,
        type=click.Path(path_type=Path),
        metavar="FILE",
        expose_value=False,
        callback=_remember,
        help="The configuration: ./config.yaml unless given, else $GATEWAY_CONFIG.",
    )(command)


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value:
        context.meta[str(parameter.name)] = value


def wants_json(context: click.Context) -> bool:
    return bool(context.meta.get(_JSON))


def chosen_config(context: click.Context) -> Path | None:
    found = context.meta.get(_CONFIG)
    return found if isinstance(found, Path) else None
