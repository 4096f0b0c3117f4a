"""Limits that do not fit their route, the listener or each other: found when the configuration is read."""

from collections.abc import Iterator, Sequence

from gateway.app.quotas import KINDS, identity, spelt
from gateway.edge import quota
from gateway.settings.faults import Fault
from gateway.settings.limits import By, ByHeader
from gateway.settings.limits import Rate as RateSettings
from gateway.settings.load import Keys, Loaded
from gateway.wire.hops import FORWARD, RequestNames


def quota_faults(loaded: Loaded) -> Iterator[Fault]:
    listen = loaded.settings.listen
    names = RequestNames(
        loaded.settings.connection_strings.header.encode(), (name.encode() for name in listen.allow_headers)
    )
    shared: dict[str, tuple[str, Keys]] = {}
    for place, route in enumerate(loaded.settings.routes):
        path = ("routes", place, "limits")
        if route.limits.head is not None and route.limits.head > listen.limits.head:
            yield loaded.place((*path, "head")).fault(
                "wrong_value", f"listen.limits.head lets no more than {listen.limits.head} bytes in; raise that first"
            )
        public = route.access.kind == "public"
        yield from _subject_faults(loaded, (*path, "rate"), [rule.by for rule in route.limits.rate], public, names)
        rooms = [rule.by for rule in route.limits.concurrency]
        yield from _subject_faults(loaded, (*path, "concurrency"), rooms, public, names)
        yield from _twice(loaded, (*path, "rate"), [identity(rule, "") for rule in route.limits.rate])
        yield from _twice(loaded, (*path, "concurrency"), [spelt(by) for by in rooms])
        for at, rule in enumerate(route.limits.rate):
            if rule.shared is not None:
                yield from _shared_faults(loaded, (*path, "rate", at), rule, shared)


def _subject_faults(
    loaded: Loaded, path: Keys, subjects: Sequence[By], public: bool, names: RequestNames
) -> Iterator[Fault]:
    for at, by in enumerate(subjects):
        if isinstance(by, ByHeader):
            if names.classify(by.header.encode()) != FORWARD:
                yield loaded.place((*path, at, "by")).fault(
                    "wrong_value", f"the gateway reads {by.header} itself or drops it, so no request has it here"
                )
        elif public and KINDS[by] not in quota.EARLY:
            yield loaded.place((*path, at, "by")).fault(
                "wrong_value", f"a public route knows no {by}; count by address, header or route"
            )


def _twice(loaded: Loaded, path: Keys, names: Sequence[str]) -> Iterator[Fault]:
    for at, name in enumerate(names):
        if name in names[:at]:
            first = loaded.place((*path, names.index(name)))
            yield loaded.place((*path, at)).fault("duplicate_name", f"the same is counted at {first}; keep the smaller")


def _shared_faults(
    loaded: Loaded,
    path: Keys,
    rule: RateSettings,
    seen: dict[str, tuple[str, Keys]],
) -> Iterator[Fault]:
    assert rule.shared is not None
    mine = identity(rule, "")
    known, first = seen.setdefault(rule.shared, (mine, path))
    if known != mine:
        yield loaded.place((*path, "shared")).fault(
            "wrong_value", f"counts together with {loaded.place((*first, 'shared'))}, so by and in must be the same"
        )
