"""`docs/limits.md`, as its reader types it, and the limit of two machines with one Redis.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into the document instead.
"""

import os
import re
from pathlib import Path

import yaml
from harness.redis import Servers

from . import world
from .parts import program, until
from .transcripts import Shell, replayed
from .world import PROGRAM, Home

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/limits.md"
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"
CONFIG = re.compile(r"^```yaml\n(.*?)^```$", re.M | re.S)


def test_the_pages_lines_get_the_answers_that_it_shows(home: Home, service: int) -> None:
    """With the configuration that it shows, in front of a real service."""
    for needed in ("curl", "bash"):
        program(needed)
    shown = PAGE.read_text(encoding="utf-8")
    (config,) = CONFIG.findall(shown)
    said = {**world.configuration({"app": service}), "routes": yaml.safe_load(config)["routes"]}
    environ = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with world.running(home, said) as gateway:
        given = {"TOKEN": lambda: home.ada.token}
        with Shell(home.folder, gateway.url.removeprefix("http://"), given, environ) as shell:
            got = replayed(shown, shell)
    if WRITE:
        PAGE.write_text(got, encoding="utf-8")
    else:
        assert got == shown


def test_two_machines_hold_one_limit(home: Home, service: int, tmp_path: Path) -> None:
    """Two processes of the program with one Redis: what one let through, the other has not any more."""
    servers = Servers(tmp_path)
    rate = {"by": "address", "at_most": 20, "in": "1h"}
    route = {"path": "/few/**", "upstream": "app", "access": "public", "limits": {"rate": [rate]}}
    try:
        state = {"url": servers.single().url}
        other = home.copy(tmp_path / "other")
        said = [world.configuration({"app": service}, routes=[route], state=state) for _ in range(2)]
        with world.running(home, said[0]) as a, world.running(other, said[1]) as b:
            assert [a.ask("/few/x").status for _ in range(21)].count(429) == 1
            passed = 0

            def refused() -> bool:
                nonlocal passed
                status = b.ask("/few/x").status
                passed += status != 429
                return status == 429

            until(refused, "the other machine's count")
            assert passed <= 20
            assert {each.ask("/few/x").status for each in (a, b)} == {429}
            assert b.metric("gateway_limit_keys") == 1
    finally:
        servers.close()
