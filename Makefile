# convlab: `make` lists what there is to do. Each target sets up .venv by itself, once.
# PYTHON=... chooses the Python of .venv, TORCH_INDEX=... where torch comes from (docs/how-to/install.md).
BIN := .venv/bin
SETUP := .venv/.set-up
OUTSIDE := $(PATH)
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Not empty if .venv must be made anew: it is of another folder, its Python is gone, or PYTHON is another one
STALE := $(shell { [ "$$(cat $(SETUP))" = "$(CURDIR)" ] && $(BIN)/python -V && \
  [ -z "$(PYTHON)" -o "$$($(BIN)/python -V)" = "$$("$(or $(PYTHON),:)" -V)" ]; } >/dev/null 2>&1 || echo stale)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-scale check format repro ui docs bench bench-full wheel lock clean stale

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(SETUP): pyproject.toml $(wildcard requirements/*.txt) $(STALE)
ifdef STALE
	@python=$$(PATH="$(OUTSIDE)" sh requirements/python.sh $(if $(PYTHON),"$(PYTHON)")) && \
	  echo "Setting up .venv with $$("$$python" -V), $$python (a minute or more, once)" && \
	  "$$python" -m venv --clear .venv
endif
	@$(BIN)/python requirements/install.py --dev $(TORCH_INDEX:%=--torch-index %)
	@echo "$(CURDIR)" > $@

demo: $(SETUP) ## run the pipeline on the embedded sample, offline, and show the comparison
	@if dvc status --quiet --with-deps compare@sample; \
	  then convlab compare digits_fully_connected digits_lenet5 patches_linear_head; \
	  else dvc repro compare@sample; fi
	@echo "The same as a page: reports/sample/comparison.html    Every run: make ui"

test: $(SETUP) ## run the tests (some minutes)
	@python -m pytest -q

test-slow: $(SETUP) ## run the tests that take long, too
	@python -m pytest -q -m ''

SCALE := $(addprefix tests/, features/shared features/test_cluster_page.py features/test_on_ray.py \
  data/test_store_folder.py training/test_distributed.py training/test_launchers.py tracking/test_team_services.py)
test-scale: $(SETUP) ## run the tests on what is started here: Ray, SLURM, PostgreSQL, an object store
	@python -m pip install -qq --no-deps --require-hashes -r requirements/ray.txt
	@python -m pytest -q -n0 -m '' $(SCALE)

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

wheel: $(SETUP) ## build the package: dist/
	@python -m hatchling build -t wheel

lock: ## pin every package anew, with hashes (needs uv): requirements/
	@python3 requirements/lock.py

clean: ## remove what the pipeline made, less data, runs and tracking (.convlab, reports, features)
	@rm -rf .convlab reports features build site .cache .pytest_cache .mypy_cache .ruff_cache
