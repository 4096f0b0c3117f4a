"""Values that only upstreams have: checks, percentages, ranges of statuses. Each raises ValueError, with a sentence."""

import ipaddress
import re

from gateway.settings.faults import quoted


def is_address(host: str) -> bool:
    """Rather than a name that is looked up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def probe_path(text: str) -> str:
    """What a health check asks for: a path with a query, if any, as it stands in a request line."""
    if not re.fullmatch(r"/[!\"$-~]{0,1023}", text) or "\\" in text:
        raise ValueError(f"{quoted(text)} is not a path such as /health, of ASCII without spaces and #")
    return text


def percent(text: str) -> float:
    """`20%` -> 0.2."""
    found = re.fullmatch(r"([0-9]{1,3})%", text)
    if not found or int(found[1]) > 100:
        raise ValueError(f"{quoted(text)} is not a percentage; write a whole number from 0% to 100%, as in 20%")
    return int(found[1]) / 100


def status_range(text: str) -> tuple[int, int]:
    """`200-399`, or one status: the lowest and the highest."""
    found = re.fullmatch(r"([0-9]{3})(?:-([0-9]{3}))?", text)
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 200 <= low <= high <= 599:
        raise ValueError(f"{quoted(text)} is not a range of statuses from 200 to 599, as in 200-399")
    return low, high
