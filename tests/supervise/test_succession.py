"""A signal that comes between two images of a supervisor."""

import subprocess
import sys

HELD = """import asyncio, os, signal
from gateway.supervise import succession

async def main():
    asyncio.get_running_loop().set_default_executor(succession.threads())
    heard = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.set)
    await asyncio.to_thread(int)
    await succession.hold()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.to_thread(int)  # the thread has run since: it would have taken it
    assert signal.SIGTERM in signal.sigpending(), "a thread took it"
    succession.release()
    await heard.wait()

asyncio.run(main())
"""


def test_a_signal_that_is_held_waits_for_the_next_image() -> None:
    """No thread of the old one takes it; pending signals outlive execve(2)."""
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
