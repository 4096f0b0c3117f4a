"""`gateway init`: a folder that a gateway can run from. What is there already is kept."""

import asyncio
import base64
import os
from pathlib import Path

import click

from gateway.cli.migrate import prepare
from gateway.cli.options import Misuse, chosen_config, shared
from gateway.cli.shared import emit
from gateway.clock import Clock
from gateway.settings.load import load

KEY_BYTES = 32

FIRST_CONFIG = """\
# Every key, its default and what it does: config.example.yaml. Check a change with `gateway check`.
public_url: http://localhost:8080
listen: { address: 127.0.0.1:8080 }
admin: { address: 127.0.0.1:9901, token: { file: var/admin.token } }
store: { url: sqlite:///var/gateway.db }
secrets: { master_key: { file: var/master.key } }

# Where requests go, and who may send them. Nothing is routed yet; for instance:
#
# upstreams:
#   orders: { endpoints: [http://127.0.0.1:9001] }
# routes:
#   - { path: /orders/**, methods: [GET], upstream: orders, access: public }
#   - path: /orders/**
#     methods: [POST, PUT]
#     upstream: orders
#     access: { roles: [{ role: manager, permission: write }] }
"""


@click.command()
@shared
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Where; the current folder by default.")
def init(folder: Path | None) -> None:
    """Write var/master.key, var/admin.token, config.yaml and an empty database."""
    config = chosen_config(click.get_current_context())
    if folder is not None and config is not None:
        raise click.UsageError("-c names a file in its own folder: leave --dir out")
    config = config or (folder or Path()) / "config.yaml"
    try:
        made = write_files(config)
    except OSError as error:
        raise Misuse(f"{error.filename}: {error.strerror}") from error
    found = load(config, os.environ).settings
    migrated = asyncio.run(prepare(found))
    emit(
        {
            "created": [str(path) for path, fresh in made.items() if fresh],
            "kept": [str(path) for path, fresh in made.items() if not fresh],
            "store": found.store.url,
            "revision": migrated["to"],
        }
    )


def write_files(config: Path) -> dict[Path, bool]:
    """Each file, and whether it is new. Secrets are for their owner's eyes only from the moment they exist."""
    folder = config.parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "var").mkdir(mode=0o700, exist_ok=True)
    random = Clock().token_bytes
    contents = {
        folder / "var" / "master.key": (base64.b64encode(random(KEY_BYTES)).decode() + "\n", 0o600),
        folder / "var" / "admin.token": (base64.urlsafe_b64encode(random(KEY_BYTES)).decode() + "\n", 0o600),
        config: (FIRST_CONFIG, 0o644),
    }
    return {path: write_new(path, text, mode) for path, (text, mode) in contents.items()}


def write_new(path: Path, text: str, mode: int) -> bool:
    """False, and the file as it was, when there is one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return True
