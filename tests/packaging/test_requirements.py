"""requirements/: everything that the gateway may import is pinned by digest, within what pyproject.toml says of it."""

import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_build import CompileHook
from requirements.advisories import ADVISORIES, REFUSED, Advisory
from requirements.pins import FOLDER, PROJECT, SETS, NotPinnedError, Pin, of, read

ROOT = FOLDER.parent
PROJECT_TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = {"gateway": (), "otel": ("otel",)}
# What the pins are for. 3.11.0 is older than 3.11.3, below which redis wants one package more.
ENVIRONMENTS = [
    {
        **default_environment(),
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "platform_machine": machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_system": "Linux",
        "implementation_version": python,
    }
    for python, machine in itertools.product(("3.11.0", "3.11.9", "3.12.4", "3.13.1"), ("x86_64", "aarch64"))
]
OTHER_PLATFORMS = {"colorama"}  # of Windows: pinned as well, and wanted nowhere above
DIGEST = f"    --hash=sha256:{'0' * 64}"


def runtime() -> dict[str, Pin]:
    return {**of("gateway"), **of("otel")}


def wants(package: str, extras: tuple[str, ...], environment: Mapping[str, str]) -> Iterator[Requirement]:
    """What a package depends on there, by its own metadata; of the project, by pyproject.toml."""
    if package == PROJECT:
        table = PROJECT_TABLE["project"]
        lines = [*table["dependencies"], *(line for each in extras for line in table["optional-dependencies"][each])]
    else:
        lines = metadata.requires(package) or []
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)):
            yield requirement


def closure(environment: Mapping[str, str], extras: tuple[str, ...]) -> list[Requirement]:
    """All that the project needs there, each with the range that somebody gives it."""
    found: list[Requirement] = []
    ahead, seen = [(PROJECT, extras)], set()
    while ahead:
        step = ahead.pop()
        if step in seen:
            continue
        seen.add(step)
        try:
            wanted = list(wants(*step, environment))
        except metadata.PackageNotFoundError:
            continue  # not for this Python: `test_the_tests_run_with_what_is_pinned` knows what may be missing
        found += wanted
        ahead += [(canonicalize_name(each.name), tuple(sorted(each.extras))) for each in wanted]
    return found


def name_of(environment: Mapping[str, str]) -> str:
    return f"{environment['python_full_version']}-{environment['platform_machine']}"


@pytest.mark.parametrize("name", EXTRAS)
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=name_of)
def test_everything_needed_is_pinned_within_its_ranges(environment: dict[str, str], name: str) -> None:
    """Of every dependency and what it depends on in turn, on each Python and machine."""
    pins = of("gateway") if name == "gateway" else runtime()
    needed = closure(environment, EXTRAS[name])
    assert len({each.name for each in needed}) > 40
    wrong = [
        f"{each} by {pin.version if pin else None}"
        for each in needed
        if (pin := pins.get(canonicalize_name(each.name))) is None
        or not each.specifier.contains(pin.version, prereleases=True)
        or not pin.holds(environment)
    ]
    assert wrong == []


def test_nothing_is_pinned_that_nobody_needs() -> None:
    """What is not needed would be installed, and looked after by nobody."""
    needed = {canonicalize_name(each.name) for env in ENVIRONMENTS for each in closure(env, ("otel",))}
    assert set(runtime()) - needed == OTHER_PLATFORMS - set(of("build"))


def test_the_tests_run_with_what_is_pinned() -> None:
    """`make` installs the pins first: what is tested is what is deployed. If this fails, so did that."""
    here = dict(default_environment())
    pinned = {name: Version(pin.version) for name, pin in runtime().items() if pin.holds(here)}
    assert {name: Version(metadata.version(name)) for name in pinned} == pinned


def test_no_package_is_in_two_files() -> None:
    """They are installed together, and then there is one version of each."""
    names = [name for each in SETS for name in of(each)]
    assert sorted(names) == sorted(set(names))


