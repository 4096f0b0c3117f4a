"""The bill of materials: what it says is true, and the wheel has it (tests/packaging/test_wheel.py)."""

import hashlib
import json
from importlib import metadata

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from requirements import sbom
from requirements.licences import BESIDE, NAMED, PERMISSIVE, UnknownLicenceError, declared, licence, permitted
from requirements.pins import FOLDER, PROJECT, of

ROOT = FOLDER.parent
TEXT = (FOLDER / sbom.NAME).read_text()
BILL = json.loads(TEXT)
LIBRARIES = {each["name"]: each for each in BILL["components"]}
RUNTIME = {**of("gateway"), **of("otel")}


def test_it_is_what_the_pins_make() -> None:
    """Byte for byte; `make requirements` writes it."""
    assert sbom.text() == TEXT


def test_it_is_in_the_form_that_it_names() -> None:
    """By CycloneDX's own schema, which allows no field that it does not know."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(TEXT) is None


def test_the_schema_refuses_what_is_not_in_that_form() -> None:
    """Else the test above would show nothing."""
    broken = {**BILL, "components": [{**BILL["components"][0], "licence": "MIT"}]}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_it_names_every_package_that_is_pinned_and_what_lies_in_ours() -> None:
    """With version and digests; those of the extra are optional."""
    told = {
        name: (each["version"], each["scope"], [row["content"] for row in each["externalReferences"][0]["hashes"]])
        for name, each in LIBRARIES.items()
        if name != "swagger-ui-dist"
    }
    required = {name: (pin.version, "required", list(pin.digests)) for name, pin in of("gateway").items()}
    optional = {name: (pin.version, "optional", list(pin.digests)) for name, pin in of("otel").items()}
    assert told == {**required, **optional}


def test_swagger_ui_is_the_files_that_are_there() -> None:
    """By their digests."""
    files = {row["name"]: row["hashes"][0]["content"] for row in LIBRARIES["swagger-ui-dist"]["components"]}
    assert f"{sbom.SWAGGER}/swagger-ui-bundle.js" in files
    assert {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in files} == files


def test_nothing_else_that_is_minified_lies_in_the_package() -> None:
    """What comes from elsewhere would have to be in it; ours has short lines."""
    long = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gateway").rglob("*")
        if path.suffix in {".js", ".css", ".html"} and max(map(len, path.read_text().splitlines()), default=0) > 1000
    }
    assert long == {f"{sbom.SWAGGER}/swagger-ui-bundle.js", f"{sbom.SWAGGER}/swagger-ui.css"}


def test_everything_in_it_is_reached_from_the_project() -> None:
    """The graph has no loose end, and names nothing that is not there."""
    needs = {row["ref"]: row["dependsOn"] for row in BILL["dependencies"]}
    assert set(needs) == {PROJECT, *LIBRARIES}
    ahead, seen = [PROJECT], set()
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += needs[name]
    assert seen == set(needs)
    assert "aiohttp" in needs[PROJECT]
    assert "cffi" in needs["cryptography"]


def test_it_says_nothing_that_changes_by_itself() -> None:
    """The same pins make the same wheel: no time, no serial number, no address of an index."""
    assert "serialNumber" not in BILL
    assert "timestamp" not in BILL["metadata"]
    assert {each["purl"].partition(":")[0] for each in BILL["components"]} == {"pkg"}
    assert [line for line in TEXT.splitlines() if "://" in line and "$schema" not in line] == []


@pytest.mark.parametrize("name", RUNTIME)
def test_a_dependency_is_under_a_licence_that_may_be_used(name: str) -> None:
    """By what is installed, not by what somebody remembers."""
    assert permitted(name, licence(name))


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_licence_is_written_by_hand_only_where_the_package_names_none(name: str) -> None:
    """And where it has words or classifiers of the old kind, they say the same. A licence that changes is seen."""
    try:
        assert declared(name) is None
    except metadata.PackageNotFoundError:
        assert name == "async-timeout"  # for older Pythons
        return
    about = metadata.metadata(name)
    said = " ".join([*(about.get_all("License") or []), *(about.get_all("Classifier") or [])]).lower()
    words = {"Apache-2.0": "apache", "MIT": "mit", "BSD-3-Clause": "bsd", "PSF-2.0": "psf", "MPL-2.0": "mozilla"}
    assert all(words.get(each, each.lower()) in said for each in NAMED[name].split(" OR "))


@pytest.mark.parametrize(
    ("package", "expression", "fine"),
    [
        ("a", "MIT", True),
        ("a", "Apache-2.0 AND MIT", True),
        ("a", "GPL-3.0-only OR MIT", True),
        ("a", "GPL-3.0-only AND MIT", False),
        ("a", "AGPL-3.0-only", False),
        ("a", "(MIT AND GPL-3.0-only) OR LGPL-3.0-only", False),
        ("a", "MPL-2.0", False),
        ("certifi", "MPL-2.0", True),
        ("certifi", "GPL-3.0-only", False),
        ("a", "", False),
    ],
)
def test_what_holds_together_must_all_be_permissive(package: str, expression: str, fine: bool) -> None:
    """Of alternatives one is enough."""
    assert permitted(package, expression) is fine


def test_what_is_unknown_is_not_guessed() -> None:
    """A package of no licence is no package to ship with."""
    with pytest.raises(UnknownLicenceError):
        licence("not-installed-anywhere")


def test_what_is_beside_the_permissive_ones_is_not_what_everybody_installs() -> None:
    """It comes with the extra alone."""
    assert set(BESIDE) <= set(of("otel"))
    assert not set(BESIDE.values()) & PERMISSIVE
