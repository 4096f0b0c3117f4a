"""The login API of Mployr (seed 2, its page `Authentication`): its paths, its envelopes, its counting of calls."""

from gateway.login.mployr.dialect import build

__all__ = ["build"]
