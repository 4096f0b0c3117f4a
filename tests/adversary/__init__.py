"""Attacks that any authenticating gateway can be tried with, over raw sockets: `python -m adversary --help`, in the folder
`tests`.

It knows three things: what it sent, what came back, and what reached the recording upstream (`upstream.py`). The cases
are numbered by the rule that they prove; docs/security.md has the rules. It needs nothing but Python's standard
library, and `cryptography` where tokens are to be signed.
"""
