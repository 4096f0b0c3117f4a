"""Somebody whose tokens a gateway under test trusts: a key, and the key set that is served on loopback."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from .base64url import b64
from .tokens import Signer

AUDIENCE = "gateway"
KID = "adversary"


class Issuer:
    """jwks: its public key, as a set. Serves it while the `with` block lasts."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._key.public_key().public_numbers()
        modulus = b64(numbers.n.to_bytes(256)).decode()
        key = {"kty": "RSA", "kid": KID, "alg": "RS256", "use": "sig", "n": modulus, "e": "AQAB"}
        self.jwks = json.dumps({"keys": [key]}).encode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _serving(self.jwks))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def pem(self) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public_pem(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def claims(self) -> dict[str, object]:
        now = int(time.time())
        told = {"iss": self.url, "aud": AUDIENCE, "sub": "caller", "email": "caller@example.org"}
        return told | {"email_verified": True, "iat": now, "exp": now + 3600}

    @property
    def jose(self) -> dict[str, str]:
        return {"kid": KID, "typ": "JWT"}

    @property
    def token(self) -> str:
        return Signer(self.pem, self.jose, self.claims).token().decode()

    def arguments(self, folder: Path) -> list[str]:
        """What the suite's command line is told of it. The key is written into the folder."""
        path = folder / "adversary.pem"
        path.write_bytes(self.pem)
        said = ["--credential", f"Authorization: Bearer {self.token}", "--key", str(path)]
        return [*said, "--claims", json.dumps(self.claims), "--jose", json.dumps(self.jose)]


def _serving(body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class calls it so
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    return Handler
