"""Which pages there are, and in which order. A page that no section names stands at the end of `Operating`: none is
left out.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
INDEX: Final = "index"
REST: Final = "Operating"

# Section, and the pages or folders in it; a name for which there is no file is passed over.
SECTIONS: Final = (
    ("Start", ("quick-start", "concepts")),
    ("Reference", ("configuration", "command-line", "api")),
    ("Logins", ("dialects",)),
    ("Deployments", ("deploy", "data-planes", "scale")),
    (
        REST,
        (
            "explain", "reload", "upstreams", "limits", "headers", "cors",
            "logs", "metrics", "tracing", "audit", "keys", "import",
        ),
    ),
    ("When something is wrong", ("runbook",)),
    ("Security", ("security",)),
    ("Decisions", ("decisions",)),
)  # fmt: skip

INTRODUCTION: Final = """\
# Mycelium gateway

An authenticating reverse proxy. It finds out who is calling, and forwards the request with the caller's profile in one
header. What it cannot decide it refuses. Begin with the [quick start](quick-start.md); a reason code or an alert is
looked up in the [runbook](runbook.md).
"""


@dataclass(frozen=True)
class Section:
    """pages: as paths below the folder, without the ending."""

    title: str
    pages: tuple[str, ...]


def sections(folder: Path = FOLDER) -> tuple[Section, ...]:
    named = [(title, [page for name in names for page in _pages(folder, name)]) for title, names in SECTIONS]
    known = {INDEX, *(page for _, pages in named for page in pages)}
    rest = sorted(path.stem for path in folder.glob("*.md") if path.stem not in known)
    return tuple(Section(title, (*pages, *(rest if title == REST else ()))) for title, pages in named)


def index(folder: Path = FOLDER) -> str:
    """The first page: plain lists of links."""
    lists = (
        f"\n## {section.title}\n\n" + "".join(f"- [{title(folder, page)}]({page}.md)\n" for page in section.pages)
        for section in sections(folder)
    )
    return INTRODUCTION + "".join(lists)


def toctrees(folder: Path = FOLDER) -> str:
    """The same for Sphinx, which makes the navigation of it."""
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {section.title}\n\n" + "\n".join(section.pages) + "\n```\n"
        for section in sections(folder)
    )


def title(folder: Path, page: str) -> str:
    found = re.search(r"^# (.+)$", (folder / f"{page}.md").read_text(encoding="utf-8"), re.M)
    assert found, f"{page}.md has no title"
    return found[1]


def _pages(folder: Path, name: str) -> list[str]:
    if (folder / name).is_dir():
        return sorted(f"{name}/{path.stem}" for path in (folder / name).glob("*.md"))
    return [name] if (folder / f"{name}.md").exists() else []
