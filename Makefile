# Everything a newcomer runs.  `make` alone prints this list.
# the first Python that runs and is new enough
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fix chaos bench clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install everything, at the versions of requirements.lock

$(STAMP): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found; run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[research,dev,cluster]"
	@touch $@

demo: setup ## the main job on real data, offline: sweep, verify, export, replay, report
	$(BIN)/lockstep tour

test: setup ## run the tests
	$(BIN)/python -m pytest

check: setup ## format, lint and types, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: setup ## format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

chaos: setup ## every fault at every moment and a kill at every write, 10,000 scenarios: docs/chaos.md
	$(BIN)/python -m tests.chaos

bench: setup ## run the benchmarks; results go to benchmarks/results
	$(BIN)/python -m benchmarks.bench_sweep
	$(BIN)/python -m benchmarks.bench_kernels

clean: ## remove the environment, caches and the demo's store
	rm -rf .venv .lockstep .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
