"""A WSGI application behind the gateway, for gunicorn: tells at /told what it has seen since."""

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

SEEN: list[str] = []
MALFORMED: list[str] = []


class Complaints(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if "Invalid request" in record.getMessage():
            MALFORMED.append(record.getMessage())


logging.getLogger("gunicorn.error").addHandler(Complaints())


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    if environ["RAW_URI"] == "/told":
        body = json.dumps({"seen": SEEN, "malformed": len(MALFORMED)}).encode()
    else:
        SEEN.append(environ["RAW_URI"])
        body = b"%d\n" % len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
