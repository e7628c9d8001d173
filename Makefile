# One environment, .venv, made with plain python3. `make book` puts only the book's tools into it;
# `make test` adds the package and everything else. Stamps follow pyproject.toml.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BOOK := _build/html
NOTEBOOKS = $(wildcard notebooks/*.ipynb)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

.PHONY: help book test lint format reference execute explorer-scripts notebooks-test clean distclean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed and $(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo missing)." \
	       "Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. On Debian or Ubuntu: sudo apt-get install python3-venv"; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The `book` extra is read out of pyproject.toml, because installing the package itself would
# bring TensorFlow, which stored outputs do not need.
$(VENV)/.book: $(VENV)/.made pyproject.toml
	@echo "Installing the book's tools into $(VENV) ..."
	@$(BIN)/python -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; print(*extras["book"], sep="\n")' > $(VENV)/book.txt
	@$(PIP) -r $(VENV)/book.txt
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo "Installing the package and its tests into $(VENV) (TensorFlow is large) ..."
	@$(PIP) --editable '.[book,offline,test]'
	@touch $@ $(VENV)/.book

book: $(VENV)/.book ## build the book into _build/html from its stored outputs
	@# --all: a page that warned before must warn again, also when nothing changed
	$(BIN)/jupyter-book build . --all -W -n --keep-going
	@echo; echo "The book is built. Open it with:"
	@echo "    $(PYTHON) -m webbrowser -t 'file://$(CURDIR)/$(BOOK)/index.html'"

# The real data is used where VAE_GMVAE_DATA_DIR or the folder ../shared/data offers it.
define DATA
if [ -n "$${VAE_GMVAE_DATA_DIR:-}" ]; then \
  export VAE_GMVAE_DATA_DIR="$$(cd "$$VAE_GMVAE_DATA_DIR" && pwd)"; \
  echo "Real data: $$VAE_GMVAE_DATA_DIR"; \
elif [ -d ../shared/data ]; then \
  export VAE_GMVAE_DATA_DIR="$$(cd ../shared/data && pwd)"; \
  echo "Real data: ../shared/data"; \
else \
  echo "No real data (VAE_GMVAE_DATA_DIR is not set): tests that need it are skipped."; \
fi
endef

test: $(VENV)/.test lint ## check the style and run every test
	@[ -d $(BOOK) ] || echo "No built book: the page tests are skipped ('make book' builds it)."
	@$(DATA); \
	 TF_CPP_MIN_LOG_LEVEL=$${TF_CPP_MIN_LOG_LEVEL:-3} $(BIN)/python -m pytest

lint: $(VENV)/.test ## check the style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.test ## mend the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(VENV)/.test ## train the reference runs and store them with the package: an hour or two
	@$(DATA); $(BIN)/python benchmarks/reference_runs.py

execute: $(VENV)/.test ## re-execute every notebook in place, or NOTEBOOKS=..., at reference speed
	@[ -n "$(NOTEBOOKS)" ] || { echo "There is no notebook in notebooks/."; exit 1; }
	@$(DATA); \
	 VAE_GMVAE_SPEED=reference $(BIN)/python book/tools/execute.py $(NOTEBOOKS)

explorer-scripts: $(VENV)/.test ## give the stored explorers their scripts of today, without executing
	@$(BIN)/python book/tools/explorer_scripts.py $(NOTEBOOKS)

notebooks-test: $(VENV)/.test ## re-execute every notebook at smoke speed and compare its outputs
	@[ -n "$(NOTEBOOKS)" ] || { echo "There is no notebook in notebooks/."; exit 1; }
	@$(DATA); \
	 VAE_GMVAE_SPEED=smoke $(BIN)/python book/tools/notebooks_test.py $(NOTEBOOKS)

clean: ## remove what builds and tests have made
	rm -rf _build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the environment too
	rm -rf $(VENV)
