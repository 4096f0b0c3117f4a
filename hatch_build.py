"""Builds the wheel: of Python alone, or, with GATEWAY_COMPILE=1, with the data plane compiled by mypyc beside it.

What is compiled is the very source that runs without it: the same files, type-checked, turned into C extensions
(docs/decisions/0007). It takes a C compiler and Python's headers, and makes a wheel for this platform and Python alone.
"""

import os
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = (
    "wire/*", "routes/*", "access/*", "proxy/*", "pipeline", "edge/*", "app/observer", "ops/access_log", "ops/metrics",
    "identity/compact", "identity/connection_string", "identity/tokens", "store/reading", "store/sqlite/reader",
)  # fmt: skip
INTERPRETED = {
    "edge/listener": "explain and tests put an object of their own in the place of `Edge`",
    "edge/connector": "runs once per connection, and is handed in as a function",
    "access/jwks": "runs once per fetch of an issuer's keys",
    "routes/template": "runs at load",
}


class CompileHook(BuildHookInterface[Any]):
    """hatchling's custom hook."""

    _work = ""  # the folder of what was compiled

    def dependencies(self) -> list[str]:
        """What the build environment gets. The libraries too: mypyc wants the types of what the modules import."""
        if not _wanted():
            return []
        types = ["types-PyYAML", "asyncpg-stubs"]
        return ["mypy[mypyc]>=1.19", "setuptools>=78.1.1", *types, *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or not _wanted():  # a source tree with compiled modules in it would hide its changes
            return
        self._work = mkdtemp(prefix="gateway-build-")
        libraries = compile_modules(Path(self.root), Path(self._work))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"].update(libraries)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._work:
            rmtree(self._work, ignore_errors=True)


def _wanted() -> bool:
    return os.environ.get("GATEWAY_COMPILE") == "1"


def compile_modules(root: Path, work: Path) -> dict[str, str]:
    """The extension modules' files, each with its place in the wheel. work: an empty folder for what is made."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    os.chdir(root)  # mypy finds its settings there
    extensions = mypycify(sources(root), opt_level="3", group_name="gateway", target_dir=str(work / "c"))
    command = build_ext(Distribution({"name": "gateway", "ext_modules": extensions}))
    command.build_lib, command.build_temp = str(work / "lib"), str(work / "temp")
    command.ensure_finalized()
    command.run()
    built = work / "lib"
    return {str(path): str(path.relative_to(built)) for path in built.rglob("*.so")}


def sources(root: Path) -> list[str]:
    """Paths of the modules to compile, relative to the root. Packages' `__init__` stay as they are: they are empty."""
    package = root / "gateway"
    chosen = sorted(path for pattern in COMPILED for path in package.glob(f"{pattern}.py"))
    names = {path: path.relative_to(package).with_suffix("").as_posix() for path in chosen}
    return [
        path.relative_to(root).as_posix()
        for path, name in names.items()
        if path.name != "__init__.py" and name not in INTERPRETED
    ]
