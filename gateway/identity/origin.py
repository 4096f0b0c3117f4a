"""Where a request comes from, as far as a login may know: for limits, for mails, for lists of sessions."""

import ipaddress
import re
from dataclasses import dataclass

MAX_AGENT = 512  # characters of a User-Agent that are kept

# The first that matches; what a person recognises, not what a browser pretends to be.
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_PROGRAM = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")  # no dot: mail programs make a link of a host's name


@dataclass(frozen=True, slots=True)
class Origin:
    """address: of the client, "" if unknown. direct: it is the socket's peer, and no forwarding header came."""

    address: str
    user_agent: str = ""
    direct: bool = False
    request_id: str = ""

    @property
    def network(self) -> str:
        """What limits count by: the address, or the /64 that one IPv6 subscriber has."""
        try:
            address = ipaddress.ip_address(self.address.partition("%")[0])
        except ValueError:
            return self.address
        if address.version == 4:
            return str(address)
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))

    @property
    def site(self) -> str:
        """The /48 that one IPv6 customer may have, with 65,536 networks in it; "" for IPv4."""
        try:
            address = ipaddress.ip_address(self.network.partition("/")[0])
        except ValueError:
            return ""
        return str(ipaddress.ip_network((address, 48), strict=False)) if address.version == 6 else ""

    @property
    def agent(self) -> str:
        """The User-Agent, printable and bounded."""
        return "".join(letter for letter in self.user_agent[:MAX_AGENT] if letter.isprintable())

    @property
    def platform(self) -> str:
        return platform(self.user_agent)


def platform(agent: str) -> str:
    """Browser and system of a User-Agent for people; a program's own name; "" for none."""
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    if browser and system:
        return f"{browser} on {system}"
    found = _PROGRAM.match(agent)
    return browser or system or (found[0] if found else "")
