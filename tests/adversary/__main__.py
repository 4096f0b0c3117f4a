"""The command line of the suite. Exit code 1 on any violation, 2 where the gateway cannot be tried like this."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from .cases import generated
from .model import Ground, Options, Result
from .report import summary, table
from .running import CannotBeTriedError, run, tried

EPILOG = """\
It takes a recording upstream, the gateway in front of it, and then this:

  python -m adversary.upstream --port 9001 --log requests.jsonl &
  python -m adversary --target http://127.0.0.1:8080 --upstream-log requests.jsonl \\
      --public /public --protected /secure --credential 'Authorization: Bearer ...'

Below the public prefix everything must be let through without a credential, below the protected one nothing.
With --key, tokens of that key are sent, with --claims (and `exp`) and --jose as the gateway wants them.
"""


def options(arguments: Sequence[str]) -> tuple[Options, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        prog="python -m adversary",
        description="Tries attacks of known classes on an authenticating gateway, over raw sockets.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--target", required=True, metavar="URL", help="of the gateway, http://host:port")
    add("--upstream-log", required=True, type=Path, metavar="PATH", help="that the recording upstream behind it writes")
    add("--public", default="/public", metavar="PREFIX", help="of paths that are open to everybody (%(default)s)")
    add("--protected", default="/secure", metavar="PREFIX", help="of paths that take a credential (%(default)s)")
    add("--credential", metavar="LINE", help="a header line that is good there; without it, some cases do not apply")
    add("--identity", action="append", metavar="NAME", help="header that says who calls and that only the gateway may "
        "set; again for more of them, the first is the one that is always there (x-mycelium-profile)")  # fmt: skip
    add("--host", default="gateway.test", metavar="NAME", help="sent as Host (%(default)s)")
    add("--key", type=Path, metavar="PEM", help="private key whose tokens the gateway trusts")
    add("--claims", type=json.loads, default={}, metavar="JSON", help="of a good token of that key")
    add("--jose", type=json.loads, default={}, metavar="JSON", help="header fields of such a token, kid say")
    add("--patience", type=float, default=65.0, metavar="SECONDS", help="that a slow head may take (%(default)s)")
    add("--wait", type=float, default=0.5, metavar="SECONDS", help="of silence that end a connection (%(default)s)")
    add("--at-once", type=int, default=32, metavar="N", help="connections (%(default)s)")
    add("--only", action="append", metavar="RULE", help="cases of this rule alone, S-18 say; again for more")
    add("--json", type=Path, metavar="PATH", help="where every case's result goes")
    given = parser.parse_args(arguments)
    url = urlsplit(given.target)
    if url.scheme != "http" or not url.hostname:
        parser.error("--target must be http://host:port")
    return Options(
        host=url.hostname,
        port=url.port or 80,
        log=given.upstream_log,
        public=given.public.rstrip("/").encode(),
        protected=given.protected.rstrip("/").encode(),
        identities=tuple(name.lower().encode() for name in given.identity or ["x-mycelium-profile"]),
        credential=given.credential.encode() if given.credential else None,
        name=given.host.encode(),
        key=given.key.read_bytes() if given.key else None,
        claims=given.claims,
        jose=given.jose,
        patience=given.patience,
        wait=given.wait,
        at_once=given.at_once,
    ), given


async def results_of(known: Options, only: Sequence[str]) -> list[Result]:
    """Raises CannotBeTriedError."""
    ground = Ground(known, await tried(known))
    return await run([case for case in generated(ground) if not only or case.rule in only], known)


def main(arguments: Sequence[str]) -> int:
    known, given = options(arguments)
    try:
        results = asyncio.run(results_of(known, given.only or ()))
    except (CannotBeTriedError, OSError) as error:
        print(f"cannot be tried: {error}", file=sys.stderr)
        return 2
    if given.json:
        given.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    for result in results:
        if result.verdict != "passed":
            print(f"{result.verdict}: {result.rule} {result.name}: {result.reason}")
    print("\n" + table(results) + "\n" + summary(results))
    return int(any(result.verdict == "failed" for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
