"""Which kubectl the tests run, and what they do without one."""

from pathlib import Path

import pytest

from .cluster import kubectl
from .kubectl import OtherProgramError, write


def test_another_program_is_not_put_there(tmp_path: Path) -> None:
    """A package's release is named by its version alone."""
    with pytest.raises(OtherProgramError, match="digest"):
        write(b"\x7fELF of somebody", tmp_path / "kubectl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("machine", "end"), [("x86_64", pytest.fail.Exception), ("aarch64", pytest.skip.Exception)])
def test_without_kubectl_nothing_passes_quietly(
    machine: str, end: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where everything is installed on purpose it is a fault, unless there is nothing to install for this machine."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GATEWAY_CI", "1")
    with pytest.raises(end, match="kubectl"):
        kubectl(machine, tmp_path)
