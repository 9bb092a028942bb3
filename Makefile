# `make demo` and `make test` do everything from a fresh clone with Python, pip and make; the rest is for those who build.
PYTHON ?= python3
BIN := .venv/bin
export DO_NOT_TRACK := 1
# Some machines forbid Python to keep what it compiled; importing everything takes three times as long then.
unexport PYTHONDONTWRITEBYTECODE
export UV_PYTHON_DOWNLOADS := never
# The machine's own certificates, as pip uses them: behind a company proxy uv would refuse to fetch.
export UV_SYSTEM_CERTS := 1

.venv/ready: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

demo: .venv/ready ## a small shop, started and sending; ARGS=--once leaves after the report
	@$(BIN)/passaparola demo $(ARGS)

up: .venv/ready ## Prefect, worker, web app and deployments
	@$(BIN)/passaparola up $(ARGS)

test: .venv/ready ## every test, on SQLite and on a PostgreSQL of its own
	@$(BIN)/python -m pytest -n 2 $(ARGS)

lint: .venv/ready ## format, lint, types, import contracts, spelling, content
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache && $(BIN)/codespell && $(BIN)/passaparola check

format: .venv/ready ## let ruff write it
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

mutants: .venv/ready ## take every guard away once and see a test turn red; ARGS="words of a name" for some
	@$(BIN)/python -m tests.mutants $(ARGS)

SEEDS ?= 10
SECONDS ?= 60
FIRST ?= 1
chaos: .venv/ready ## everything at once, at random: SEEDS=10 SECONDS=60 FIRST=1; then the ledger's model, ten times as long
	@PASSAPAROLA_CHAOS_SEEDS=$(SEEDS) PASSAPAROLA_CHAOS_SECONDS=$(SECONDS) PASSAPAROLA_CHAOS_FIRST=$(FIRST) $(BIN)/python -m pytest -q tests/faults/test_chaos.py
	@PASSAPAROLA_STEPS=100000 $(BIN)/python -m pytest -q tests/ledger/test_state_machine.py --timeout 20000

bench: .venv/ready ## measured ratios; ONLY=render or ONLY=send for one of them
	@$(BIN)/python -m bench $(ONLY)

lock: .venv/ready ## make requirements.lock anew
	@$(BIN)/uv pip compile pyproject.toml --group dev --all-extras --universal --generate-hashes -q -o requirements.lock

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

.PHONY: demo up test lint format mutants chaos bench lock help
.DEFAULT_GOAL := help
