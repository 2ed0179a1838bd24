# Bridgehead's targets. Each sets up what it needs on a Debian machine with Python 3.11 and make; the second time is quick.
#   make demo      the office of the README, live (DEMO_SECONDS=20 bounds it)
#   make test      the fast tests, interpreted and then, where it makes a difference, compiled
#   make test-all  the slow ones too (crash tests, big numbers), all of them both ways
#   make check     import-linter, ruff, mypy --strict
#   make bench     the table of speed beside Mosquitto, into bench/results/

SHELL := /bin/bash
PYTHON3 ?= python3
PYTHON := .venv/bin/python
SETUP := $(PYTHON3) tools/setup.py
COMPILED := PYTHONPATH=build/compiled BRIDGEHEAD_FLAVOUR=compiled
SOURCES := src tests tools $(wildcard bench demo fuzz)
# Three at a time on two cores: many tests wait for real processes.
PYTEST := $(PYTHON) -m pytest -n 3 --dist worksteal $(PYTEST_OPTIONS)
FUZZ_SECONDS ?= 60
# `make test` runs everything interpreted, and compiled what runs the compiled rooms or a whole hub. The other folders run
# the same files of the rim a second time: `make test-all` does that too.
WITH_COMPILED := $(addprefix tests/,attacks broker clients core crash hostile mqtt node policy store transport/dtls wire) \
	$(addprefix tests/coap/,client codec proxy session test_chain.py test_mapping.py test_random_requests.py test_server.py \
	whole/test_modes.py whole/test_oscore.py) \
	$(addprefix tests/amqp/,client codec session test_dissect.py test_mapping_across.py test_mapping_content_v091.py test_mapping_messages.py \
	test_mapping_names.py test_mapping_values.py test_server.py test_server_cbs.py peers/test_091_pika.py \
	whole/test_clients.py whole/test_receivers.py whole/test_senders.py) \
	$(addprefix tests/dds/,codec mapping session whole)

.PHONY: help setup demo test test-all check bench compile fuzz conformance lock clean

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@$(SETUP) venv compile peers

demo:
	@$(SETUP) venv
	@$(PYTHON) demo/run.py

check:
	@$(SETUP) venv
	.venv/bin/lint-imports
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)
	$(PYTHON) -m mypy

test: setup compile
	BRIDGEHEAD_FLAVOUR=interpreted $(PYTEST)
	$(COMPILED) $(PYTEST) $(WITH_COMPILED)

test-all: setup compile
	BRIDGEHEAD_FLAVOUR=interpreted $(PYTEST) --slow
	$(COMPILED) $(PYTEST) --slow

compile:
	@$(SETUP) venv compile
	@$(PYTHON) tools/compile.py

bench: setup compile
	@$(COMPILED) $(PYTHON) bench/run.py

# Fuzzing runs interpreted: atheris follows the branches of Python code.
fuzz:
	@$(SETUP) venv
	@set -e; for target in fuzz/fuzz_*.py; do \
	    echo "== $$target, $(FUZZ_SECONDS) s"; \
	    mkdir -p build/fuzz/$$(basename $$target .py); \
	    $(PYTHON) $$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 build/fuzz/$$(basename $$target .py); \
	done

# The table of clauses, from the tests' marks and the results of the last runs.
conformance:
	@$(SETUP) venv
	@$(PYTHON) tools/conformance.py

# New pins with hashes, after a change of the dependencies in pyproject.toml (LOCK_OPTIONS=--upgrade for newer ones).
lock:
	@$(SETUP) venv
	@$(PYTHON) tools/lock.py $(LOCK_OPTIONS)

clean:
	rm -rf build dist .setup .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests tools $(wildcard bench demo fuzz) -name __pycache__ -type d -prune -exec rm -rf {} +
