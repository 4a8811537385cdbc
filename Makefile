# Every task of the project. Each sets up what it needs in .venv by itself.
#
#   make PYTHON=python3.13 test       another Python (after `make clean`)
#   make test ARGS="-m 'not slow'"    arguments for pytest, for the benchmarks or for the demo

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip
INSTALL := $(PIP) install -qq --constraint constraints.txt
PYTEST := pytest --numprocesses=auto --maxprocesses=8 --dist=worksteal

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check lint types layers fix coverage bench bench-recall campaign docs constraints clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.core ## show what the package does, in a store of its own
	@$(BIN)/omega-persistence demo $(ARGS)

test: $(VENV)/.installed ## run the tests
	@$(BIN)/$(PYTEST) $(ARGS)

check: lint types layers test ## run everything that a change must pass

lint: $(VENV)/.installed ## check style and formatting
	@echo "lint"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(VENV)/.installed ## check types
	@echo "types"
	@$(BIN)/basedpyright

layers: $(VENV)/.installed ## check which module imports which
	@echo "layers"
	@$(BIN)/lint-imports --no-logo

fix: $(VENV)/.installed ## repair style and formatting where a tool can
	@$(BIN)/ruff check --fix --exit-zero
	@$(BIN)/ruff format

coverage: $(VENV)/.installed ## run the tests and report what they do not reach
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m $(PYTEST) $(ARGS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

bench: $(VENV)/.core ## measure; bench-recall DATA=path: what recall finds in LoCoMo
	@$(BIN)/python benchmarks/run.py $(ARGS)

bench-recall: $(VENV)/.core
	@$(BIN)/python benchmarks/recall.py $(DATA) $(ARGS)

campaign: $(VENV)/.core ## try to break a store in every way; campaign-powerloss: in one way
	@$(BIN)/python -m campaigns.run $(ARGS)

campaign-%: $(VENV)/.core
	@$(BIN)/python -m campaigns.$(subst -,_,$*) $(ARGS)

docs: $(VENV)/.docs ## build the documentation into build/docs
	@$(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

clean: ## remove everything that can be made again, .venv too
	rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks campaigns examples docs -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# Newest versions that suit every supported Python at once, from the oldest on, on every platform.
constraints: ## choose new versions of all dependencies
	@rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	@build/constraints/bin/python -m pip install -qq --upgrade pip uv
	@printf '%s\n' pip hatchling editables > build/constraints/tools.in
	@build/constraints/bin/uv pip compile -q --no-header --no-annotate \
		--universal --python-version 3.11 --fork-strategy fewest \
		--all-extras --group dev --group docs --group bench \
		pyproject.toml build/constraints/tools.in > build/constraints/constraints.txt
	@mv build/constraints/constraints.txt constraints.txt
	@rm -rf build/constraints
	@git --no-pager diff --stat -- constraints.txt
	@echo "Now run: make check"

# What the stamps stand for: .core the package, .installed also the tools, .docs also Sphinx.

$(VENV)/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, but $(PYTHON) is " + sys.version.split()[0] + "; try: make PYTHON=python3.13 ...")'
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --upgrade pip
	@$(INSTALL) --build-constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed: $(VENV)/.core
	@echo "installing the development tools"
	@$(INSTALL) --group dev
	@touch $@

$(VENV)/.docs: $(VENV)/.core
	@echo "installing Sphinx"
	@$(INSTALL) --group docs
	@touch $@
