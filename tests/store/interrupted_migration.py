"""A program of its own that migrates a database and ends at one of its statements.

Arguments: the database's URL, the number of the statement (from 1) and the name of the signal. Exits with 0 when there
are fewer.
"""

import asyncio
import os
import signal
import sys
from itertools import count

from sqlalchemy import Engine, event

from gateway.store import schema


def main() -> None:
    url, last, how = sys.argv[1], int(sys.argv[2]), signal.Signals[sys.argv[3]]
    numbers = count(1)

    @event.listens_for(Engine, "before_cursor_execute")
    def executed(*_: object) -> None:
        if next(numbers) == last:
            os.kill(os.getpid(), how)

    asyncio.run(schema.migrate(url))


if __name__ == "__main__":
    main()
