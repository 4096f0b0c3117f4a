"""`python -m docs`: writes the pages that are derived from the source. A test holds them to it."""

from docs.contents import FOLDER
from docs.written import pages

for name, text in pages().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
