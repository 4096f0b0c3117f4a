"""The fixtures that every folder may use, servers that are started once for all tests, and the end of a hung test."""

import asyncio
import faulthandler
import inspect
import os
from collections.abc import Awaitable, Callable, Generator
from functools import wraps

import pytest
from harness.postgres import patient, postgres
from hypothesis import HealthCheck, settings

__all__ = ["patient", "postgres"]

# What is slow says something of the machine: tests have bounds of their own.
settings.register_profile("gateway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gateway")

HANGS = 90.0  # seconds beyond its own time limit after which a phase of a test ends its process
ERRORS = pytest.StashKey[int]()  # a descriptor: while a test runs, pytest has a file in the place of the process's own


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[ERRORS] = os.dup(2)
    if terminal := config.pluginmanager.getplugin("terminalreporter"):
        config.pluginmanager.register(_Failures(terminal))


class _Failures:
    """A failure is told when it happens: a run that is killed later has no summary."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._terminal.write_line(f"\n{report.when or 'run'} of {report.nodeid} failed")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _guarded(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _guarded(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _guarded(item))


def _guarded(item: pytest.Item) -> Generator[None, object, object]:
    """pytest-timeout ends a test by an exception from a handler of a signal. What is closing a loop of uvloop does not
    get to Python to hear of it, and uvloop itself reports it and goes on. A thread that needs no Python exits then."""
    if not (limit := _limit(item)):
        return (yield)
    faulthandler.dump_traceback_later(limit + HANGS, exit=True, file=item.config.stash[ERRORS])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A coroutine is cancelled within its time: the failure shows where it waited, and everything is stopped."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj) and _limit(item):
            item.obj = _within(0.9 * _limit(item), item.obj)


def _within(seconds: float, work: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    @wraps(work)
    async def limited(*args: object, **kwargs: object) -> object:
        async with asyncio.timeout(seconds):
            return await work(*args, **kwargs)

    return limited


def _limit(item: pytest.Item) -> float:
    """Seconds; 0 for none."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker else item.config.getini("timeout"))
