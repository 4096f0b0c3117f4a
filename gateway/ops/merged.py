"""One exposition of several workers, from each one's text. A worker that has ended leaves its counts behind.

Every worker writes its labels in the same order, so that equal rows are equal texts.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.ops.metrics import ASKED, UNMATCHED


def _sum(one: float, other: float) -> float:
    return one + other


# How rows of each gauge become one. What only grows is always summed.
GAUGES: Mapping[str, Callable[[float, float], float]] = {
    "gateway_connections_open": _sum,
    "gateway_requests_waiting_to_begin": _sum,
    "gateway_websockets_open": _sum,
    "gateway_credential_cache_entries": _sum,
    "gateway_credential_cache_refusals": _sum,
    "gateway_upstream_connections": _sum,
    "gateway_limit_keys": _sum,
    "gateway_limit_rooms": _sum,
    "gateway_limit_sync_age_seconds": max,  # the worker that counts alone
    "gateway_upstream_in_flight": _sum,
    "gateway_store_pool": _sum,
    "gateway_passwords": _sum,
    "gateway_mails_sending": _sum,
    "gateway_build_info": max,  # a row for each release that runs
    "gateway_store_up": min,  # one worker that cannot is what an alarm is about
    "gateway_state_up": min,
    "gateway_state_subscribed": min,
    "gateway_revocations_read_age_seconds": max,
    "gateway_jwks_age_seconds": max,  # the worker that goes by the oldest keys
    "gateway_upstream_endpoints": max,  # the most that one worker sees in a state
    "gateway_upstream_endpoints_live": min,  # the worker that sees the fewest; a sum would be of the same endpoints
}
# What the supervisor tells itself: it counts each reload once, and processes are told apart.
OWN = frozenset(
    {
        "gateway_reloads_total",
        "gateway_config_last_reload_successful",
        "gateway_config_last_reload_success_timestamp_seconds",
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
    }
)

_ROUTE = re.compile(r'[{,]route="((?:[^"\\]|\\.)*)"')
_GROWING = ("counter", "histogram")


@dataclass(frozen=True, slots=True)
class Family:
    """head: its HELP and TYPE lines. rows: by the text before the value."""

    kind: str
    head: str
    rows: dict[str, float]


Families = Mapping[str, Family]


def parse(exposition: str) -> dict[str, Family]:
    """Families by name. Of the text format as `ops.metrics` writes it: no timestamps, HELP before TYPE before rows."""
    found: dict[str, Family] = {}
    rows: dict[str, float] = {}
    meaning = ""
    for line in exposition.splitlines():
        if line.startswith("# HELP "):
            meaning = line
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            rows = {}
            found[name] = Family(kind, f"{meaning}\n{line}\n", rows)
        elif line:
            row, _, value = line.rpartition(" ")
            rows[row] = float(value)
    return found


def merged(parts: Iterable[Families]) -> dict[str, Family]:
    """One of all, in the order of the first that has a family."""
    whole: dict[str, Family] = {}
    for part in parts:
        for name, family in part.items():
            if name in OWN:
                continue
            into = whole.setdefault(name, Family(family.kind, family.head, {})).rows
            join = GAUGES.get(name, _sum) if family.kind not in _GROWING else _sum
            for row, value in family.rows.items():
                into[row] = join(into[row], value) if row in into else value
    return whole


def growing(families: Families) -> dict[str, Family]:
    """What a worker leaves behind."""
    return {name: family for name, family in families.items() if family.kind in _GROWING and name not in OWN}


def without_routes(families: Families, known: Collection[str]) -> dict[str, Family]:
    """Without rows of routes that nobody has. known: labels of routes; those of nobody's requests stay."""
    stay = {*map(_escaped, known), UNMATCHED, ASKED}

    def kept(row: str) -> bool:
        found = _ROUTE.search(row)
        return found is None or found[1] in stay or found[1].removeprefix(f"{ASKED} ") in stay

    return {
        name: Family(family.kind, family.head, {row: value for row, value in family.rows.items() if kept(row)})
        for name, family in families.items()
    }


def _escaped(label: str) -> str:
    """As the text format has it."""
    return label.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def rendered(families: Families) -> str:
    return "".join(
        family.head + "".join(f"{row} {value}\n" for row, value in family.rows.items()) for family in families.values()
    )


def family(name: str, kind: str, meaning: str, label: str, rows: Sequence[tuple[str, float]]) -> str:
    """Text of one family with one label, whose values need no quoting; label "": without one."""
    body = "".join(
        f'{name}{{{label}="{value}"}} {float(number)}\n' if label else f"{name} {float(number)}\n"
        for value, number in rows
    )
    return f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n{body}"
