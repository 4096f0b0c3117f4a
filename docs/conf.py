"""Sphinx's own settings. The site refers to nothing outside itself: no fonts, scripts or pictures of others."""

from typing import Any

from sphinx.application import Sphinx

from docs import contents, links

project = "Mycelium gateway"
author = "the authors of the gateway"
copyright = author
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = contents.INDEX
nitpicky = True
exclude_patterns = ["*.py", "__pycache__"]

myst_heading_anchors = 4  # named as GitHub and GitLab name them, so that links work in all three
myst_enable_extensions: list[str] = []  # what plain Markdown does not have is not used

html_theme = "furo"
html_title = project
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["tables.css"]


def read(_: Sphinx, page: str, source: list[str]) -> None:
    """Pages are plain Markdown, for who reads them elsewhere; what the site needs beside that is added here."""
    source[0] = links.kept(source[0], contents.FOLDER / f"{page}.md", contents.FOLDER)
    if page == contents.INDEX:
        source[0] += contents.toctrees()


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
