# Everything installs itself: Python 3.11, pip, venv and make are enough. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
PIP_INSTALL = PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=$(CURDIR)/constraints/airflow-$(1).txt $(2)/bin/python -m pip install --quiet
OLD_AIRFLOWS := 2.11 3.1
PROCESSES ?= 2

.PHONY: help demo pictures test test-oldest check format bench clean

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: $(VENV)/.sandbox ## Import lab data end to end, through Airflow, on a sandbox OpenClinica on this machine
	@$(VENV)/bin/python -m demo

pictures: $(VENV)/.sandbox ## Draw the pictures in docs again, from the tables of the sandbox's demo study
	@$(VENV)/bin/python -m demo.pictures

test: $(VENV)/.test ## Run the whole suite on Airflow 3.3
	$(VENV)/bin/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-oldest: $(OLD_AIRFLOWS:%=test-on-%) ## Run what must hold on older Airflows, on 2.11 and 3.1

test-on-%: $(VENV)-%/.compat
	$(VENV)-$*/bin/python -m pytest tests/compat $(PYTEST_ARGS)

check: $(VENV)/.test ## Lint and type-check
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.test ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.bench ## Run the benchmarks; each prints ratios measured in this run
	$(VENV)/bin/python -m benchmarks $(BENCH_ARGS)

clean: ## Remove the environments and every cache
	rm -rf $(VENV) $(OLD_AIRFLOWS:%=$(VENV)-%) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

$(VENV)/bin/python:
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)-%/bin/python:
	@echo "Making $(VENV)-$*"
	@$(PYTHON) -m venv $(VENV)-$*

$(VENV)/.sandbox: pyproject.toml constraints/airflow-3.3.txt | $(VENV)/bin/python
	@echo "Installing Airflow 3.3 and the provider (a minute or two, once)"
	@$(call PIP_INSTALL,3.3,$(VENV)) -e '.[sandbox]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints/airflow-3.3.txt | $(VENV)/.sandbox
	@echo "Installing what the tests need"
	@$(call PIP_INSTALL,3.3,$(VENV)) -e '.[test,check]'
	@touch $@

$(VENV)/.bench: pyproject.toml constraints/airflow-3.3.txt | $(VENV)/.test
	@echo "Installing what the benchmarks compare with"
	@$(call PIP_INSTALL,3.3,$(VENV)) -e '.[bench]'
	@touch $@

.PRECIOUS: $(VENV)-%/.compat $(VENV)-%/bin/python
$(VENV)-%/.compat: pyproject.toml constraints/airflow-%.txt | $(VENV)-%/bin/python
	@echo "Installing Airflow $* and the provider"
	@$(call PIP_INSTALL,$*,$(VENV)-$*) -e '.[sandbox]' pytest jsonschema psutil
	@touch $@
