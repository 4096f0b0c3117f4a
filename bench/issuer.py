"""The issuer of the bench's tokens: one RSA and one Ed25519 key, served as JWKS on loopback and as files for peers."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.processes import LOOPBACK

AUDIENCE = "gateway"
SUBJECT = "bench-caller"
EMAIL = "caller@bench.example"
LIFETIME = 24 * 3600  # seconds; no token of a run expires in it
Key = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def _number(value: int) -> str:
    """base64url of the big-endian bytes, unpadded (RFC 7518 section 6.3.1)."""
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()


class Issuer:
    """Serves its keys while the `with` block lasts."""

    def __init__(self) -> None:
        rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._keys: dict[str, Key] = {"RS256": rsa_key, "EdDSA": ed25519.Ed25519PrivateKey.generate()}
        self._rsa_public = rsa_key.public_key()
        self._minted = 0
        self.jwks = self._jwks()
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def mint(self, algorithm: str = "RS256") -> str:
        """A token that was never seen before: its `jti` is the next number."""
        self._minted += 1
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": SUBJECT, "email": EMAIL, "email_verified": True}
        claims |= {"iat": now, "exp": now + LIFETIME, "jti": f"{self._minted:08}"}
        return jwt.encode(claims, self._keys[algorithm], algorithm=algorithm, headers={"kid": algorithm})

    def write_keys(self, folder: Path) -> None:
        """`pub.pem` for HAProxy and `jwks.json` for Envoy."""
        pem = self._rsa_public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / "pub.pem").write_bytes(pem)
        (folder / "jwks.json").write_bytes(self.jwks)

    def _jwks(self) -> bytes:
        numbers = self._rsa_public.public_numbers()
        point = self._keys["EdDSA"].public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = base64.urlsafe_b64encode(point).rstrip(b"=").decode()
        keys = [
            {"kty": "RSA", "kid": "RS256", "alg": "RS256", "n": _number(numbers.n), "e": _number(numbers.e)},
            {"kty": "OKP", "kid": "EdDSA", "alg": "EdDSA", "crv": "Ed25519", "x": x},
        ]
        return json.dumps({"keys": [key | {"use": "sig"} for key in keys]}).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        body = self.jwks

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Silent: the table is what the bench prints."""

        return Handler
