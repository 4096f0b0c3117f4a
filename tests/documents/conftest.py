"""The site, built once as `make docs` builds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT


def built(source: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """Sphinx over a folder of pages, every warning an error."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--quiet", "-b", "html", str(source), str(into)]
    environ = {**os.environ, "PYTHONPATH": str(source.parent)}
    return subprocess.run(
        command, cwd=source.parent, env=environ, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with its pages."""
    into = tmp_path_factory.mktemp("site")
    done = built(ROOT / "docs", into)
    assert (done.returncode, done.stderr) == (0, "")
    return into
