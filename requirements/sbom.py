"""The bill of materials that is in the wheel (PEP 770): CycloneDX 1.6, out of the pins and their licences alone, so
that the same pins make the same bytes. It has neither a time nor a serial number.

It names what the gateway runs on and what lies in it from elsewhere. What other packages' wheels hold of compiled
libraries is in those wheels' own.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from requirements.licences import licence
from requirements.pins import FOLDER, PROJECT, Pin, of

NAME: Final = "mycelium-gateway.cdx.json"
SWAGGER: Final = "gateway/control/api/swagger"
_RELEASE: Final = re.compile(r"\b(swagger-ui-dist) (\d+\.\d+\.\d+)\b")
_FILE: Final = re.compile(r"^([0-9a-f]{64})  (\S+)$", re.M)


def text() -> str:
    return json.dumps(bill(), indent=1, sort_keys=True) + "\n"


def bill() -> dict[str, Any]:
    pins, extra, ui = of("gateway"), of("otel"), swagger()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": project()},
        "components": [
            *(component(pin, "required") for pin in pins.values()),
            *(component(pin, "optional") for pin in extra.values()),
            ui,
        ],
        "dependencies": dependencies({**pins, **extra}, [ui["bom-ref"]]),
    }


def project() -> dict[str, Any]:
    said = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "type": "application",
        "bom-ref": PROJECT,
        "name": PROJECT,
        "version": said["version"],
        "description": said["description"],
        "licenses": [{"expression": said["license"]}],
        "purl": f"pkg:pypi/{PROJECT}@{said['version']}",
    }


def component(pin: Pin, scope: str) -> dict[str, Any]:
    """The digests are of the release's files: which of them is installed depends on the platform."""
    purl = f"pkg:pypi/{pin.name}@{pin.version}"
    return {
        "type": "library",
        "bom-ref": pin.name,
        "name": pin.name,
        "version": pin.version,
        "purl": purl,
        "scope": scope,
        "licenses": [{"expression": licence(pin.name)}],
        "externalReferences": [{"type": "distribution", "url": purl, "hashes": list(map(sha256, pin.digests))}],
    }


def swagger() -> dict[str, Any]:
    """What lies in the package as it was released, file by file; `ORIGIN` beside it has the digests."""
    origin = (FOLDER.parent / SWAGGER / "ORIGIN").read_text(encoding="utf-8")
    release = _RELEASE.search(origin)
    assert release is not None
    name, version = release.groups()
    files = [
        {"type": "file", "bom-ref": f"{SWAGGER}/{file}", "name": f"{SWAGGER}/{file}", "hashes": [sha256(digest)]}
        for digest, file in sorted(_FILE.findall(origin), key=lambda row: row[1])
    ]
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": version,
        "purl": f"pkg:npm/{name}@{version}",
        "scope": "required",
        "licenses": [{"expression": "Apache-2.0"}],
        "components": files,
    }


def sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def dependencies(pins: Mapping[str, Pin], bundled: Iterable[str]) -> list[dict[str, Any]]:
    """Who depends on whom, the other way round than the pins tell it."""
    needs: dict[str, set[str]] = {PROJECT: set(bundled), **{name: set() for name in (*pins, *bundled)}}
    for pin in pins.values():
        for parent in pin.wanted_by:
            needs[parent].add(pin.name)
    return [{"ref": name, "dependsOn": sorted(needs[name])} for name in sorted(needs)]
