"""The import table as a test: who may import whom inside `gateway`, and where each outside library lives."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "gateway"

# What a layer needs from one that is absent from its row is handed in by `app` as a small Protocol.
MAY_IMPORT: dict[str, frozenset[str]] = {
    layer: frozenset(row.split())
    for layer, row in {
        "errors": "",
        "clock": "",
        "wire": "errors clock",
        "settings": "errors clock",
        "ops": "errors clock",
        "routes": "errors clock wire",
        "identity": "errors clock",
        "access": "errors clock wire routes identity",
        "proxy": "errors clock wire routes identity access",
        "pipeline": "errors wire routes access proxy",
        "edge": "errors clock wire routes pipeline ops",
        "login": "errors wire identity",
        "supervise": "errors clock ops",
        "control": "errors wire identity access login ops",
        "store": "errors clock identity.model identity.ports identity.challenge identity.letters identity.arrivals"
        " identity.audit identity.trail",
        "state": "errors clock identity.counting identity.limits identity.meter access.jwks",
        "mail": "errors clock identity.model identity.ports identity.letters",
    }.items()
}
ANYTHING = {"app", "cli", "__main__"}  # the composition root and the command line

# The home is where foreign errors are translated and where the next major version will be felt.
HOMES: dict[str, frozenset[str]] = {
    library: frozenset(row.split())
    for library, row in {
        "aiohttp": "control cli.demo",  # the demo's echo upstream is an application of its own
        "httptools": "edge",
        "uvloop": "cli.serve",
        "jwt": "identity.tokens",
        "cryptography": "identity.tokens identity.keys store",
        "argon2": "identity.passwords",
        "bcrypt": "identity.passwords",
        "zstandard": "access.profile cli.demo",  # the demo's echo upstream shows the decoded profile
        "yaml": "settings.yaml",
        "pydantic": "settings control.api",  # the calls of the admin API are checked by models
        "sqlalchemy": "store",
        "alembic": "store",
        "aiosqlite": "store",
        "asyncpg": "store.postgres",
        "sqlite3": "store",  # in the standard library, and a database driver all the same
        "email_validator": "identity",
        "structlog": "ops.logs",
        "prometheus_client": "ops.metrics",
        "opentelemetry": "ops.tracing",  # of an extra: loaded where a collector is named, and nowhere else
        "requests": "ops.tracing",  # what OpenTelemetry's exporter sends with
        "click": "cli",
        "jinja2": "login.pages mail.render",
        "segno": "login.qr",
        "pyotp": "identity.totp",
        "aiosmtplib": "mail.smtp",
        "redis": "state",
    }.items()
}
DISTRIBUTIONS = {"PyJWT": "jwt", "argon2-cffi": "argon2", "PyYAML": "yaml"}  # where the names differ in more than case

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py"
)


def tree(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(source.read_text(), str(source))


def imported(module: str) -> Iterator[str]:
    """Absolute names that the module imports, wherever in it; `from a.b import c` yields both a.b and a.b.c."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(name: str, places: frozenset[str]) -> bool:
    return any(name == place or name.startswith(place + ".") for place in places)


def test_no_module_imports_relatively() -> None:
    """A relative import would slip past the table, so there is none."""
    found = [
        module
        for module in MODULES
        if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree(module)))
    ]
    assert found == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_the_layers_of_its_row(module: str) -> None:
    """A module of a layer imports its own layer and those in the layer's row, nothing else of the gateway."""
    layer = module.partition(".")[0]
    if layer in ANYTHING:
        return
    names = {name.removeprefix("gateway.") for name in imported(module) if name.startswith("gateway.")}
    allowed = MAY_IMPORT[layer] | {layer}
    parents = {row.rpartition(".")[0] for row in allowed}  # `from gateway.identity import model`
    assert sorted(name for name in names if not inside(name, allowed) and name not in parents) == []


@pytest.mark.parametrize("module", MODULES)
def test_an_outside_library_is_imported_only_at_home(module: str) -> None:
    """Every library has its home; one without a row in the table is refused too."""
    libraries = {name.partition(".")[0] for name in imported(module)} - {"gateway"}
    outside = {name for name in libraries if name not in sys.stdlib_module_names or name in HOMES}
    assert sorted(name for name in outside if not inside(module, HOMES.get(name, frozenset()))) == []


def test_every_runtime_dependency_has_a_home() -> None:
    """A dependency that no row names is one that nothing may import, so it should not be installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[^A-Za-z0-9_-]", text)[0] for text in project["dependencies"]]
    assert sorted({DISTRIBUTIONS.get(name, name.lower().replace("-", "_")) for name in names} - set(HOMES)) == []
