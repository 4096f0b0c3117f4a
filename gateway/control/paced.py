"""What the built-in application does goes on step by step, a few in each turn of the event loop: whoever is proxied
waits for one of them, not for those of all who log in.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Final, cast

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Turn = Callable[[], Awaitable[None]]

TURN: Final[web.AppKey[Turn]] = web.AppKey("turn")


def paced(application: web.Application, turns: Callable[[], Turn]) -> None:
    """turns: makes, where the loop runs, what waits until this turn of the loop has room for another step."""

    async def begin(application: web.Application) -> None:
        application[TURN] = turns()

    application.on_startup.append(begin)
    application.middlewares.insert(0, _in_steps)


@web.middleware
async def _in_steps(request: web.Request, handler: Handler) -> web.StreamResponse:
    return await Steps(handler(request), request.app[TURN])


class Steps:
    """Awaits what it is given, and takes a turn whenever that goes on after it has waited for something."""

    __slots__ = ("_awaited", "_turn")

    def __init__(self, awaited: Awaitable[web.StreamResponse], turn: Turn) -> None:
        self._awaited = awaited
        self._turn = turn

    def __await__(self) -> Generator[object, None, web.StreamResponse]:
        steps, fault = self._awaited.__await__(), None
        while True:
            try:
                waits_for = next(steps) if fault is None else steps.throw(fault)
            except StopIteration as end:
                return cast(web.StreamResponse, end.value)
            fault = None
            try:
                yield waits_for
                yield from self._turn().__await__()
            except BaseException as error:  # a cancellation, mostly: it is for what is awaited to deal with
                fault = error
