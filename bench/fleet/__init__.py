"""Several gateways with several workers each, over one PostgreSQL and one Redis, behind HAProxy.

What a fleet costs beside what the arithmetic of docs/scale.md says, and what faults cost its callers: `make fleet`.
"""
