"""Attacks that any authenticating gateway can be tried with, over raw sockets: in the folder `tests`,

    python -m adversary --help

It knows three things: what it sent, what came back, and what reached the recording upstream (`upstream.py`). The cases
are numbered by the rule that they prove; docs/security.md has the rules. It needs nothing but Python's standard
library, and `cryptography` where tokens are to be signed. What it needs to be told of a gateway is in `--help`.
"""
