"""Where the store is: a file of SQLite, or a PostgreSQL server. Read here so that a fault has its place in the file;
`store` reads it again.
"""

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, urlsplit

POSTGRES = "postgresql+asyncpg://"
WANTED = "write sqlite:///PATH or postgresql+asyncpg://USER@HOST:PORT/NAME"
MODES = ("disable", "require", "verify-ca", "verify-full")
FILES = ("sslrootcert", "sslcert", "sslkey")
_OTHER_POSTGRES = re.compile(r"postgres(?:ql)?(?:\+[a-z0-9]+)?://")
_SERVER = re.compile(
    r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,190}@"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})?(?::(?P<port>[0-9]{1,5}))?"
    r"/(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,190}(?:\?(?P<query>[!-~]*))?"
)


def store_url(text: str, placed: Callable[[str], object] = str) -> str:
    """`sqlite:///relative/path` or `sqlite:////absolute/path`; `postgresql+asyncpg://USER@HOST:PORT/NAME`, with
    `?host=/DIRECTORY` for a Unix socket, and `sslmode`, `sslrootcert`, `sslcert`, `sslkey`.

    placed: makes a path absolute. Raises ValueError, whose text does not repeat this one: a password may be in it.
    """
    if text.startswith("sqlite"):
        return f"sqlite:///{placed(_sqlite_path(text))}"
    if text.startswith(POSTGRES):
        return _postgres_url(text, placed)
    if _OTHER_POSTGRES.match(text):
        raise ValueError("write postgresql+asyncpg:// in the place of what stands before the user")
    raise ValueError(f"this is no store that is known: {WANTED}")


def named_files(url: str) -> dict[str, str]:
    """Paths by sslrootcert, sslcert and sslkey, of what `store_url` returned."""
    said = dict(parse_qsl(urlsplit(url).query)) if url.startswith(POSTGRES) else {}
    return {name: said[name] for name in FILES if name in said}


def _sqlite_path(text: str) -> str:
    scheme, found, path = text.partition(":///")
    if scheme != "sqlite" or not found or not path or path.endswith("/") or path.startswith(":"):
        raise ValueError("write sqlite:///PATH, relative to the configuration file, or sqlite:////PATH from the root")
    if re.search(r"[?#%\x00-\x1f\x7f]", path):
        raise ValueError("the store's path has no ?, #, % and no control characters")
    return path


def _postgres_url(text: str, placed: Callable[[str], object]) -> str:
    server = text.removeprefix(POSTGRES)
    if ":" in server.partition("@")[0]:
        raise ValueError("a password is never in the url; write password: { env: NAME } or { file: path } beside it")
    found = _SERVER.fullmatch(server)
    if not found or not 0 < int(found["port"] or 1) <= 65535:
        raise ValueError(f"the store's url cannot be read: write {POSTGRES}USER@HOST:PORT/NAME")
    said = _options(found["query"] or "")
    if not found["host"] and "host" not in said:
        raise ValueError("name a host, or the directory of a Unix socket: ...@/NAME?host=/run/postgresql")
    if found["host"] and "host" in said:
        raise ValueError("the url has a server's name and the directory of a socket: write one of the two")
    for name in said.keys() & set(FILES):
        said[name] = str(placed(said[name]))
    query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in said.items())
    return urlsplit(text)._replace(query=query).geturl()


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    said = dict(pairs)
    if len(said) != len(pairs) or said.keys() - {"host", "sslmode", *FILES} or not all(said.values()):
        raise ValueError(f"after ? the store's url has host, sslmode, {', '.join(FILES)}, each once and with a value")
    if not said.get("host", "/").startswith("/"):
        raise ValueError("?host= is the absolute directory of a Unix socket; a server's name stands before the port")
    if said.get("sslmode", MODES[0]) not in MODES:
        raise ValueError(f"sslmode is one of {', '.join(MODES)}")
    if said.get("sslmode") == MODES[0] and said.keys() & set(FILES):
        raise ValueError(f"with sslmode=disable nobody looks at {', '.join(FILES)}: leave out one or the other")
    if ("sslkey" in said) and ("sslcert" not in said):
        raise ValueError("sslkey goes with sslcert")
    return said
