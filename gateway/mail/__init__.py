"""Mails: how a letter looks, and how it gets to a server. Never inside a request: the outbox is drained beside them."""
