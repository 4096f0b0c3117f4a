"""`gateway check` and `gateway schema`."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.check import check, config_path, report, schema
from gateway.settings.faults import Fault
from gateway.settings.load import Loaded
from gateway.settings.schema import schema_text

RIGHT = "upstreams: { a: { endpoints: [http://a] } }\nroutes: [{ path: /x, upstream: a, access: public }]\n"


def nothing(loaded: Loaded) -> list[Fault]:
    return []


def conflict(loaded: Loaded) -> list[Fault]:
    return [loaded.place(("routes", 0, "path")).fault("route_conflict", "the same as another")]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "c.yaml").write_text(RIGHT)
    return tmp_path / "c.yaml"


def test_a_right_configuration_is_counted(config: Path) -> None:
    """One line, exit code 0."""
    got = report(config, {}, nothing, as_json=False)
    assert (got.code, got.out, got.err) == (0, f"{config}: 1 route, 1 upstream, 0 issuers", "")


def test_a_right_configuration_has_no_faults_as_json(config: Path) -> None:
    """An empty list, exit code 0."""
    got = report(config, {}, nothing, as_json=True)
    assert (got.code, got.out) == (0, "[]")


def test_faults_go_to_stderr_with_their_lines(config: Path) -> None:
    """Exit code 1, nothing on stdout."""
    config.write_text("rutes: []")
    got = report(config, {}, nothing, as_json=False)
    assert (got.code, got.out) == (1, "")
    assert got.err == f"{config}:1:1: unknown key 'rutes'; did you mean 'routes'?\n  rutes: []\n  ^\n1 fault"


def test_faults_are_json_on_stdout(config: Path) -> None:
    """Exactly five members, and no source line."""
    config.write_text("rutes: []")
    got = report(config, {}, nothing, as_json=True)
    assert (got.code, json.loads(got.out), got.err) == (
        1,
        [{"file": str(config), "line": 1, "column": 1, "code": "unknown_key",
          "message": "unknown key 'rutes'; did you mean 'routes'?"}],
        "",
    )  # fmt: skip


def test_what_the_compiled_routes_show_is_a_fault_too(config: Path) -> None:
    """Conflicts of routes have their place like everything else."""
    got = report(config, {}, conflict, as_json=True)
    assert (got.code, [(row["line"], row["column"], row["code"]) for row in json.loads(got.out)]) == (
        1, [(2, 18, "route_conflict")],
    )  # fmt: skip


def test_the_named_file_is_checked() -> None:
    """A name on the command line comes first."""
    assert config_path([None, Path("a.yaml")], {"GATEWAY_CONFIG": "b.yaml"}) == Path("a.yaml")


@pytest.mark.parametrize(
    ("exists", "environ", "expected"),
    [(True, {"GATEWAY_CONFIG": "b.yaml"}, "config.yaml"), (False, {"GATEWAY_CONFIG": "b.yaml"}, "b.yaml"),
     (False, {}, "config.yaml"), (False, {"GATEWAY_CONFIG": ""}, "config.yaml")],
)  # fmt: skip
def test_the_file_when_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, environ: dict[str, str], expected: str
) -> None:
    """./config.yaml, else the variable."""
    monkeypatch.chdir(tmp_path)
    if exists:
        Path("config.yaml").write_text("")
    assert config_path([None, None], environ) == Path(expected)


def test_two_names_are_misuse() -> None:
    """Which one was meant is not guessed."""
    with pytest.raises(click.UsageError):
        config_path([Path("a"), Path("b")], {})


def test_misuse_is_exit_code_2() -> None:
    """As for every command."""
    assert CliRunner().invoke(check, ["--nope"]).exit_code == 2


def test_the_command_asks_the_compiled_routes_too(config: Path) -> None:
    """Two routes that claim the same requests are told by the whole command, after its options or the program's."""
    config.write_text(RIGHT.replace("}]", "}, { path: /x, upstream: a, access: public }]"))
    got = CliRunner().invoke(main, ["-c", str(config), "check", "--json"])
    assert (got.exit_code, len(json.loads(got.stdout))) == (1, 1)


def test_schema_prints_the_schema() -> None:
    """Byte for byte what is committed."""
    assert CliRunner().invoke(schema, []).output == schema_text()
