# Every target sets up what it needs in .venv; a machine with python3, a C++17 compiler and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := pyproject.toml setup.py $(shell find csrc -type f) $(wildcard pyqmc_art/*.pyx pyqmc_art/*.pxd)
CPP := $(filter %.cpp %.hpp %.inl %.cu,$(NATIVE))

# A compiler that fails is an error here; PYQMC_REQUIRE_NATIVE=0 lets Numba serve instead.
export PYQMC_REQUIRE_NATIVE ?= 1

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint types bench profile docs format clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/art.ready  ## build, sample, check against exact results, put paintings on trial: demo/index.html
	$(BIN)/pyqmc-art demo --out demo
	@echo "report: $(CURDIR)/demo/index.html"

test: $(VENV)/test.ready $(VENV)/art.ready  ## unit tests and doctests
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/test.ready $(VENV)/art.ready  ## the long tests: statistics at full size, sdist, wheel, installations
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal

lint: $(VENV)/lint.ready  ## ruff and clang-format, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(CPP)

types: $(VENV)/lint.ready $(VENV)/art.ready  ## mypy, strict
	$(BIN)/mypy

bench: $(VENV)/test.ready $(VENV)/art.ready $(VENV)/peers.ready  ## benchmarks: first correct, then timed; docs/benchmarks.md
	$(BIN)/python -m benchmarks

profile: $(VENV)/test.ready  ## instructions of the hot loops, counted one by one; docs/profiles.md
	$(BIN)/python -m benchmarks.profile

docs: $(VENV)/docs.ready $(VENV)/art.ready  ## HTML documentation in docs/_build/html
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html

format: $(VENV)/lint.ready  ## let ruff and clang-format rewrite the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

clean:  ## remove everything that was built, .venv included
	rm -rf $(VENV) build dist demo docs/_build *.egg-info pyqmc_art/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11; say which one to use: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "$(PYTHON) -m venv failed; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

# core.ready: the package alone; NAME.ready: the package and its extra NAME. Compiled again when its sources change.
$(VENV)/%.ready: $(NATIVE) | $(BIN)/python
	@echo "installing pyqmc-art$(filter-out [core],[$*]) into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(filter-out [core],[$*])'
	@touch $@
