"""A file that is no configuration is not shown to whoever has it included: it may be a secret's."""

from pathlib import Path

import pytest

from gateway.settings.faults import SettingsInvalid, render
from gateway.settings.load import load

SECRET = "k7RVKn3-of-this-test"


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"{SECRET}\n",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}: a: b\n",
        f"[{SECRET}",
        f"- {SECRET}: a: b",
        f"'{SECRET}",
    ],
)
def test_no_line_of_another_file_is_shown(tmp_path: Path, text: str) -> None:
    """Its place is, and what is wrong with it."""
    (tmp_path / "config.yaml").write_text("include: [secret]\n")
    (tmp_path / "secret").write_text(text)
    with pytest.raises(SettingsInvalid) as caught:
        load(tmp_path / "config.yaml", {})
    told = "\n".join(map(render, caught.value.faults))
    assert "secret:" in told
    assert SECRET not in told


def test_the_line_of_a_configuration_is_shown(tmp_path: Path) -> None:
    """After comments, too."""
    (tmp_path / "config.yaml").write_text("# words\n\ncache: { sise: 1 }\n  nonsense")
    with pytest.raises(SettingsInvalid) as caught:
        load(tmp_path / "config.yaml", {})
    assert "nonsense" in "\n".join(map(render, caught.value.faults))
