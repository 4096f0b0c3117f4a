"""The fixtures that every folder may use: servers that are started once for all tests."""

from harness.postgres import patient, postgres

__all__ = ["patient", "postgres"]
