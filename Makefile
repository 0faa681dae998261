# Two commands do all the set-up: `make sweep` draws a curve, `make test` runs every test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Kept compiled, tests start in half the time: pytest rewrites the asserts of 250 files.
unexport PYTHONDONTWRITEBYTECODE
INSTALLED := $(VENV)/.installed

.PHONY: sweep test suite fast lint bench docs services clean

sweep: $(INSTALLED)
	$(BIN)/bvae -m experiment=quick

# One process more than processors: tests of kills and of SLURM mostly wait.
# pytest-xdist 3.8 waits for ever once it has replaced a process that died: none is replaced.
PYTEST := $(BIN)/python -m pytest -n $(shell expr $$(nproc) + 1) --dist loadgroup --max-worker-restart=0

test: $(INSTALLED)
	$(MAKE) --jobs=2 lint suite

suite: $(INSTALLED)
	$(PYTEST) --cov --cov-report=

# Tests' folders lie where a grammar would read something into the path.
ODD := /tmp/β a,b [x] 100%j
fast: $(INSTALLED)
	mkdir -p "$(ODD)"
	PYTEST_DEBUG_TEMPROOT="$(ODD)" $(PYTEST) -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks $(ONLY)

docs: $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --group docs
	$(BIN)/mkdocs build --strict

# As root: what some tests talk to.
services:
	bash .ci/services

$(INSTALLED): pyproject.toml constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1,<26"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache
