"""Real sockets and raw bytes: see `harness`."""

from harness.fixtures import people, pytest_asyncio_loop_factories, site

__all__ = ["people", "pytest_asyncio_loop_factories", "site"]
