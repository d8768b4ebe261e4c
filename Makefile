# make help
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
# the newest installed Python that is supported; to override it: make demo PYTHON=/path/to/python
PYTHON := $(firstword $(foreach v,3.14 3.13 3.12 3.11,$(shell python$(v) -c 'import sys; print(sys.executable)' 2>/dev/null)) python3)

help: ## print this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: install ## train on 1,797 real digits that come with the package, without a download (installs first)
	$(BIN)/trainer experiment=digits_cnn

test: install-dev ## run lint, type checks and the quick tests (installs first)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -n 2 -m "not slow"

test-full: install-dev ## run all tests, also the slow ones; real data are read from TRAINER_DATA_DIR
	$(BIN)/pytest -n 2

test-lowest: ## run the tests of private interfaces with the lowest allowed versions, in .venv-lowest
	$(call test_versions,lowest-direct,.venv-lowest)

test-newest: ## run the same tests with the newest allowed versions, in .venv-newest
	$(call test_versions,highest,.venv-newest)

lint: install-dev ## fix what ruff can fix, and print the remaining problems
	$(BIN)/ruff check --fix
	$(BIN)/mypy

format: install-dev ## format the code
	$(BIN)/ruff format

bench: install-dev ## compare with a plain loop, the tutorials and the template: about an hour; data from TRAINER_DATA_DIR
	$(BIN)/python benchmarks/bench.py

bench-quick: install-dev ## the same with fewer steps and rounds: about ten minutes
	$(BIN)/python benchmarks/bench.py --quick

docs: install-dev ## build the documentation into site/
	$(BIN)/python docs/generate/site.py

reference: install-dev ## regenerate docs/reference/ and llms.txt from docstrings, types, YAML comments and docs/index.md
	$(BIN)/python docs/generate/reference.py
	$(BIN)/python docs/generate/json_output.py
	$(BIN)/python docs/generate/llms.py

demo-output: install-dev ## regenerate the output of make demo in the documentation
	$(BIN)/python docs/generate/demo.py

curves: install-dev ## regenerate the pictures of docs/reading-curves.md
	$(BIN)/python docs/generate/curves.py

tutorial: install-dev ## execute the cells of docs/tutorial.ipynb and store their outputs
	$(BIN)/python docs/generate/tutorial.py

pictures: install-dev ## regenerate the screenshots of docs/reports.md; needs Chromium and playwright
	$(BIN)/python docs/generate/pictures.py

lock: install-dev ## regenerate constraints.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --all-extras --no-header --no-annotate pyproject.toml -o constraints.txt

clean: ## delete build outputs and caches; keep outputs/ and data/
	rm -rf $(VENV) .venv-lowest .venv-newest dist site .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# install the versions that were tested together (constraints.txt), with compiled bytecode
install: $(VENV)/installed
install-dev: $(VENV)/installed-dev

$(VENV)/installed: pyproject.toml constraints.txt
	$(call setup,.)
	@touch $@
$(VENV)/installed-dev: pyproject.toml constraints.txt
	$(call setup,.[dev])
	@touch $@ $(VENV)/installed

define setup
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 15) else f"trainer needs Python 3.11 to 3.14; {sys.executable} is {v[0]}.{v[1]}; use another one: make PYTHON=/path/to/python3.12")'
	@echo "setting up $(VENV) ($(1)): about 5 GB with PyTorch's CUDA libraries, a minute or more"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.8
	@$(BIN)/uv pip install --quiet --system-certs --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '$(1)' \
	  || $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '$(1)' # slower, but uses pip's settings
endef

# tests of all code that depends on internals of other libraries; deprecation warnings of old versions are no errors
VERSION_TESTS := tests/core/test_compat.py tests/core/test_lazy_imports.py tests/training/loop tests/artifacts/test_checkpoint_metadata.py tests/artifacts/test_loggers.py tests/test_run.py
define test_versions
	@test -x $(2)/bin/python || $(PYTHON) -m venv $(2)
	@$(2)/bin/pip install --quiet --disable-pip-version-check uv==0.13.8
	@$(2)/bin/uv pip install --quiet --system-certs --upgrade --resolution $(1) --python $(2)/bin/python --editable . \
	  hypothesis==6.140.0 pytest==9.0.0 pytest-timeout==2.4.0 pytest-xdist==3.8.0
	$(2)/bin/python -m pytest -n 2 -m "not slow" -o filterwarnings=default $(VERSION_TESTS)
endef

.PHONY: help demo test test-lowest test-newest test-full lint format bench bench-quick docs reference demo-output curves pictures tutorial lock clean install install-dev
