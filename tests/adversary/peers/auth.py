"""The service that a data plane asks who has no verifier of its own: one credential is good, whatever the path."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def answering(credential: str) -> Iterator[int]:
    """Its port. credential: the value of Authorization that is good, where it is the only one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the base class calls it so
            good = self.headers.get_all("Authorization") == [credential]
            self.send_response(200 if good else 401)
            if good:
                self.send_header("x-mycelium-profile", "caller")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def __getattr__(self, name: str) -> object:
            """Whatever the method."""
            if name.startswith("do_"):
                return self.do_GET
            raise AttributeError(name)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
