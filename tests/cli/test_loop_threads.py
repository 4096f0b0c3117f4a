"""The threads that names are looked up in."""

import os
import subprocess
import sys

import pytest

COUNT = """
import asyncio, os
from gateway.cli.serve import uvloop_run

async def threads():
    before = len(os.listdir("/proc/self/task"))
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 1, flags=0)
    await asyncio.get_running_loop().getaddrinfo("localhost", 1)
    print(len(os.listdir("/proc/self/task")) - before)

uvloop_run(threads())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists a process's threads in /proc")
@pytest.mark.parametrize(("said", "count"), [({}, 16), ({"UV_THREADPOOL_SIZE": "5"}, 5)])
def test_names_are_looked_up_in_more_threads_than_the_loop_has(said: dict[str, str], count: int) -> None:
    """As many as whoever runs it says, if that was said."""
    environ = {name: value for name, value in os.environ.items() if name != "UV_THREADPOOL_SIZE"} | said
    done = subprocess.run([sys.executable, "-c", COUNT], env=environ, capture_output=True, text=True, check=True)
    assert int(done.stdout) == count
