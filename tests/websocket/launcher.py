"""Starts Autobahn's suite; for Python 2.7. `launcher.py SITE ARGUMENTS`: SITE is the folder with its packages.

It imports Twisted's TLS, which needs pyOpenSSL, and makes a context of it even for ws://; it gets an empty one.
"""

import sys
import types

if __name__ == "__main__":
    sys.path.insert(0, sys.argv.pop(1))
    import twisted.internet

    tls = types.ModuleType("twisted.internet.ssl")
    tls.ClientContextFactory = object
    twisted.internet.ssl = sys.modules["twisted.internet.ssl"] = tls
    from autobahntestsuite.wstest import run

    run()
