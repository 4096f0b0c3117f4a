"""One Chromium for a module's tests would share its state; each has its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from browser.chromium import Browser


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with Browser(tmp_path) as opened:
        yield opened
