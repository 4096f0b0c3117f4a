# make run | test | lint | docs | wheel | requirements | audit: each makes .venv first if it is not there, and installs
# again only when pyproject.toml or the pins have changed. make bench | exhaustion | fleet | soak | test-compiled: the same in
# .venv-compiled, which has the wheel whose data plane is compiled; that takes a C compiler and Python's headers. PYTHON=...
# chooses the interpreter (3.11 or newer), ARGS=... goes to the command. Tests run in PROCESSES processes, more than there
# are cores, as most of them wait; ARGS='-n 0' runs them in one.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
BIN := $(VENV)/bin
NEWEST := for python in python3.13 python3.12 python3.11 python3; do \
  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done
PYTHON ?= $(shell $(NEWEST))
ARGS ?=
PROCESSES ?= 4
MINUTES ?= 10
EXAMPLES ?= 1000
# A file is one process's: its servers are started once. Each process has a PostgreSQL and a Redis of its own.
PYTEST := pytest -n $(PROCESSES) --dist loadfile --max-worker-restart 0

COMPILED := .venv-compiled
SOURCES := pyproject.toml hatch_build.py $(shell find gateway -name '*.py' -o -name '*.yaml' -o -name '*.mako' -o -name '*.html' -o -name '*.css' -o -name '*.txt')
# What goes through the compiled modules on the way a request goes; the rest tests the same source as `make test` does.
THROUGH := tests/access tests/app tests/cli tests/compiled tests/conformance tests/control tests/deploy/test_systemd.py tests/e2e \
  tests/edge tests/planes tests/proxy tests/routes tests/security tests/tracing tests/websocket tests/wire \
  tests/test_pipeline.py $(wildcard tests/identity/test_tokens*.py tests/identity/test_connection_string*.py) \
  $(wildcard tests/ops/test_metrics*.py tests/ops/test_access_log*.py) tests/fuzz/test_fuzz.py \
  tests/store/test_store_failures.py tests/store/test_store_directory.py

# What the gateway runs on is installed as it is pinned; the tools around it are not.
PINS := requirements/gateway.txt requirements/otel.txt
PINNED := --quiet --require-hashes $(PINS:%=-r %)

.PHONY: run test test-compiled lint docs bench exhaustion fleet fuzz soak autobahn wheel requirements audit clean

run: $(VENV)/.installed
	$(BIN)/gateway serve --demo $(ARGS)

# The slow tests install from the package index, the wheel for one: they run where GATEWAY_CI is set.
test: $(VENV)/.installed-dev
	$(BIN)/$(PYTEST) $(if $(GATEWAY_CI),,-m "not slow") $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The site, into build/docs. A link or an anchor that is not there is a failure. `python -m docs` writes the derived pages.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs build/docs $(ARGS)

test-compiled: $(COMPILED)/.installed-dev
	GATEWAY_COMPILED=1 $(COMPILED)/bin/$(PYTEST) $(if $(GATEWAY_CI),,-m "not slow") $(THROUGH) $(ARGS)

# gateway/ itself is what the wheel has installed, not this source tree, which is not on the path of what is measured.
bench: $(COMPILED)/.installed-bench
	$(COMPILED)/bin/python -m bench $(ARGS)

# Attacks at full size; takes six minutes on two cores, of which it wants both.
exhaustion: $(COMPILED)/.installed-bench
	$(COMPILED)/bin/python -m bench.exhaustion $(ARGS)

# Needs PostgreSQL, Redis, HAProxy, nginx, wrk and libfaketime; takes four minutes.
fleet: $(COMPILED)/.installed-bench
	$(COMPILED)/bin/python -m bench.fleet $(ARGS)

# MINUTES for each target of tests/fuzz, under atheris, and so many EXAMPLES of the edge's machine. A target found something
# when there is a new file in tests/fuzz/regressions: it stays there. ARGS names targets; without it, all of them run.
fuzz: $(VENV)/.installed-fuzz
	PYTHONPATH=tests $(BIN)/python -m fuzz --minutes $(MINUTES) $(ARGS)
	EDGE_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q tests/edge/test_edge_machine.py

# Needs Redis; takes half an hour, at 150 actions a second.
soak: $(COMPILED)/.installed-bench
	$(COMPILED)/bin/python -m bench.soak $(ARGS)

# Every case of Autobahn's WebSocket suite, of which those of compression take long. Needs a Python 2.7 with pip, pyenv's for one.
autobahn: $(VENV)/.installed-dev
	AUTOBAHN_CASES='*' $(BIN)/pytest -s tests/websocket/test_autobahn.py $(ARGS)

wheel: $(VENV)/.installed-dev
	$(BIN)/python -m build --wheel --outdir dist .

# Writes requirements/ anew; ARGS=--upgrade takes the newest releases that pyproject.toml allows.
requirements: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --group requirements
	$(BIN)/python -m requirements $(ARGS)

# Asks a service of known vulnerabilities, which takes a network that reaches one. What it can't ask about is a failure.
audit: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --group audit
	$(BIN)/pip-audit --strict --disable-pip --require-hashes $(PINS:%=-r %) $(ARGS)

clean:
	rm -rf $(VENV) $(COMPILED) dist build bench/out .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "make: no Python 3.11 or newer found; name one with PYTHON=..." >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'    # the first pip that knows --group

$(VENV)/.installed: pyproject.toml $(PINS) | $(BIN)/python
	$(BIN)/pip install $(PINNED)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(PINS) | $(BIN)/python
	$(BIN)/pip install $(PINNED)
	$(BIN)/pip install --quiet --editable . --group dev
	touch $@ $(VENV)/.installed

$(VENV)/.installed-fuzz: pyproject.toml | $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --group fuzz
	touch $@

# Not editable: what was compiled belongs to the source it was compiled from. Any change of a source builds it again.
$(COMPILED)/.installed: $(SOURCES) $(PINS)
	@if [ -z "$(PYTHON)" ]; then echo "make: no Python 3.11 or newer found; name one with PYTHON=..." >&2; exit 1; fi
	$(PYTHON) -m venv $(COMPILED)
	$(COMPILED)/bin/pip install --quiet --upgrade 'pip>=25.1'
	$(COMPILED)/bin/pip install $(PINNED)
	GATEWAY_COMPILE=1 $(COMPILED)/bin/pip install --quiet . || \
	  { echo "make: the data plane could not be compiled; it is installed interpreted" >&2; $(COMPILED)/bin/pip install --quiet .; }
	touch $@

$(COMPILED)/.installed-dev: $(COMPILED)/.installed
	$(COMPILED)/bin/pip install --quiet --group dev
	touch $@

# A peer that cannot be installed is left out, and the bench says so.
$(COMPILED)/.installed-bench: $(COMPILED)/.installed
	$(COMPILED)/bin/pip install --quiet --group bench || echo "make: the peers from the package index were not installed" >&2
	touch $@
