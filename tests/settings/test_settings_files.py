"""A copy of the configuration's files says what the files said, whatever becomes of them."""

from pathlib import Path

import pytest

from gateway.settings.faults import SettingsInvalid
from gateway.settings.files import Recorder, packed, unpacked
from gateway.settings.load import load


def test_a_copy_is_read_as_the_disk_was(tmp_path: Path) -> None:
    """Includes and globs too."""
    main, more = tmp_path / "config.yaml", tmp_path / "more.d"
    more.mkdir()
    main.write_text("include: [more.d/*.yaml]\ncache: { size: 500 }\n")
    (more / "a.yaml").write_text("log: { level: error }\n")
    recorder = Recorder()
    load(main, {}, recorder)
    main.write_text("nonsense")
    (more / "b.yaml").write_text("nonsense")
    settings = load(main, {}, unpacked(packed(recorder))).settings
    assert (settings.cache.size, settings.log.level) == (500, "error")


def test_what_is_not_in_the_copy_is_a_fault(tmp_path: Path) -> None:
    """The disk is not asked."""
    main = tmp_path / "config.yaml"
    main.write_text("")
    with pytest.raises(SettingsInvalid) as caught:
        load(main, {}, unpacked(packed(Recorder())))
    assert [fault.code for fault in caught.value.faults] == ["file_missing"]


@pytest.mark.parametrize(
    ("state", "right"), [("", False), ("state: { url: memory }", False), ("state: { url: redis://localhost }", True)]
)
def test_several_workers_need_a_shared_state(tmp_path: Path, state: str, right: bool) -> None:
    """The fault stands at the number, and says what to write."""
    main = tmp_path / "config.yaml"
    main.write_text(f"listen: {{ workers: 2 }}\n{state}\n")
    if right:
        assert load(main, {}).settings.listen.workers == 2
        return
    with pytest.raises(SettingsInvalid) as caught:
        load(main, {})
    (fault,) = caught.value.faults
    assert (fault.line, fault.column, "state: { url: redis://" in fault.message) == (1, 20, True)


@pytest.mark.parametrize(("workers", "right"), [(0, False), (1, True), (64, True), (65, False)])
def test_workers_are_from_1_to_64(tmp_path: Path, workers: int, right: bool) -> None:
    """Both bounds."""
    main = tmp_path / "config.yaml"
    main.write_text(f"listen: {{ workers: {workers} }}\nstate: {{ url: redis://localhost }}\n")
    if right:
        load(main, {})
    else:
        with pytest.raises(SettingsInvalid):
            load(main, {})
