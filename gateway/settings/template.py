"""Route paths as operators write them: `/orders/{id}/lines`, `/orders/**`. Pure; compiling them is in `routes`.

A template is compared with the raw bytes of a request's path, so a spelling that no request may have is a fault here
rather than a route that never matches.
"""

import re

from gateway.settings.faults import quoted

_PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]{0,63}\}")
_LITERAL = re.compile(
    r"(?:[A-Za-z0-9._~!$&'()+,;=:@|\[\]-]|%[0-9A-Fa-f]{2})*"
)  # pchar of RFC 3986 without `*`, and |[] as browsers send them
_REFUSED = re.compile(r"%(?:2F|5C|25|2D|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])|;")
_NEVER = re.compile(r"%(?:2E|[01][0-9A-F]|7F)")


def template(text: str) -> str:
    """A route's path. Raises ValueError."""
    if not text.startswith("/"):
        raise ValueError("a path starts with /")
    if len(text) > 2048:
        raise ValueError("a path has at most 2048 characters")
    segments = text[1:].split("/")
    if segments[-1] == "**":
        segments.pop()
    elif not segments[-1]:
        segments.pop()  # a trailing slash is another path than the one without
    parameters = [segment for segment in segments if _is_parameter(segment)]
    for segment in segments:
        if segment not in parameters:
            _literal(segment)
    if len(parameters) != len(set(parameters)):
        raise ValueError("a {name} stands once in a path")
    return text


def _is_parameter(segment: str) -> bool:
    return _PARAMETER.fullmatch(segment) is not None


def _literal(segment: str) -> None:
    if not segment:
        raise ValueError("a path has no empty segments (//)")
    if segment in {".", ".."}:
        raise ValueError("a path has no . and .. segments")
    if "*" in segment:
        raise ValueError("** stands only at the end, as in /orders/**; one segment is {name}")
    if "{" in segment or "}" in segment:
        raise ValueError("{name} is a whole segment: a letter or _, then letters, digits and _")
    if not _LITERAL.fullmatch(segment):
        raise ValueError(f"{quoted(segment)} has a character that is percent-encoded in a path, or a bad %")
    if _NEVER.search(segment.upper()):
        raise ValueError(f"{quoted(segment)} holds an encoding that is refused in every request")


def refused_spellings(text: str) -> set[str]:
    """What of the path a request may only have when the route's `allow_encoded` lists it; `%` spellings upper case."""
    return set(_REFUSED.findall(text.upper()))


def literal_prefix(text: str) -> str:
    """The segments before the first `{name}` or `**`: `/orders/{id}` -> `/orders`."""
    kept = []
    for segment in text[1:].split("/"):
        if segment == "**" or _is_parameter(segment):
            break
        kept.append(segment)
    return "/" + "/".join(kept)


def prefix(text: str) -> str:
    """Whole literal segments, `/orders`; neither `/` nor a trailing slash."""
    if literal_prefix(template(text)) != text or text.endswith("/"):
        raise ValueError("write whole literal segments without a last slash, as in /orders")
    return text
