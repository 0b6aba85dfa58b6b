# Each target is one command on a fresh machine; `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: help setup peers demo test check coverage floor outer bench bench-growth bench-first-page bench-registry clean

help:
	@sed -n 's/^## //p' Makefile

## make setup   the venv at .venv, and on Debian or Ubuntu as root the system parts lamina runs on
setup: $(STAMP)

$(STAMP): pyproject.toml requirements/dev.txt scripts/setup
	PYTHON=$(PYTHON) scripts/setup
	@touch $(STAMP)

## make peers   the other engines that the tests compare with (Debian or Ubuntu, as root)
peers: setup
	scripts/peers

## make demo    the main job, start to end: base image, build, cache, run, logs, commit, save and load
demo: setup
	$(BIN)/python examples/demo.py $(DEMO)

## make test    every test this machine can run; the others say what they miss
test: setup
	$(BIN)/python -m pytest -q $(TESTS)

## make check   style, strict types of the code and its tests, and the structure: layering, sizes, documents that agree
check: setup
	$(BIN)/ruff check src tests examples benchmarks
	$(BIN)/ruff format --check src tests examples benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -o cache_dir=.pytest_cache/structure tests/structure

## make coverage   lines and branches that tests run, in daemons and other processes too; TESTS names some of them
coverage: setup
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q $(TESTS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# Rooms whose tests run in one process for the most part: there a measure costs little and says what is untested.
INNER := api builder dockerfile formats images layers linux snapshots store
COMMA := ,
EMPTY :=
INNER_SOURCES := $(subst $(EMPTY) $(EMPTY),$(COMMA),$(INNER:%=src/lamina/%/*))

## make floor   the tests of the inner rooms; of their lines and branches 91 % must be reached, a number it prints
floor: setup
	$(BIN)/coverage erase
	$(BIN)/coverage run scripts/test_twice $(INNER:%=tests/%)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --include='$(INNER_SOURCES)' --format=total --fail-under=91

# Rooms whose tests take half of the time. They run beside the others, and need no network but their own.
BESIDE := cli dashboard differential explorer hostile registry types

## make outer   all tests that neither `make check` nor `make floor` runs
outer: setup
	$(BIN)/python scripts/test_beside $(BESIDE:%=tests/%) -- tests --ignore=tests/structure \
		$(INNER:%=--ignore=tests/%) $(BESIDE:%=--ignore=tests/%)

## make bench   lamina beside the other engines of this machine and today's (root); figures go to build/bench
bench: setup
	scripts/newest_engines .peers/newest-engines
	PYTHONPATH=tests:examples:benchmarks $(BIN)/python benchmarks/beside_engines.py

## make bench-growth   how processor time grows with files, layers, images and containers (root); to build/bench too
bench-growth: setup
	PYTHONPATH=examples:benchmarks $(BIN)/python benchmarks/how_cost_grows.py

## make bench-first-page   how long a browser takes to paint the dashboard's list (root)
bench-first-page: setup
	PYTHONPATH=tests:examples $(BIN)/python benchmarks/first_page.py

## make bench-registry   the registry beside Debian's docker-registry
bench-registry: setup
	$(BIN)/python benchmarks/beside_docker_registry.py

## make clean   removes the venv and caches
clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* build dist
