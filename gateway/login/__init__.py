"""The login APIs: each a codec from calls to the identity core's verbs and back. No store, no decision, no socket.

Their seeds, as comments call them, are the documents that they follow, each a system's own page on authentication:
1 Mycelium, 2 Mployr, 3 MikroCloud, 4 Pipelit, 5 Navak.
"""