def test_the_wheel_is_built_with_what_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without isolation there is nothing else to build with: what the backend asks for is there."""
    pins = {**of("gateway"), **of("build")}
    monkeypatch.setenv("GATEWAY_COMPILE", "1")
    described = ProjectMetadata(str(ROOT), PluginManager())
    compiling = CompileHook(str(ROOT), {}, None, described, "", "wheel").dependencies()
    assert any(line.startswith("mypy") for line in compiling)
    asked = [*PROJECT_TABLE["build-system"]["requires"], *compiling, "build"]
    missing = [
        line
        for line in asked
        if (pin := pins.get(canonicalize_name(Requirement(line).name))) is None
        or not Requirement(line).specifier.contains(pin.version)
    ]
    assert missing == []


@pytest.mark.parametrize("name", SETS)
def test_no_file_says_where_packages_come_from(name: str) -> None:
    """Neither an address nor an option; `read` takes nothing but pins, digests and comments."""
    text = (FOLDER / f"{name}.txt").read_text()
    assert re.findall(r"https?:|://|index|\bfile:|@", text) == []
    assert read(text) == of(name)


@pytest.mark.parametrize(
    "text",
    [
        f"httptools>=0.9 \\\n{DIGEST}\n",
        f"httptools \\\n{DIGEST}\n",
        "httptools==0.9.0\n",
        "httptools==0.9.0 \\\n    # via\n",
        f"httptools==0.9.0 \\\n{DIGEST[:-1]}\n",
        f"httptools==0.9.0 \\\n{DIGEST.replace('sha256', 'md5')}\n",
        f"httptools @ file:///tmp/httptools.whl \\\n{DIGEST}\n",
        "--index-url x\n",
        "-r other.txt\n",
    ],
)
def test_a_line_that_pins_nothing_is_refused(text: str) -> None:
    """A range, no digest, a weak digest, an address, an option."""
    with pytest.raises(NotPinnedError):
        read(text)


def test_a_pin_says_what_it_is() -> None:
    """Version, digests in order, marker, and who wants it."""
    other = DIGEST.replace("0", "1")
    text = f"Async_Timeout==5.0.1 ; python_full_version < '3.11.3' \\\n{other} \\\n{DIGEST}\n    # via redis\n"
    pin = read(text)["async-timeout"]
    assert (pin.version, pin.wanted_by) == ("5.0.1", ("redis",))
    assert pin.digests == ("0" * 64, "1" * 64)
    assert [pin.holds(each) for each in ENVIRONMENTS] == [True, True, *[False] * 6]


@pytest.mark.parametrize("advisory", ADVISORIES, ids=lambda each: f"{each.package}-{each.mended}")
def test_no_pin_is_older_than_the_release_that_mended_a_known_flaw(advisory: Advisory) -> None:
    """requirements/advisories.py, for what runs and for what builds."""
    pins = {**runtime(), **of("build")}
    assert Version(pins[advisory.package].version) >= Version(advisory.mended)


@pytest.mark.parametrize("advisory", ADVISORIES, ids=lambda each: f"{each.package}-{each.mended}")
def test_no_range_lets_a_known_flaw_in(advisory: Advisory) -> None:
    """Who installs without the pins gets no release that is known to be bad, where the range is ours to give."""
    table = PROJECT_TABLE["project"]
    groups = PROJECT_TABLE["dependency-groups"]
    lines = [
        *table["dependencies"],
        *(line for extra in table["optional-dependencies"].values() for line in extra),
        *(line for name in ("build", "dev") for line in groups[name] if isinstance(line, str)),
    ]
    ranges = [each for each in map(Requirement, lines) if canonicalize_name(each.name) == advisory.package]
    below = [Version(spec.version) for each in ranges for spec in each.specifier if spec.operator == ">="]
    assert len(below) == len(ranges)
    assert all(floor >= Version(advisory.mended) for floor in below)


def test_the_table_of_flaws_reaches_the_ranges() -> None:
    """Else the test above would look at none."""
    direct = {canonicalize_name(Requirement(line).name) for line in PROJECT_TABLE["project"]["dependencies"]}
    assert {"aiohttp", "pyjwt", "cryptography", "jinja2", "pyyaml"} <= {each.package for each in ADVISORIES} & direct


def test_libraries_that_failed_at_tokens_do_not_come_in_by_others() -> None:
    """None of them is pinned."""
    assert set(REFUSED) & {*runtime(), *of("build")} == set()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_every_pin_has_a_wheel_with_a_pinned_digest(machine: str, python: str, tmp_path: Path) -> None:
    """For each machine and Python that docs/deploy.md names pip finds one for each, and nothing that would be built."""
    tags = [f"manylinux{tag}_{machine}" for tag in ("2014", "_2_17", "_2_28", "_2_34")]
    target = [*(word for tag in tags for word in ("--platform", tag)), "--python-version", python]
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--require-hashes"]
    files = ["-r", str(FOLDER / "gateway.txt"), "-r", str(FOLDER / "otel.txt")]
    command = [*pip, "--only-binary", ":all:", *target, "--target", str(tmp_path), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
