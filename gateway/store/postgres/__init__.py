"""PostgreSQL, for several workers or machines: how it is reached, read, written to and kept. The home of asyncpg."""
