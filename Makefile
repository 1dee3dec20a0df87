# convlab: `make` lists what there is to do. Each target sets up .venv by itself, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SETUP := .venv/.set-up
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check format repro ui docs bench bench-full clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(SETUP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v[:2] != (3, 11) and f"convlab needs Python 3.11, found {v[0]}.{v[1]}: make PYTHON=/path/to/python3.11")'
	@echo "Setting up .venv (some minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(SETUP) ## run the pipeline on the embedded sample, offline, and show the comparison
	@if dvc status --quiet --with-deps compare@sample; \
	  then convlab compare digits_fully_connected digits_lenet5 patches_linear_head; \
	  else dvc repro compare@sample; fi
	@echo "The same as a page: reports/sample/comparison.html    Every run: make ui"

test: $(SETUP) ## run the tests (some minutes)
	@python -m pytest -q

test-slow: $(SETUP) ## run the tests that take long, too
	@python -m pytest -q -m ''

check: $(SETUP) ## lint, formatting, layers of imports, types
	@ruff check .
	@ruff format --check .
	@lint-imports --no-cache --no-logo
	@mypy

format: $(SETUP) ## put the code into its form
	@ruff check --fix-only --quiet .
	@ruff format .

repro: $(SETUP) ## run the whole pipeline on the real data (downloads, or CONVLAB_MIRROR)
	@dvc repro

ui: $(SETUP) ## browse the runs in MLflow at http://127.0.0.1:5000
	@convlab ui

docs: $(SETUP) ## build the documentation's site, links checked: site/index.html
	@python docs/build_site.py

bench: $(SETUP) ## measure against peers, up to an hour: docs/performance.md
	@for program in benchmarks/bench_*.py; do python $$program || exit 1; done
	@python benchmarks/report.py

bench-full: $(SETUP) ## the same with five seeds of the slow ones, some hours
	@for program in benchmarks/bench_*.py; do \
	  case $$program in *bench_mnist.py) more="--peer-seeds 5 --best-seeds 5";; *) more=;; esac; \
	  python $$program $$more || exit 1; done
	@python benchmarks/report.py

clean: ## remove what the pipeline made, less data, runs and tracking (.convlab, reports, features)
	@rm -rf .convlab reports features build site .cache .pytest_cache .mypy_cache .ruff_cache
