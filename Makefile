# Each target is one command on a fresh machine; `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: help setup peers demo test check coverage bench bench-registry clean

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
	$(BIN)/python -m pytest -q tests/structure

## make coverage   lines and branches that tests run, in daemons and other processes too; TESTS names some of them
coverage: setup
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q $(TESTS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

## make bench   a first look at speed, beside dockerd where it is installed (root)
bench: setup
	PYTHONPATH=tests:examples $(BIN)/python benchmarks/beside_dockerd.py

## make bench-registry   the registry beside Debian's docker-registry
bench-registry: setup
	$(BIN)/python benchmarks/beside_docker_registry.py

## make clean   removes the venv and caches
clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* build dist
