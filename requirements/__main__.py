"""`python -m requirements [--upgrade]`: resolves pyproject.toml anew, and writes the pins and the bill of materials.

Without `--upgrade` a pin stays as long as pyproject.toml allows it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from requirements import sbom
from requirements.pins import FOLDER, SETS, Pin, read, written

ROOT: Final = FOLDER.parent
OLDEST: Final = "3.11"  # requires-python; `--universal` resolves for that and everything newer, on every platform
WORDS: Final = {  # by set: what of pyproject.toml it is resolved from
    "gateway": ("pyproject.toml",),
    "otel": ("pyproject.toml", "--extra", "otel"),
    "build": ("--group", "build"),
}


def resolved(name: str, known: str, constraints: Path | None, options: Sequence[str]) -> str:
    """uv's text for one set. known: what was pinned until now, which uv keeps where it can."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "resolved.txt"
        out.write_text(known, encoding="utf-8")
        command = [
            *(sys.executable, "-m", "uv", "pip", "compile", *WORDS[name], "--universal", "--python-version", OLDEST),
            *("--generate-hashes", "--no-header", "--quiet", "--output-file", str(out), *options),
            *(("--constraints", str(constraints)) if constraints else ()),
        ]
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - its words are ours
        return out.read_text(encoding="utf-8")


def main(options: Sequence[str]) -> None:
    """`gateway` first; the others have what it has not, at the versions that it has."""
    files = [FOLDER / f"{name}.txt" for name in SETS]
    known = "".join(file.read_text(encoding="utf-8") for file in files if file.exists())
    first: dict[str, Pin] = {}
    for name, file in zip(SETS, files, strict=True):
        pins = read(resolved(name, known, files[0] if first else None, options))
        more = {package: pin for package, pin in pins.items() if package not in first}
        file.write_text(written(name, more.values()), encoding="utf-8")
        first = first or pins
    (FOLDER / sbom.NAME).write_text(sbom.text(), encoding="utf-8")


main(sys.argv[1:])
