# make help
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
# the newest Python that is supported and installed; override it: make demo PYTHON=/path/to/python
PYTHON := $(firstword $(foreach v,3.13 3.12 3.11,$(shell python$(v) -c 'import sys; print(sys.executable)' 2>/dev/null)) python3)

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: install ## train on 1,797 real digits that come with the package, no download (installs first)
	$(BIN)/trainer experiment=digits_cnn

test: install-dev ## lint, types and the quick tests (installs first)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -n 2 -m "not slow"

test-full: install-dev ## every test, the slow ones too; real data where TRAINER_DATA_DIR points at them
	$(BIN)/pytest -n 2

lint: install-dev ## mend what ruff can mend, then say what is left
	$(BIN)/ruff check --fix
	$(BIN)/mypy

format: install-dev ## lay out the code
	$(BIN)/ruff format

bench: install-dev ## ours against a plain loop, the tutorials and the template: an hour or so; data from TRAINER_DATA_DIR
	$(BIN)/python benchmarks/bench.py

bench-quick: install-dev ## the same with fewer steps and rounds: about ten minutes
	$(BIN)/python benchmarks/bench.py --quick

docs: install-dev ## build the documentation into site/
	$(BIN)/mkdocs build --strict

lock: install-dev ## write constraints.txt anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --all-extras --no-header --no-annotate pyproject.toml -o constraints.txt

clean: ## delete what was built and cached; outputs/ and data/ stay
	rm -rf $(VENV) dist site .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# the versions that were tested together (constraints.txt), bytecode compiled once and not at every start
install: $(VENV)/installed
install-dev: $(VENV)/installed-dev

$(VENV)/installed: pyproject.toml constraints.txt
	$(call setup,.)
	@touch $@
$(VENV)/installed-dev: pyproject.toml constraints.txt
	$(call setup,.[dev])
	@touch $@ $(VENV)/installed

define setup
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else f"trainer needs Python 3.11, 3.12 or 3.13; {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=/path/to/python3.12")'
	@echo "setting up $(VENV) ($(1)): about 5 GB with PyTorch's CUDA libraries, a minute or more"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.8
	@$(BIN)/uv pip install --quiet --system-certs --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '$(1)' \
	  || $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '$(1)' # slower, but knows pip's settings
endef

.PHONY: help demo test test-full lint format bench bench-quick docs lock clean install install-dev
