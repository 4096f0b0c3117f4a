"""The parts of a JWS (RFC 7515 section 3.1)."""

import base64


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def joined(*parts: bytes) -> bytes:
    return b".".join(parts)
