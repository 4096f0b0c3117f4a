"""Where the demo is, as written in demo.yaml, which people read; a test or a second demo takes other ports."""

from typing import Final

GATEWAY: Final = "127.0.0.1:8080"
ADMIN: Final = "127.0.0.1:9901"
ECHO: Final = "127.0.0.1:9001"
