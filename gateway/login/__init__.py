"""The login APIs: each a codec from calls to the identity core's verbs and back. No store, no decision, no socket."""
