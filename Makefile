# Everything a newcomer or a maintainer runs. `make` alone lists it.
#   PYTHON=python3.12 make test    another interpreter; the environment is made anew for it
#   VENV=/some/where make test     another place for the environment

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TESTS ?= tests

# The stamps lie in the environment, so deleting it forgets them.
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
MADE := $(VENV)/.made-by-$(PYTHON_VERSION)
BASE := $(VENV)/.base-installed
DEV := $(VENV)/.dev-installed
RAY := $(VENV)/.ray-installed
PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

# Test processes, each on one core.
WORKERS ?= 2

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test full check format trace bench clean

help: ## list these targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: $(BASE) ## build the demo bundle and render the demo jobs (no torch, no GPU)
	$(BIN)/sakuga build demo --out build/demo.sakuga
	$(BIN)/sakuga render build/demo.sakuga --jobs export/demo/jobs.jsonl --out build/demo
	@echo "The pictures are in $(CURDIR)/build/demo, all of them in contact-sheet.png there."

test: export OMP_NUM_THREADS := 1
test: $(DEV) ## run the test suite, all but the slow tests and those that need a GPU
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal -m "not slow and not gpu" $(TESTS)

full: $(RAY) ## run the slow tests too: minutes and gigabytes more
	$(BIN)/pytest -q -m "not gpu" $(TESTS)

check: $(DEV) ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --project pyproject.toml --pythonpath $(BIN)/python

format: $(DEV) ## rewrite the sources as `make check` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

trace: $(DEV) ## trace the shipped graphs anew (maintainers; four minutes)
	$(BIN)/python -P -m sakuga.export.trace

bench: $(DEV) ## run the measurements of bench/, each against its bar
	$(BIN)/python bench/all.py

clean: ## delete the environment, caches, bundles and pictures
	rm -rf $(VENV) build dist src/sakuga.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Sakuga needs Python 3.11 or newer; $(PYTHON) is $(or $(PYTHON_VERSION),not there)." \
	         "Name another one: PYTHON=python3.12 make $(MAKECMDGOALS)"; exit 1; }
	@echo "Creating $(VENV) with Python $(PYTHON_VERSION)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(BASE): $(MADE) pyproject.toml constraints.txt
	@echo "Installing Sakuga"
	@$(PIP_INSTALL) --editable .
	@touch $@

$(DEV): $(BASE)
	@echo "Installing what tests, checks and tracing need (torch, TensorRT for RTX, NVRTC: minutes the first time)"
	@$(PIP_INSTALL) --editable '.[dev,verify,rtx,cuda,serve]'
	@$(PIP_INSTALL) --no-deps spandrel einops  # it asks for torchvision, which nothing here uses
	@touch $@

$(RAY): $(DEV)
	@echo "Installing Ray, which slow tests need"
	@$(PIP_INSTALL) --editable '.[ray]'
	@touch $@
