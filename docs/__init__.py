"""How the site is made from the pages beside this file: `make docs` builds it, `python -m docs` writes what is derived.

Nothing of the gateway itself is here, and the wheel does not have it.
"""
