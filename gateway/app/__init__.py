"""The composition root: settings in, running gateway out. The only place where objects meet."""

from gateway.app.checks import compile_faults
from gateway.app.gateway import Gateway
from gateway.app.opening import StartFailed

__all__ = ["Gateway", "StartFailed", "compile_faults"]
