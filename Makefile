# Set-up, tests and the main job. Nothing but Python 3.11 to 3.13 and a package index is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
INSTALLED_DOCS := $(VENV)/.installed-docs
DEMO := demo
PEERS := jax tensorflow torch sklearn onnxruntime
BENCH :=

.PHONY: help setup demo docs test lint format sanitize web web-fresh bench-peers clean

help:
	@echo "make demo    set penmark up, train on the bundled digits, evaluate, write the report"
	@echo "make test    set up what is missing and run all tests"
	@echo "make lint    ruff and mypy"
	@echo "make format  let ruff format the code"
	@echo "make sanitize  the core under AddressSanitizer, UBSan and ThreadSanitizer"
	@echo "make web     build the studio's page (needs Node 20 or later)"
	@echo "make bench-peers  set the peers up and compare with them: benchmarks/README.md"
	@echo "make docs    build the documentation site, offline, into build/docs/site"
	@echo "make clean   remove the environment, the demo's run and the site"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): $(BIN)/python pyproject.toml $(wildcard native/*)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(INSTALLED_DOCS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

setup: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/penmark train mlp-dropout --data digits --epochs 30 --validation-split 0.1 \
		--seed 0 --out $(DEMO) --overwrite

# Runs the lessons, and keeps their outputs until their code changes.
docs: $(INSTALLED_DOCS)
	$(BIN)/python -m sphinx -b html -q -W --keep-going -c docs/site -d build/docs/doctrees . build/docs/site
	@echo "build/docs/site/index.html"

# Three workers keep two cores busy, since a third of the time a test waits for a browser, a server or
# a clock; their trainings take one thread each, since threads that share a core wait for one another.
# `make docs` takes over the lessons that ran here.
test: $(INSTALLED_DEV)
	PENMARK_KEEP_LESSONS=build/docs/executed PENMARK_THREADS=1 \
		$(BIN)/python -m pytest -n 3 --dist worksteal

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

format: $(INSTALLED_DEV)
	$(BIN)/ruff check --fix src tests benchmarks
	$(BIN)/ruff format src tests benchmarks

# Each build gets a copy of the package with its own core, and -S keeps the editable install out of
# the way; the sanitizers' libraries must be loaded before Python. TSan leaves out Ctrl-C (it cannot
# see into Python's signal handling) and the random networks (slow); NumPy keeps to one thread,
# since OpenBLAS's own threads race.
SITE = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
SANITIZED = -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
sanitize: $(INSTALLED_DEV)
	$(BIN)/python -m pip install --quiet cmake ninja nanobind
	for kind in address,undefined thread; do \
		build=build/sanitize-$${kind%%,*}; \
		PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S native -B $$build -G Ninja $(SANITIZED) -DPENMARK_SANITIZE=$$kind && \
		PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build $$build && \
		rm -rf $$build/python && mkdir -p $$build/python && cp -r src/penmark $$build/python/ && \
		rm -f $$build/python/penmark/engine/_core*.so && \
		cp $$build/_core*.so $$build/python/penmark/engine/ || exit 1; \
	done
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		PYTHONPATH=build/sanitize-address/python:.:$(SITE) $(BIN)/python -S -m pytest tests/native -q
	LD_PRELOAD="$$(gcc -print-file-name=libtsan.so)" TSAN_OPTIONS=halt_on_error=1 OPENBLAS_NUM_THREADS=1 \
		PYTHONPATH=build/sanitize-thread/python:.:$(SITE) $(BIN)/python -S -m pytest tests/native -q \
		-k "not control_c and not random"

# The page's types come from the server's schema, so that the two cannot drift apart.
web: $(INSTALLED_DEV)
	cd web && npm ci --ignore-scripts --no-audit --no-fund
	$(BIN)/python -m penmark.studio.openapi | (cd web && npm run --silent types)
	cd web && npm run --silent build

# The committed bundle and types are what the sources give.
BUILT := web/src/api/schema.d.ts src/penmark/studio/static
web-fresh: web
	git --no-pager diff --stat -- $(BUILT)
	@test -z "$$(git status --porcelain -- $(BUILT))" || \
		{ echo "the studio's page is not what its sources give; run make web and commit it"; exit 1; }

# A peer that cannot be installed here is left out; the benchmark names it.
bench-peers: $(INSTALLED)
	-$(MAKE) --keep-going $(PEERS:%=benchmarks/.venv-%/.installed)
	$(BIN)/python benchmarks/peers.py $(BENCH)

benchmarks/.venv-%/.installed: benchmarks/requirements-%.txt
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --requirement $< || { rm -rf $(@D); exit 1; }
	@touch $@

clean:
	rm -rf $(VENV) $(DEMO) build/docs benchmarks/.venv-*
