"""Counters are tested in Redis too: see `harness.redis`."""

from harness.fixtures import redis_server

__all__ = ["redis_server"]
