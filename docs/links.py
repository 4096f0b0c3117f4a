"""Links that leave the folder of the pages, as the site has them. In the repository they are plain relative links."""

import re
from pathlib import Path
from typing import Final

LINK: Final = re.compile(r"\[([^\[\]]+)\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")


def kept(text: str, page: Path, folder: Path) -> str:
    """The text of a page in which a link to a file outside `folder` is a download, one to a folder there its name.

    A link to what is not there stays as it is, so that Sphinx complains.
    """

    def one(found: re.Match[str]) -> str:
        target = (page.parent / found[2]).resolve()
        if target.is_relative_to(folder) or not target.exists():
            return found[0]
        return found[1] if target.is_dir() else f"[{found[1]}](<path:{found[2]}>)"

    return LINK.sub(one, text)
