# Set-up, tests and the main job. Nothing but Python 3.11 to 3.13 and a package index is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
DEMO := demo

.PHONY: help setup demo test lint format clean

help:
	@echo "make demo    set penmark up, train on the bundled digits, evaluate, write the report"
	@echo "make test    set up what is missing and run all tests"
	@echo "make lint    ruff and mypy"
	@echo "make format  let ruff format the code"
	@echo "make clean   remove the environment and the demo's run"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

setup: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/penmark train mlp-dropout --data digits --epochs 30 --validation-split 0.1 \
		--seed 0 --out $(DEMO) --overwrite

# Four quick parallel workers would fight for two cores; two keep both busy.
test: $(INSTALLED_DEV)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy

format: $(INSTALLED_DEV)
	$(BIN)/ruff check --fix src tests
	$(BIN)/ruff format src tests

clean:
	rm -rf $(VENV) $(DEMO)
