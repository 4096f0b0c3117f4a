"""The database's file: which one a URL names, whether it is there, and whether it is still the same."""

import os
from pathlib import Path

from gateway.errors import DependencyFailed

Inode = tuple[int, int]


def database_path(url: str) -> Path:
    """The file of `sqlite:///relative/or/absolute.db`. Raises DependencyFailed for every other URL."""
    scheme, found, path = url.partition(":///")
    if not found:
        raise DependencyFailed("store_unavailable", "store.url is not like sqlite:///var/gateway.db")
    if scheme != "sqlite":
        raise DependencyFailed("store_unavailable", "store.url: only sqlite:/// is supported")
    if not path or path == ":memory:":
        raise DependencyFailed("store_unavailable", "store.url names no file: write sqlite:///var/gateway.db")
    return Path(path)


def inode(path: Path) -> Inode:
    """Which file this is, whatever its name. Raises DependencyFailed when there is none."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise DependencyFailed(
            "store_unavailable", f"{path}: {error.strerror}; `gateway migrate` makes a database"
        ) from error
    return status.st_dev, status.st_ino


def make_file(path: Path) -> None:
    """An empty file for the gateway's own user alone, unless there is one. Raises DependencyFailed."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise DependencyFailed("store_unavailable", f"{path}: {error.strerror}") from error
