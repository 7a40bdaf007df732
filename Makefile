# Everything a person does with this checkout. `make` lists it. Each target does its own set-up.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
WORKERS ?= 1# of the tests; 2 where two cores are quiet: drills of real processes wait for nobody
SHARED = $(if $(filter-out 1,$(WORKERS)),-n $(WORKERS) --dist loadscope --no-loadscope-reorder)

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: ## .venv with the ofs command, .jars with the JVM libraries; done once, then instant
	@bash scripts/setup.sh

.PHONY: demo
demo: setup ## build a made-up card-fraud world end to end and show the dataset
	@$(BIN)/ofs demo

.PHONY: test
test: setup ## the default tests
	@$(BIN)/python -m pytest $(SHARED)

.PHONY: test-nightly
test-nightly: setup ## every test, the long ones too
	@$(BIN)/python -m pytest -m "nightly or not nightly" --hypothesis-profile=nightly --timeout=7200

.PHONY: test-unit
test-unit: setup ## the tests that start no JVM
	@$(BIN)/python -m pytest -m "not nightly and not spark"

.PHONY: lint
lint: setup ## ruff (rules and format) and mypy, all strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: bench
bench: setup ## builds beside plain Spark, DuckDB and Polars, 2 M and 8 M events; writes benchmarks/results/
	@$(BIN)/python -m benchmarks --plan bench

.PHONY: bench-nightly
bench-nightly: setup ## two keys, every shape of keys, 20 M events, staged rows; an hour on two quiet cores, 24 GiB of memory, 40 GB of disk
	@$(BIN)/python -m benchmarks --plan nightly
	@$(BIN)/python -m benchmarks --only retry

.PHONY: profile
profile: setup ## where a build on Spark spends CPU and bytes, step by step; writes benchmarks/results/
	@$(BIN)/python -m benchmarks.profiles

.PHONY: lock
lock: setup ## write uv.lock anew after a change of pyproject.toml
	@$$(ls -d .tools/uv-*/bin/uv | tail -1) lock --python $(BIN)/python
	@bash scripts/setup.sh

.PHONY: jars-record
jars-record: setup ## write jars/sha256.txt anew after a change of jars/ivy.xml
	@$(BIN)/python scripts/fetch_jars.py --record

.PHONY: clean
clean: ## remove caches and what tests and Spark leave behind
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -type d -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## clean, and remove everything setup made
	@rm -rf .venv .tools .jars
