"""What several nodes share in Redis: counts, news of revocations, issuers' keys. The only home of its client library.

Nothing here is needed to go on: each part has a way to work alone, and takes it by itself while Redis is away.
"""
