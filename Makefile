# Two commands matter: `make demo` and `make test`. `make help` lists the rest.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(if $(PYTHON),$(PYTHON),$(error Headstart needs Python 3.11 or newer; none was found on the PATH)) tools/install.py $(VENV)
INSTALLED_BY := pyproject.toml constraints.txt tools/install.py

.DEFAULT_GOAL := help
.PHONY: help demo test lint types layers bench constraints clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.installed  ## install Headstart into .venv and run its demo
	$(BIN)/headstart demo

# A process a core with one thread each: threads that wait for each other on busy cores cost more than they give.
test: $(VENV)/.installed-dev  ## run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup

lint: $(VENV)/.installed-dev  ## look for mistakes and unused code
	$(BIN)/ruff check

types: $(VENV)/.installed-dev  ## check the types
	$(BIN)/mypy

layers: $(VENV)/.installed-dev  ## check that imports point down
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev  ## run the benchmarks and write benchmarks/results
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

constraints: $(VENV)/.installed-dev  ## resolve the newest versions into constraints.txt
	$(BIN)/python tools/pin.py

clean:  ## remove the environment and what the tools left
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: $(INSTALLED_BY)
	$(INSTALL)
	@touch $@

$(VENV)/.installed-dev: $(INSTALLED_BY)
	$(INSTALL) --extra dev
	@touch $(VENV)/.installed $@
