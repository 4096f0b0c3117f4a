"""One gateway that decides, one service, and each data plane between them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from e2e import seeding, world
from e2e.world import Gateway, Home, Person

from . import planes
from .planes import Plane
from .service import Service, serving

ROUTES: list[dict[str, object]] = [
    {"path": "/public/**", "methods": ["GET", "POST", "PUT", "OPTIONS"], "upstream": "app", "access": "public"},
    {"path": "/known/**", "upstream": "app", "access": "authenticated"},
    {"path": "/secret/**", "upstream": "app", "access": "protected"},
    {"path": "/secret", "upstream": "app", "access": "protected"},
    {"path": "/mployr/**", "upstream": "app", "access": "protected", "errors": "mployr"},
    {
        "path": "/manager/**",
        "upstream": "app",
        "access": {"roles": [{"role": "manager", "permission": "write"}]},
    },
]
DECIDE = {"mount": "/_gateway/decide", "peers": ["127.0.0.1/32"]}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return seeding.founded(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with serving() as made:
        yield made


@contextmanager
def deciding(home: Home, service: Service) -> Iterator[Gateway]:
    said = {**world.configuration({"app": service.port}), "routes": ROUTES, "decide": DECIDE}
    said["listen"] = {**said["listen"], "trusted_proxies": ["127.0.0.2"]}
    with world.running(home, said) as running:
        yield running


@pytest.fixture(scope="session")
def home(template: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return template.copy(tmp_path_factory.mktemp("decides"))


@pytest.fixture(scope="session")
def important(home: Home) -> Person:
    """Somebody whose profile nearly fills the 7 KiB that it may have."""
    return seeding.licensed(home, 510, "important")


@pytest.fixture(scope="session")
def gateway(home: Home, important: Person, service: Service) -> Iterator[Gateway]:
    with deciding(home, service) as running:
        yield running


@pytest.fixture(scope="session", params=sorted(planes.COMMANDS))
def plane(
    request: pytest.FixtureRequest, gateway: Gateway, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    name = str(request.param)
    port = int(gateway.url.rpartition(":")[2])
    with planes.running(name, tmp_path_factory.mktemp(name), port, service.port) as running:
        yield running
