"""Tells when the files of the configuration have changed: looked at once a second, as a change need not be an event.

A volume of Kubernetes swaps a symbolic link, an editor renames a file into the place of the old one, a network drive
tells nobody: what a path leads to is compared, not what happened to it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.settings.files import Recorder
from gateway.settings.seen import Seen

LOOK_SECONDS = 1.0


class Watch:
    """seen: of the configuration that runs."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._unsettled: Seen | None = None

    @contextmanager
    def reading(self) -> Iterator[Recorder]:
        """The configuration is read again with it: from then on those files are looked at, whatever comes of it."""
        recorder = Recorder()
        try:
            yield recorder
        finally:
            self._seen = recorder.seen

    async def run(self, changed: Callable[[], object], wanted: Callable[[], bool]) -> None:
        """For ever. changed: called as `look` says. wanted: whether to look."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if wanted() and await self.look():
                changed()

    async def look(self) -> bool:
        """Whether they have changed, stayed the same for two looks, and none is open for writing."""
        seen = self._seen
        now = await asyncio.to_thread(seen.again)
        if seen is not self._seen or now == seen:
            self._unsettled = None
        elif now != self._unsettled or await asyncio.to_thread(seen.unfinished, now):
            self._unsettled = now
        else:
            self._unsettled = None
            self._seen = now  # if it is refused, it is so once
            return True
        return False
