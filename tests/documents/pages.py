"""The pages, and the blocks that they show."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md"])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """language: the word after the fence. place: page and line, as a test calls it."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    """As the lists of the tests call it: `explain`, `dialects/navak`, `README`."""
    folder = ROOT / "docs"
    return str((page.relative_to(folder) if page.is_relative_to(folder) else page.relative_to(ROOT)).with_suffix(""))


def blocks(*languages: str) -> list[Block]:
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for page in PAGES
        for text in (page.read_text(encoding="utf-8"),)
        for found in _BLOCK.finditer(text)
        if found[1] in languages
    ]
