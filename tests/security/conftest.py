"""Real sockets and raw bytes: see `harness`. The identity core without them: see `identity.core`."""

from harness.fixtures import people, pytest_asyncio_loop_factories, site
from identity.core.conftest import core, limited, settled, settled_url

__all__ = ["core", "limited", "people", "pytest_asyncio_loop_factories", "settled", "settled_url", "site"]
