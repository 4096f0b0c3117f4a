"""Files for the loader, written where the test says."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gateway.settings.faults import Fault, SettingsInvalid
from gateway.settings.load import Loaded, load

Load = Callable[..., Loaded]
Faults = Callable[..., list[Fault]]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Load this text as config.yaml."""

    def run(text: str, environ: Mapping[str, str] | None = None) -> Loaded:
        (tmp_path / "config.yaml").write_text(text)
        return load(tmp_path / "config.yaml", environ or {})

    return run


@pytest.fixture
def faults(loaded: Load) -> Faults:
    """The faults of this text; none means that the test fails."""

    def run(text: str, environ: Mapping[str, str] | None = None) -> list[Fault]:
        with pytest.raises(SettingsInvalid) as caught:
            loaded(text, environ)
        return caught.value.faults

    return run
