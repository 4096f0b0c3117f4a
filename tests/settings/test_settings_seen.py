"""Whether a configuration would be another one now: told by its files, however they are changed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.settings.faults import SettingsInvalid
from gateway.settings.files import Recorder
from gateway.settings.load import load
from gateway.settings.seen import Seen


def read(folder: Path) -> Seen:
    recorder = Recorder()
    load(folder / "config.yaml", {}, recorder)
    return recorder.seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with everything that can be another file."""
    (tmp_path / "more.d").mkdir()
    (tmp_path / "more.d/a.yaml").write_text("log: { level: error }\n")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/layout.html").write_text("one")
    for name in ("token", "cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).write_text("one\n")
    (tmp_path / "config.yaml").write_text(
        "include: [more.d/*.yaml]\nadmin: { token: { file: token } }\nmail: { templates: templates }\n"
        "listen: { tls: { cert: cert.pem, key: key.pem } }\nlog: { access: ./access.log }\n"
        "upstreams: { app: { endpoints: ['https://127.0.0.1:1'], tls: { ca: ca.pem } } }\n"
    )
    return tmp_path


def written(path: Path) -> None:
    """More than before: a file system may count its time in steps of milliseconds."""
    path.write_text(path.read_text() + "\n")


def replaced(path: Path) -> None:
    """The same text, as an editor and a certificate's renewal put it: a rename over the old one."""
    new = path.with_name("new~")
    new.write_text(path.read_text())
    os.replace(new, path)


@pytest.mark.parametrize("change", [written, replaced, Path.unlink])
@pytest.mark.parametrize(
    "name", ["config.yaml", "more.d/a.yaml", "token", "cert.pem", "key.pem", "ca.pem", "templates/layout.html"]
)
def test_each_file_counts(folder: Path, name: str, change: Callable[[Path], None]) -> None:
    """What was included, and what is only named."""
    seen = read(folder)
    assert seen.again() == seen
    change(folder / name)
    assert seen.again() != seen


@pytest.mark.parametrize("name", ["more.d/b.yaml", "templates/more.html"])
def test_a_file_that_came_counts(folder: Path, name: str) -> None:
    """A glob matches it, or a folder has it."""
    seen = read(folder)
    (folder / name).write_text("")
    assert seen.again() != seen


@pytest.mark.parametrize("name", ["access.log", "more.d/b.txt", "other.yaml"])
def test_other_files_do_not_count(folder: Path, name: str) -> None:
    """The access log grows with each request."""
    seen = read(folder)
    (folder / name).write_text("")
    assert seen.again() == seen


def test_a_swapped_link_counts(tmp_path: Path) -> None:
    """Kubernetes mounts a ConfigMap as links through `..data`, which it swaps."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "config.yaml").write_text("cache: { size: 500 }\n")
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    seen = read(tmp_path)
    (tmp_path / "new").symlink_to("two")
    os.replace(tmp_path / "new", tmp_path / "..data")
    assert seen.again() != seen


@pytest.mark.parametrize("missing", ["config.yaml", "more.d/gone.yaml", "token"])
def test_a_file_that_was_missing_counts_once_it_is_there(tmp_path: Path, missing: str) -> None:
    """The configuration was refused for its sake."""
    (tmp_path / "more.d").mkdir()
    if missing != "config.yaml":
        (tmp_path / "config.yaml").write_text("include: [more.d/gone.yaml]\nadmin: { token: { file: token } }\n")
    if missing == "token":
        (tmp_path / "more.d/gone.yaml").write_text("{}")
    recorder = Recorder()
    with pytest.raises(SettingsInvalid):
        load(tmp_path / "config.yaml", {}, recorder)
    (tmp_path / missing).write_text("one")
    assert recorder.seen.again() != recorder.seen
