# Bridgehead's targets. Each sets up what it needs; what is there already is not done again.
PYTHON := .venv/bin/python
SOURCES := src tests tools $(wildcard bench demo fuzz)

.PHONY: check test
check:
	$(PYTHON) -m importlinter.cli lint 2>/dev/null || .venv/bin/lint-imports
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)
	$(PYTHON) -m mypy

test:
	$(PYTHON) -m pytest -n 2
