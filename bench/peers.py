"""The upstream and the peers: configurations that worked with Debian 12's nginx 1.22 and HAProxy 2.6 and with Envoy
1.40, each with one worker, none writing an access log.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.issuer import AUDIENCE, Issuer
from bench.processes import NotStartedError, Process, Stable, free_port

PROJECT = Path(__file__).parents[1]
NGINX = """
daemon off; worker_processes 1; pid {name}.pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
 client_body_temp_path {name}.body; proxy_temp_path {name}.proxy; fastcgi_temp_path {name}.f;
 uwsgi_temp_path {name}.u; scgi_temp_path {name}.s;
 {body}
}}
"""
UPSTREAM = """server {{ listen 127.0.0.1:{port} backlog=4096;
 location / {{ default_type application/json; return 200 '{{"ok":true,"hello":"world"}}\\n'; }}
 location /auth {{ return 200; }}
 location ~ /profile$ {{ return 200 "$http_x_mycelium_profile"; }} }}"""
POOL = """upstream u {{ server 127.0.0.1:{upstream}; keepalive 256; }}
 server {{ listen 127.0.0.1:{port} backlog=4096;"""
PROXY = (
    POOL
    + """ location / {{ proxy_http_version 1.1; proxy_set_header Connection "";
 proxy_set_header x-mycelium-profile abcdef; proxy_pass http://u; }} }}"""
)
# With its default of a page for a buffer nginx takes twice as long.
STREAMING = (
    """map $http_upgrade $then {{ default upgrade; "" ""; }} """
    + POOL
    + """ location / {{ proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
 proxy_set_header Connection $then; proxy_set_header x-mycelium-profile abcdef; proxy_read_timeout 300s;
 proxy_buffering off; proxy_request_buffering off; client_max_body_size 0; client_body_buffer_size 64k;
 proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k; proxy_pass http://u; }} }}"""
)
AUTH_REQUEST = (
    POOL
    + """ location / {{ auth_request /_a; proxy_http_version 1.1; proxy_set_header Connection "";
 proxy_pass http://u; }}
 location = /_a {{ internal; proxy_http_version 1.1; proxy_set_header Connection "";
 proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_pass http://u/auth; }} }}"""
)
HAPROXY = """
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:{port}
  http-request set-var(txn.b) http_auth_bearer
  http-request deny deny_status 401 unless {{ var(txn.b),jwt_verify("RS256","pub.pem") 1 }}
  http-request set-header x-mycelium-profile abcdef
  default_backend b
backend b
  server s1 127.0.0.1:{upstream}
"""
ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          route_config:
            virtual_hosts:
            - {{name: a, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: u}}}}]}}
          http_filters:
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers: {{p: {provider}}}
              rules: [{{match: {{prefix: "/"}}, requires: {{provider_name: p}}}}]
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: u
    connect_timeout: 1s
    load_assignment: {{cluster_name: u, endpoints: [{{lb_endpoints: [{{endpoint: {{address:
      {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}}}]}}]}}
"""


@dataclass(frozen=True, slots=True)
class System:
    """Something that answers: a peer, or our gateway."""

    name: str
    process: Process
    port: int


def start_upstream(stable: Stable) -> System:
    """nginx with a 28-byte JSON answer, on the core of the load; a path ending in /profile shows what was injected."""
    return _nginx(stable, "upstream", UPSTREAM, {}, stable.cores.load)


def start_origin(stable: Stable) -> System:
    """The upstream of bodies and WebSockets, on the core of the load."""
    port = free_port()
    command, environ = [sys.executable, "-m", "bench.origin", str(port)], {"PYTHONPATH": str(PROJECT)}
    name = f"origin-{port}"
    return _opened(System(name, stable.start(name, command, core=stable.cores.load, environ=environ), port))


def start_streaming(stable: Stable, upstream: int) -> System:
    """nginx with buffering off, for bodies and WebSockets."""
    return _nginx(stable, "nginx", STREAMING, {"upstream": str(upstream)}, stable.cores.system)


def start_peers(stable: Stable, issuer: Issuer, upstream: int) -> tuple[list[System], list[str]]:
    """Every peer that is to be found here, and why the others could not be started."""
    issuer.write_keys(stable.folder)
    ports = {"upstream": str(upstream)}
    core = stable.cores.system
    starts: list[Callable[[], System]] = [
        lambda: _nginx(stable, "nginx", PROXY, ports, core),
        lambda: _nginx(stable, "nginx auth_request", AUTH_REQUEST, ports, core),
        lambda: _haproxy(stable, upstream),
        lambda: _envoy(stable, "Envoy", upstream, issuer, cached=True),
        lambda: _envoy(stable, "Envoy without cache", upstream, issuer, cached=False),
    ]
    found, missing = [], []
    for start in starts:
        try:
            found.append(start())
        except NotStartedError as error:
            missing.append(str(error))
    return found, missing


def _program(name: str) -> str:
    """Debian keeps servers in /usr/sbin, which is not on every PATH; wheels put theirs beside this interpreter."""
    places = [str(Path(sys.executable).parent), "/usr/local/sbin", "/usr/sbin"]
    found = shutil.which(name) or shutil.which(name, path=":".join(places))
    if found is None:
        raise NotStartedError(f"{name} is not installed")
    return found


def _nginx(stable: Stable, name: str, body: str, ports: dict[str, str], core: int) -> System:
    port, slug = free_port(), name.replace(" ", "-")
    config = stable.folder / f"{slug}.conf"
    config.write_text(NGINX.format(name=slug, body=body.format(port=port, **ports)))
    command = [_program("nginx"), "-p", str(stable.folder), "-e", "stderr", "-c", str(config)]
    return _opened(System(name, stable.start(name, command, core=core), port))


def _haproxy(stable: Stable, upstream: int) -> System:
    port, config = free_port(), stable.folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, upstream=upstream))
    command = [_program("haproxy"), "-db", "-f", str(config)]
    return _opened(System("HAProxy", stable.start("HAProxy", command, core=stable.cores.system), port))


def _envoy(stable: Stable, name: str, upstream: int, issuer: Issuer, *, cached: bool) -> System:
    port = free_port()
    provider: dict[str, object] = {"issuer": issuer.url, "audiences": [AUDIENCE], "forward": True}
    provider |= {"local_jwks": {"filename": str(stable.folder / "jwks.json")}}
    provider |= {"forward_payload_header": "x-mycelium-profile"}
    if cached:
        provider["jwt_cache_config"] = {"jwt_cache_size": 1000}
    config = stable.folder / f"{name.replace(' ', '-')}.yaml"
    config.write_text(ENVOY.format(port=port, upstream=upstream, provider=json.dumps(provider)))
    command = [_program("envoy"), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    return _opened(System(name, stable.start(name, command, core=stable.cores.system), port))


def _opened(system: System) -> System:
    system.process.wait_until_open(system.port)
    return system
