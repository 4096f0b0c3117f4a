# make run | test | lint | bench | wheel. Each makes .venv first if it is not there, and installs again only when
# pyproject.toml has changed. PYTHON=... chooses the interpreter (3.11 or newer), ARGS=... goes to the command.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
BIN := $(VENV)/bin
NEWEST := for python in python3.13 python3.12 python3.11 python3; do \
  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done
PYTHON ?= $(shell $(NEWEST))
ARGS ?=

.PHONY: run test lint bench wheel clean

run: $(VENV)/.installed
	$(BIN)/gateway serve --demo $(ARGS)

# The slow tests build and install the wheel from the package index: they run where GATEWAY_CI is set.
test: $(VENV)/.installed-dev
	$(BIN)/pytest $(if $(GATEWAY_CI),,-m "not slow") $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed-bench
	$(BIN)/python -m bench $(ARGS)

wheel: $(VENV)/.installed-dev
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf $(VENV) dist build bench/out .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "make: no Python 3.11 or newer found; name one with PYTHON=..." >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'    # the first pip that knows --group

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable . --group dev
	touch $@ $(VENV)/.installed

# A peer that cannot be installed is left out, and the bench says so.
$(VENV)/.installed-bench: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	$(BIN)/pip install --quiet --group bench || echo "make: the peers from the package index were not installed" >&2
	touch $@ $(VENV)/.installed
