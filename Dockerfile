# syntax=docker/dockerfile:1
# Built in two stages: the second has no compiler, no pip and no source tree in its environment. The data plane is
# compiled (docs/decisions/0007). Every package is one that requirements/ pins, held against its digest, and a wheel, so
# that nothing of it runs while it is installed.
FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements ./requirements
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
    -r requirements/gateway.txt -r requirements/build.txt
RUN python -m venv --without-pip /opt/gateway \
 && /opt/build/bin/pip --python /opt/gateway install --no-cache-dir --require-hashes --only-binary :all: \
    -r requirements/gateway.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY gateway ./gateway
COPY config ./config
RUN GATEWAY_COMPILE=1 /opt/build/bin/python -m build --wheel --no-isolation --outdir /dist . \
 && /opt/build/bin/pip --python /opt/gateway install --no-cache-dir --no-deps --no-index /dist/*.whl \
 && /opt/build/bin/pip --python /opt/gateway check

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 gateway \
 && useradd --system --uid 10001 --gid gateway --home-dir /var/lib/gateway --create-home --shell /usr/sbin/nologin gateway
COPY --from=build /opt/gateway /opt/gateway
COPY config/container.yaml /etc/gateway/config.yaml
ENV PATH=/opt/gateway/bin:$PATH GATEWAY_CONFIG=/etc/gateway/config.yaml \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/gateway
VOLUME /var/lib/gateway
EXPOSE 8080
# The admin listener is on the container's loopback, so the probe runs inside and nothing of it is exposed.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9901/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
# One command for the first start and for every upgrade; several copies at once make one database.
CMD ["gateway", "serve", "--migrate", "-c", "/etc/gateway/config.yaml"]
