"""Alembic's environment and the revisions, shipped in the wheel; run by `store/schema.py`."""
