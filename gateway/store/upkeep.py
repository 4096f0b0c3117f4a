"""What is written now and then for nobody in particular: when grants were used, and what is too old to keep.

The same for both engines, which run it in `sqlite/upkeep.py` and `postgres/upkeep.py`, without SQLAlchemy.
"""

from collections.abc import Mapping, Sequence

SESSIONS_KEPT = 30 * 86400.0  # longer than challenges, for whoever asks how somebody got in

Work = tuple[str, Sequence[tuple[object, ...]]]  # a statement, and the values of each of its runs

_PRUNE = "DELETE FROM revocation WHERE at < {mark}1"
_FORGET = "DELETE FROM challenge WHERE id IN (SELECT id FROM challenge WHERE expires_at < {mark}1 {passing})"
# connection strings stay: their digests keep a revoked one from being made again
_ENDED = """
  DELETE FROM grant_ WHERE id IN (
    SELECT id FROM grant_ WHERE kind <> 'connection' AND (expires_at < {mark}1 OR revoked_at < {mark}1) {passing})
"""
_TOUCH = "UPDATE grant_ SET last_used_at = {mark}1 WHERE id = {mark}2 AND coalesce(last_used_at, 0) < {mark}1"


class Book:
    """mark: what a parameter's number stands behind. passing: how a deletion passes over what others hold."""

    def __init__(self, mark: str, passing: str = "") -> None:
        self._prune, self._forget, self._ended, self._touch = (
            text.format(mark=mark, passing=passing) for text in (_PRUNE, _FORGET, _ENDED, _TOUCH)
        )

    def prune(self, before: float) -> Sequence[Work]:
        """Delete revocations written before this, in seconds since the epoch."""
        return [(self._prune, [(before,)])]

    def forget(self, before: float) -> Sequence[Work]:
        """Delete challenges that ended before this, and sessions that ended a month before."""
        return [(self._forget, [(before,)]), (self._ended, [(before - SESSIONS_KEPT,)])]

    def touch(self, used: Mapping[str, float]) -> Sequence[Work]:
        """used: when each grant was seen last, by id. Written in the order of ids, as `store.locks` has it."""
        return [(self._touch, [(at, grant_id) for grant_id, at in sorted(used.items())])]
