# See It. `make demo` and `make test` do all the set-up they need.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000
# Tests run in parallel on one process more than there are cores: those of browsers and of workers mostly wait.
TEST_PROCESSES ?= $(shell expr $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 1)

.PHONY: help demo test setup lint bench schema lock

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: .venv/demo.stamp ## the demo shop with web and workers, until Ctrl-C; PORT=8001 moves it
	@SEEIT_DEMO=1 LOG_LEVEL=$${LOG_LEVEL:-WARNING} $(BIN)/python manage.py demo --port $(PORT)

test: .venv/test.stamp ## the whole test suite
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup

setup: .venv/test.stamp ## only install what is locked

lint: .venv/test.stamp ## ruff, mypy and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check -q .
	$(BIN)/mypy .
	$(BIN)/lint-imports

bench: .venv/bench.stamp ## measure beside its peers, and write docs/benchmarks.md
	$(BIN)/python -m bench

schema: .venv/test.stamp ## write docs/schema.sql anew
	$(BIN)/python manage.py dump_schema --out docs/schema.sql

lock: ## resolve dependencies anew into the lock files (needs uv)
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o requirements.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra peers -c requirements-dev.txt pyproject.toml -o requirements-bench.txt

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "See It needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...")'
	@echo "Installing into .venv; this takes about a minute the first time."
	@$(PYTHON) -m venv .venv

.venv/demo.stamp: requirements.txt | .venv/bin/python
	@test -e .venv/test.stamp -a .venv/test.stamp -nt requirements.txt || $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/test.stamp: requirements-dev.txt requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ .venv/demo.stamp

.venv/bench.stamp: requirements-bench.txt .venv/test.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@
