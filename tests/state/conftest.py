"""Real Redis servers: see `harness.redis`."""

from harness.fixtures import people, pytest_asyncio_loop_factories, redis_server, servers, site

__all__ = ["people", "pytest_asyncio_loop_factories", "redis_server", "servers", "site"]
