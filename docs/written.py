"""The pages that are derived: the index, every key of the configuration, every command. Each by its file's name."""

from collections.abc import Mapping
from typing import Final

from docs import commands, configuration, contents

NOTE: Final = "<!-- Written by `python -m docs`; a change by hand is lost. -->\n\n"


def pages() -> Mapping[str, str]:
    return {
        f"{contents.INDEX}.md": NOTE + contents.index(),
        "configuration.md": NOTE + configuration.page(),
        "command-line.md": NOTE + commands.page(),
    }
