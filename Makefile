# Thin on purpose: each target is one command. `make help` lists them.
.DEFAULT_GOAL := help
SLIPWAY := .venv/bin/slipway
# A command starts a dozen of Python's processes: what one has compiled is there for the next, in folders git ignores.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The reference app's own, while it is there: for its tests, and to run it alone.
APP := $(and $(wildcard tests/app),$(wildcard app/uv.lock),app/.venv/ready)

.venv/ready: pyproject.toml uv.lock tools/setup
	@tools/setup

app/.venv/ready: app/pyproject.toml app/uv.lock .venv/ready
	@tools/setup app

.PHONY: setup docs schema dashboards up down status logs doctor test check format dev clean
setup: .venv/ready ## Install the packages, and nothing else

up: .venv/ready ## Set up everything and deploy the stack `local` on this machine
	@$(SLIPWAY) up

down: .venv/ready ## Destroy the stack `local` and stop everything that ran for it
	@$(SLIPWAY) down

status: .venv/ready ## What runs, and how healthy it is
	@$(SLIPWAY) status

logs: .venv/ready ## The log of all processes
	@$(SLIPWAY) logs

doctor: .venv/ready ## What this machine lacks, and the command that mends it
	@$(SLIPWAY) doctor

test: .venv/ready $(APP) ## Lint, types and all tests, the end-to-end ones included
	@tools/test

check: .venv/ready $(APP) ## Lint, formatting, types and the documentation's words
	@tools/check

schema: .venv/ready ## Write the JSON schemas of stacks/ for editors, and the table of settings
	@$(SLIPWAY) schema --write

dashboards: .venv/ready ## Write docker/grafana/dashboards from boards beside it
	@.venv/bin/python docker/grafana/boards

docs: .venv/ready ## Build the documentation's site in .slipway/site; a warning is an error
	@.venv/bin/python tools/command_reference
	@.venv/bin/python tools/error_reference
	@.venv/bin/python tools/resource_reference
	@.venv/bin/uv sync --frozen --inexact --quiet --group docs --python .venv/bin/python
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

format: .venv/ready ## Format the code and sort its imports
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

dev: app/.venv/ready ## Run the app alone, with reload, without any service
	@app/.venv/bin/uvicorn app.main:app --reload --port 8000

clean: down ## Take away the cache of images and downloads as well
	@$(SLIPWAY) clean
