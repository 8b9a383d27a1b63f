# The targets; `make` alone lists them. PYTHON names the interpreter that makes the environment (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: help report test bench study lab notebooks pins
help:
	@echo "make report     run all notebooks against the emulator and write report/index.html"
	@echo "make test       run the tests, and the notebooks against their committed outputs"
	@echo "make bench      measure what the README's table of benchmarks says, in some minutes"
	@echo "make study      measure how well the median is known, as the README says, in some minutes"
	@echo "make lab        open JupyterLab on notebooks/"
	@echo "make notebooks  run all notebooks and keep their outputs, as they are committed"
	@echo "make pins       compile requirements.txt from pyproject.toml"

$(READY): requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $(READY)

report: $(READY)
	$(BIN) -m giftlib report

test: $(READY)
	$(BIN) -m pytest

bench: $(READY)
	$(BIN) tests/benchmark.py

study: $(READY)
	$(BIN) tests/study.py

lab: $(READY)
	$(BIN) -m jupyterlab notebooks

notebooks: $(READY)
	$(BIN) -m giftlib notebooks

pins:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --quiet \
	    --custom-compile-command "make pins" -o requirements.txt
	echo "-e ." >> requirements.txt
