"""`gateway check` and `gateway schema`: the configuration is right, or every place where it is not."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from gateway.settings.faults import Fault, SettingsInvalid, render
from gateway.settings.load import Loaded, load
from gateway.settings.schema import schema_text

DEFAULT = Path("config.yaml")
VARIABLE = "GATEWAY_CONFIG"

CompileStep = Callable[[Loaded], Sequence[Fault]]


@dataclass(frozen=True, slots=True)
class Report:
    """What the command prints, and its exit code: 0 right, 1 wrong."""

    code: int
    out: str
    err: str = ""


def config_path(named: Sequence[Path | None], environ: Mapping[str, str]) -> Path:
    """The one file that was named, else ./config.yaml, else $GATEWAY_CONFIG. Raises click.UsageError (exit 2)."""
    given = [path for path in named if path is not None]
    if len(given) > 1:
        raise click.UsageError("name the configuration once: as FILE or with -c")
    if given:
        return given[0]
    if DEFAULT.exists() or not environ.get(VARIABLE):
        return DEFAULT
    return Path(environ[VARIABLE])


def report(path: Path, environ: Mapping[str, str], compile_step: CompileStep, *, as_json: bool) -> Report:
    """compile_step: what only the compiled routes show; it is asked when everything else is right."""
    try:
        loaded = load(path, environ)
        faults = list(compile_step(loaded))
    except SettingsInvalid as invalid:
        return _wrong(invalid.faults, as_json=as_json)
    return _wrong(faults, as_json=as_json) if faults else _right(path, loaded, as_json=as_json)


def _wrong(faults: Sequence[Fault], *, as_json: bool) -> Report:
    if as_json:
        return Report(1, json.dumps([fault.as_json() for fault in faults], ensure_ascii=False))
    count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    return Report(1, "", "\n".join([*map(render, faults), count]))


def _right(path: Path, loaded: Loaded, *, as_json: bool) -> Report:
    if as_json:
        return Report(0, "[]")
    settings = loaded.settings
    counts = {"route": settings.routes, "upstream": settings.upstreams, "issuer": settings.issuers}
    said = ", ".join(f"{len(these)} {noun}{'' if len(these) == 1 else 's'}" for noun, these in counts.items())
    return Report(0, f"{path}: {said}")


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-c", "config", type=click.Path(path_type=Path), help="The same as FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print [{file, line, column, code, message}].")
@click.pass_context
def check(context: click.Context, file: Path | None, config: Path | None, as_json: bool) -> None:
    """Every fault of the configuration, with file:line:column.

    FILE is ./config.yaml unless given, else $GATEWAY_CONFIG. Exit code: 0 right, 1 wrong, 2 misuse.
    """
    from gateway.app.checks import compile_faults  # the composition root imports everything; `--help` need not

    result = report(config_path([file, config], os.environ), os.environ, compile_faults, as_json=as_json)
    if result.out:
        click.echo(result.out)
    if result.err:
        click.echo(result.err, err=True)
    context.exit(result.code)


@click.command()
@click.option("-c", "config", type=click.Path(path_type=Path), hidden=True)
@click.option("--json", "as_json", is_flag=True, hidden=True)
@click.option("--openapi", is_flag=True, help="The OpenAPI document of the admin API instead, at its default mount.")
def schema(config: Path | None, as_json: bool, openapi: bool) -> None:
    """The JSON Schema of the configuration, for editors.

    It is the same for every configuration and always JSON: -c and --json are taken, as by all commands, and do nothing.
    """
    click.echo(_openapi() if openapi else schema_text(), nl=False)


def _openapi() -> str:
    from gateway.app.logins import admin_api  # the composition root imports everything

    return json.dumps(admin_api().document(), indent=2, ensure_ascii=False) + "\n"
