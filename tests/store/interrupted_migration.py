"""A program of its own that migrates a database and ends at one of its statements.

Arguments: the database's URL, the number of the statement (from 1) and the name of the signal. Exits with 0 when there
are fewer.
"""

import asyncio
import sys

from interrupted import end_at

from gateway.store import schema

if __name__ == "__main__":
    end_at(int(sys.argv[2]), sys.argv[3])
    asyncio.run(schema.migrate(sys.argv[1]))
