# Each target does its own set-up: all it needs is Python 3.11 or newer and make.
#
#   PYTHON       the interpreter that makes the environment  make test PYTHON=python3.13 VENV=.venv-3.13
#   VENV         the environment, one for each interpreter
#   ARGS         options of demo, bench-nuts, release-test   make demo ARGS="--draws 500 --seed 1"
#   PYTEST_ARGS  further options of pytest                   make test PYTEST_ARGS="tests/laws -k grad"
#   INTERPRETERS where the wheel is tried                    make release-test INTERPRETERS="python3.11 python3.13"
#   WORKERS      processes that share the tests, at most 4   make test WORKERS=0

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
PYTEST_ARGS ?=
INTERPRETERS ?= $(PYTHON)
WORKERS ?= auto

RUN := $(VENV)/bin/python -m
READY := $(VENV)/.ready
# The tools of the site alone: they read the source and import nothing of the package.
DOCS_VENV := $(VENV)-docs
DOCS_READY := $(DOCS_VENV)/.ready
# Neighboring tests share compiled functions: each process gets one long stretch of them, and takes
# from the others what they have not come to when its own is done.
PARALLEL := --numprocesses $(WORKERS) --maxprocesses 4 --dist worksteal

NOTEBOOKS := $(wildcard notebooks/*.ipynb)

# Small factorizations in threads wait for one another while other processes have the cores.
export OPENBLAS_NUM_THREADS ?= 1

# conftest.py has the tests compiled with few passes; where running takes the time, all are worth it.
slow bench: export JAX_DISABLE_MOST_OPTIMIZATIONS ?= 0

.DEFAULT_GOAL := help
.PHONY: help demo test slow lint docs pictures bench bench-nuts notebooks notebooks-test \
  build release-test clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## sample a spline of latent inputs on real data (options: ARGS="--help")
	$(RUN) numpyro_splines $(ARGS)

test: $(READY) ## run the tests, doctests included, but for the slow ones and the notebooks
	$(RUN) pytest $(PARALLEL) -m "not slow and not notebook" $(PYTEST_ARGS)

slow: $(READY) ## run the slow tests
	$(RUN) pytest $(PARALLEL) -m slow $(PYTEST_ARGS)

lint: $(READY) ## check format, style and types
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) pyright --pythonpath $(VENV)/bin/python

# Material for MkDocs announces on each run that its maintenance ends in May 2027 and that Zensical,
# which reads the same mkdocs.yml, follows it. That is known, and noted in CONTRIBUTING.md.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(DOCS_READY) ## build the documentation into site/; warnings are errors
	$(DOCS_VENV)/bin/python -m mkdocs build --strict

pictures: $(READY) ## draw the pictures of README.md and of the reference of plotting anew
	$(VENV)/bin/python docs/pictures/draw.py

bench: $(READY) ## time the engine against the alternatives
	$(RUN) pytest -o pythonpath=benchmarks benchmarks $(PYTEST_ARGS)

bench-nuts: $(READY) ## time whole NUTS runs: latent inputs, parametrizations of a smooth
	$(VENV)/bin/python benchmarks/nuts_latent.py $(ARGS)
	$(VENV)/bin/python benchmarks/nuts_gaussian.py
	$(VENV)/bin/python benchmarks/nuts_grid.py

# tqdm would ask for ipywidgets in a warning that puts a path of this machine into the notebook.
notebooks: export PYTHONWARNINGS = ignore:IProgress not found
notebooks: $(READY) ## execute the notebooks in place
	$(if $(NOTEBOOKS),$(RUN) nbconvert --to notebook --execute --inplace $(NOTEBOOKS),@echo "no notebooks/*.ipynb here")

notebooks-test: $(READY) ## execute the notebooks on fewer data and draws, and keep nothing
	$(RUN) pytest $(PARALLEL) -m notebook $(PYTEST_ARGS) tests/test_notebooks.py

build: $(READY) ## build the source archive, and from it the wheel, into dist/
	rm -rf dist
	$(RUN) build

release-test: build ## try the wheel in bare environments, with newest and lowest dependencies
	$(VENV)/bin/python .ci/release_test.py $(ARGS) dist/*.whl $(INTERPRETERS)

# $(call set_up,ENVIRONMENT,WHAT PIP INSTALLS)
define set_up
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
  echo "numpyro_splines needs Python 3.11 or newer, but $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1)." \
    "Name another interpreter, for example: make test PYTHON=python3.12" >&2; exit 1; }
@echo "Setting up $(1) with $$($(PYTHON) --version); this takes a few minutes, once."
@$(PYTHON) -m venv $(1)
@$(1)/bin/python -m pip install --quiet --upgrade pip
@$(1)/bin/python -m pip install --quiet $(2)
@touch $@
endef

# Both run again only when pyproject.toml has changed: the install is editable.
$(READY): pyproject.toml
	$(call set_up,$(VENV),--editable . --group dev)

$(DOCS_READY): pyproject.toml
	$(call set_up,$(DOCS_VENV),--group docs)

clean: ## remove the environments and all caches
	@for place in .venv .venv-* $(VENV) $(DOCS_VENV); do \
	  if [ -f "$$place/pyvenv.cfg" ]; then rm -rf "$$place"; fi; done
	rm -rf .benchmarks .hypothesis .pytest_cache .ruff_cache build dist site
	find . -name __pycache__ -prune -exec rm -rf {} +
