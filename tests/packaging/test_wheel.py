"""The wheel as somebody gets it: built, installed where no source tree is, and used from an empty folder."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The finished command; a failure shows what it printed. PYTHONPATH would put the source tree in."""
    environ = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "GATEWAY_CONFIG"}}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=240)  # type: ignore[arg-type]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT, cwd=out)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`gateway` of a fresh environment that sees this one's libraries, but not its editable source."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    (site,) = folder.glob("lib/python3*/site-packages")
    # `--python`, not `--prefix`: that one would uninstall the package from the environment that runs the tests
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel, cwd=folder)
    ours = Path(next(path for path in sys.path if path.endswith("site-packages")))
    # `addsitedir` would obey the editable install's .pth file; a plain line does not.
    (site / "borrowed.pth").write_text(f"{ours}\n")
    return folder / "bin" / "gateway"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return tmp_path


def test_the_wheel_carries_every_file_of_the_package(wheel: Path) -> None:
    """Migrations, templates and data files are in it, not only modules."""
    held = set(zipfile.ZipFile(wheel).namelist())
    ours = subprocess.run(["git", "ls-files", "gateway"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert sorted(set(ours.stdout.split()) - held) == []


def test_the_wheel_carries_its_bill_of_materials(wheel: Path) -> None:
    """Where PEP 770 has scanners look for it; installed, it is beside the package's metadata."""
    archive = zipfile.ZipFile(wheel)
    (bill,) = (name for name in archive.namelist() if ".dist-info/sboms/" in name)
    assert archive.read(bill) == (ROOT / "requirements/mycelium-gateway.cdx.json").read_bytes()
    assert json.loads(archive.read(bill))["metadata"]["component"]["version"] == wheel.name.split("-")[1]


def test_the_wheel_can_be_made_again(tmp_path: Path) -> None:
    """The same bytes, from another folder, at another time, with other permissions: SECURITY.md says so."""
    tree, made = tmp_path / "tree", []
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if name.partition("/")[0] in {"gateway", "requirements"} or "/" not in name:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
            (tree / name).chmod(0o600)
            os.utime(tree / name, (1e9, 1e9))
    for source in (ROOT, tree):
        out = tmp_path / f"dist{len(made)}"
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=tmp_path)
        made += [path.read_bytes() for path in out.glob("*.whl")]
    assert made[0] == made[1]


def test_the_installed_package_is_not_the_source_tree(command: Path, empty: Path) -> None:
    """Else the other tests of this module would show nothing."""
    python = command.with_name("python")
    place = run(python, "-c", "import gateway; print(gateway.__file__)", cwd=empty).stdout.strip()
    assert Path(place).is_relative_to(command.parent.parent)


def test_the_environment_of_the_tests_is_left_as_it_was(command: Path, empty: Path) -> None:
    """Installing the wheel elsewhere does not take the editable package away from under a developer."""
    place = run(sys.executable, "-c", "import gateway; print(gateway.__file__)", cwd=empty).stdout.strip()
    assert Path(place).parent == ROOT / "gateway"


def test_help_works_from_an_empty_folder(command: Path, empty: Path) -> None:
    """`gateway --help` needs no configuration and names the commands."""
    assert "serve" in run(command, "--help", cwd=empty).stdout


def test_init_then_check_works_from_an_empty_folder(command: Path, empty: Path) -> None:
    """What `init` writes is a configuration that `check` finds nothing wrong with."""
    run(command, "init", cwd=empty)
    assert json.loads(run(command, "check", "--json", cwd=empty).stdout) == []


def test_the_schema_is_in_the_wheel(command: Path, empty: Path) -> None:
    """`gateway schema` prints JSON from what was installed."""
    assert "properties" in json.loads(run(command, "schema", cwd=empty).stdout)
