"""Links of the pages that the site does not have: README.md and its like lead to files and headings that are there."""

import re
from pathlib import Path

import pytest

from .pages import ROOT

LINKS = [
    (page, link)
    for page in ("README.md", "SECURITY.md", "CHANGELOG.md")
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    if "://" not in link
]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_somewhere(page: str, link: str) -> None:
    """To a file or a folder, and to a heading in it."""
    path, _, anchor = link.partition("#")
    target = ROOT / path if path else ROOT / page
    assert target.exists()
    assert not anchor or anchor in anchors(target)


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub and GitLab name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
