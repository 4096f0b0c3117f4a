"""Which routes two configurations have differently, and which other keys."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.app import compile
from gateway.settings.difference import KeyChange, key_changes
from gateway.settings.load import Loaded
from gateway.settings.route import Route

Shape = tuple[str | None, str, tuple[str, ...]]  # what requests a route is for: host, path, methods


@dataclass(frozen=True, slots=True)
class RouteChange:
    """route: as logs call it. old, new: `file:line`, None where it is not. keys: what changed of one that stays."""

    change: Literal["added", "removed", "changed"]
    route: str
    old: str | None
    new: str | None
    keys: tuple[KeyChange, ...] = ()


def route_changes(old: Loaded, new: Loaded) -> Iterator[RouteChange]:
    """In the order of the old configuration, what is added after it. Their order means nothing, and is no change."""
    before, after = _placed(old), _placed(new)
    pairs = dict(_paired(list(before), list(after)))
    for shape, (route, place) in before.items():
        if shape not in pairs:
            yield RouteChange("removed", _label(route), place, None)
            continue
        other, there = after[pairs[shape]]
        keys = tuple(key_changes(route, other))
        if keys:
            yield RouteChange("changed", _label(other), place, there, keys)
    kept = set(pairs.values())
    for shape, (route, place) in after.items():
        if shape not in kept:
            yield RouteChange("added", _label(route), None, place)


def other_changes(old: Loaded, new: Loaded) -> Iterator[KeyChange]:
    """Everything but the routes and where the files are."""
    for change in key_changes(old.settings, new.settings):
        if not change.key.startswith(("routes", "include")):
            yield change


def _placed(loaded: Loaded) -> dict[Shape, tuple[Route, str]]:
    routes = zip(loaded.settings.routes, loaded.route_places(), strict=True)
    return {(route.host, route.path, tuple(sorted(route.methods))): (route, place) for route, place in routes}


def _paired(before: Sequence[Shape], after: Sequence[Shape]) -> Iterator[tuple[Shape, Shape]]:
    """The same requests, else the same host and path with a method in common: its methods changed, then."""
    left = [shape for shape in after if shape not in set(before)]
    for shape in before:
        if shape in after:
            yield shape, shape
            continue
        near = next((other for other in left if other[:2] == shape[:2] and set(other[2]) & set(shape[2])), None)
        if near is not None:
            left.remove(near)
            yield shape, near


def _label(route: Route) -> str:
    return compile.label(compile.to_route(route))
