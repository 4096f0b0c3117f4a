"""Every `await` of chosen modules becomes a place where a fault can strike. They are found in the source, so that one
which is written tomorrow is such a place too.

What is waited for is wrapped by a rewriting of the syntax tree: `await x` becomes `await strike(number, x)`, `async
with` and `async for` likewise. A fault strikes *before* (what was waited for has failed, and did nothing) or *after*
(it has done its work, and its result is lost: so it is for a task that is cancelled in the very turn of the loop in
which its future is done). After a coroutine of these modules none can: no turn of the loop is in between.
"""

import ast
import asyncio
import dis
import inspect
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final, Literal

import gateway

_PACKAGE: Final = f"{Path(gateway.__file__).parent}/"
_WAITS: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_HOOKS: Final = {ast.Await: "_awaits_await", ast.AsyncWith: "_awaits_with", ast.AsyncFor: "_awaits_for"}


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """module: its dotted name within `gateway`. function: qualified as Python does it. text: what is waited for."""

    module: str
    function: str
    line: int
    text: str

    @property
    def name(self) -> str:
        return f"{self.module}.{self.function}"

    def __str__(self) -> str:
        return f"{self.name}, line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A moment of one request: the time-th time that it comes by.

    within: the places that wait for this one, the outermost first.
    """

    place: Place
    moment: Literal["before", "after", "left"]
    time: int
    within: tuple[Place, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"{self.moment} {self.place} (time {self.time})"


class Awaits:
    """places: all of them. looked_at: whether a request comes by; others are let be."""

    def __init__(self, looked_at: Callable[[Place], bool]) -> None:
        self.places: list[Place] = []
        self._files: set[str] = set()
        self._looked_at = looked_at
        self._times: Counter[tuple[int, str]] = Counter()
        self._others: set[asyncio.Task[Any]] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hits: list[Hit] | None = None
        self._open: dict[object, list[Place]] = {}  # by task
        self._armed: tuple[Hit, BaseException] | None = None
        self._came: list[str] = []
        self.struck = False

    @property
    def on_the_way(self) -> set[Place]:
        return {place for place in self.places if self._looked_at(place)}

    # what the tests do with them

    @contextmanager
    def recorded(self) -> Iterator[list[Hit]]:
        """The moments that come up meanwhile, in tasks that began meanwhile."""
        self._hits, self.struck = [], False
        with self._listening():
            yield self._hits
        self._hits = None

    @contextmanager
    def followed(self) -> Iterator[set[str]]:
        """Functions of the gateway that wait for something, and that a request comes by meanwhile."""
        found: set[str] = set()
        before = asyncio.all_tasks()

        def called(frame: FrameType, event: str, _: object) -> None:
            code = frame.f_code
            if event == "call" and code.co_flags & _WAITS and code.co_filename.startswith(_PACKAGE):
                task = asyncio.current_task()
                if task is not None and task not in before and not _is_upkeep(task) and _has_await(code):
                    module = code.co_filename.removeprefix(_PACKAGE).removesuffix(".py").replace("/", ".")
                    found.add(f"{module}.{code.co_qualname}")

        sys.setprofile(called)
        try:
            yield found
        finally:
            sys.setprofile(None)

    @contextmanager
    def armed(self, hit: Hit, error: BaseException) -> Iterator[None]:
        """The error strikes there, once. `struck` says whether it came to that."""
        self._armed, self.struck = (hit, error), False
        with self._listening():
            yield
        self._armed = None

    def came(self, text: str) -> bool:
        """Whether a request has come as far as to wait for this, or will not come any further."""
        return self.struck or any(text in place for place in self._came)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        self._times.clear()
        self._came.clear()
        self._open.clear()
        self._others = asyncio.all_tasks()
        self._loop = asyncio.get_running_loop()  # another test's gateway may run on, in a thread with a loop of its own
        yield
        self._others = None

    # where they are

    @contextmanager
    def installed(self, *modules: ModuleType) -> Iterator[None]:
        """Functions get their code back at the end."""
        before: list[tuple[FunctionType, CodeType]] = []
        try:
            for module in modules:
                before += self._install(module)
            yield
        finally:
            for function, code in before:
                function.__code__ = code

    def _install(self, module: ModuleType) -> list[tuple[FunctionType, CodeType]]:
        source = Path(str(module.__file__)).read_text()
        name = module.__name__.removeprefix("gateway.")
        tree = _Rewriting(name, self.places).visit(ast.parse(source))
        code = compile(ast.fix_missing_locations(tree), str(module.__file__), "exec")
        rewritten = {found.co_qualname: found for found in _codes(code)}
        self._files.add(str(module.__file__))
        for hook, call in zip(_HOOKS.values(), (self._await, self._with, self._for), strict=True):
            setattr(module, hook, call)
        waiting = {place.function for place in self.places if place.module == name}
        changed = []
        for function in _functions(module):
            own = function.__code__.co_qualname
            if any(f"{place}.".startswith(f"{own}.") for place in waiting):  # or one that is made within it waits
                changed.append((function, function.__code__))
                function.__code__ = rewritten[own]
        return changed

    # what was written in their place

    async def _await(self, number: int, value: Any) -> Any:
        try:
            self._come(number, "before")
        except BaseException:
            if isinstance(value, Coroutine):  # uvloop's are none that `inspect` knows
                value.close()
            raise
        ours = inspect.iscoroutine(value) and value.cr_code.co_filename in self._files
        result = await value
        self._come(number, "left" if ours else "after")
        return result

    def _with(self, number: int, manager: Any) -> "_Manager":
        return _Manager(self, number, manager)

    async def _for(self, number: int, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        self._come(number, "before")
        async for item in items:
            self._come(number, "after")
            yield item

    def _come(self, number: int, moment: Literal["before", "after", "left"]) -> None:
        place, task = self.places[number], asyncio.current_task()
        if (
            self._others is None
            or task is None
            or task.get_loop() is not self._loop
            or task in self._others
            or not self._looked_at(place)
            or _is_upkeep(task)
        ):
            return
        self._times[number, moment] += 1
        self._came.append(place.text)
        around = self._open.setdefault(task, [])
        if moment != "before" and place in around:
            del around[around.index(place) :]
        hit = Hit(place, moment, self._times[number, moment], tuple(around))
        if moment == "before":
            around.append(place)
        if self._hits is not None and moment != "left":
            self._hits.append(hit)
        if self._armed is not None and self._armed[0] == hit:
            self.struck = True
            raise self._armed[1]


class _Manager:
    """Struck before it is entered, or when it has been left: in between it could not be left any more."""

    def __init__(self, awaits: Awaits, number: int, manager: Any) -> None:
        self._awaits, self._number, self._manager = awaits, number, manager

    async def __aenter__(self) -> Any:
        try:
            self._awaits._come(self._number, "before")
        except BaseException:
            close = getattr(self._manager, "close", None)
            if close is not None and not inspect.iscoroutinefunction(close):
                close()  # a request that aiohttp has not sent yet has a coroutine within
            raise
        return await self._manager.__aenter__()

    async def __aexit__(self, *error: Any) -> Any:
        done = await self._manager.__aexit__(*error)
        self._awaits._come(self._number, "after")
        return done


class _Rewriting(ast.NodeTransformer):
    def __init__(self, module: str, places: list[Place]) -> None:
        self._module, self._places = module, places
        self._names: list[str] = []

    def _named(self, node: Any, inside: str) -> Any:
        self._names.append(node.name)
        self._names.append(inside)
        self.generic_visit(node)
        del self._names[-2:]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return self._named(node, "<locals>")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return self._named(node, "<locals>")

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        return self._named(node, "")

    def visit_Await(self, node: ast.Await) -> Any:
        text = ast.unparse(node.value)
        self.generic_visit(node)
        node.value = self._call(ast.Await, node.value, text)
        return node

    def visit_AsyncWith(self, node: ast.AsyncWith) -> Any:
        texts = [ast.unparse(item.context_expr) for item in node.items]
        self.generic_visit(node)
        for item, text in zip(node.items, texts, strict=True):
            item.context_expr = self._call(ast.AsyncWith, item.context_expr, text)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> Any:
        text = ast.unparse(node.iter)
        self.generic_visit(node)
        node.iter = self._call(ast.AsyncFor, node.iter, text)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        text = ast.unparse(node.iter)
        self.generic_visit(node)
        if node.is_async:
            node.iter = self._call(ast.AsyncFor, node.iter, text)
        return node

    def _call(self, kind: type[ast.AST], value: ast.expr, text: str) -> ast.Call:
        function = ".".join(name for name in self._names[:-1] if name)
        self._places.append(Place(self._module, function, value.lineno, text))
        call = ast.Call(ast.Name(_HOOKS[kind], ast.Load()), [ast.Constant(len(self._places) - 1), value], [])
        return ast.copy_location(call, value)


def _is_upkeep(task: asyncio.Task[Any] | None) -> bool:
    """Whether the gateway does it for itself, each second or so."""
    work = None if task is None else task.get_coro()
    return inspect.iscoroutine(work) and work.cr_code.co_filename.startswith(f"{_PACKAGE}app/")


@cache
def _has_await(code: CodeType) -> bool:
    return any(step.opname == "GET_AWAITABLE" for step in dis.get_instructions(code))


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Those that were written in the module, those of its classes, and what decorators have wrapped."""
    for owner in (module, *(found for found in vars(module).values() if inspect.isclass(found))):
        if owner is not module and owner.__module__ != module.__name__:
            continue
        for found in vars(owner).values():
            function = inspect.unwrap(getattr(found, "__func__", getattr(found, "fget", found)))
            if isinstance(function, FunctionType) and function.__code__.co_filename == module.__file__:
                yield function
