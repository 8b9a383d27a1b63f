# The targets; `make` alone lists them. PYTHON names the interpreter that makes the environment (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin/python
READY := $(VENV)/.ready
NOTEBOOKS := notebooks
LAB_OPTIONS :=
COVERAGE :=

.PHONY: help report test coverage test-browser lint docs bench study lab notebooks pins wheel-check
help:
	@echo "make report     run notebooks 1 to 8 against the emulator and write report/index.html"
	@echo "make test       run the tests, and the notebooks against their committed outputs"
	@echo "make coverage   the same, measured, with a floor"
	@echo "make test-browser  open notebooks, report, emulator's page and site in Chromium (apt-get install chromium)"
	@echo "make lint       style, types, and whether the notebooks are as make notebooks leaves them"
	@echo "make docs       build the documentation site, build/site/docs/index.html, without a network"
	@echo "make bench      measure the table in docs/benchmarks.md, in some minutes"
	@echo "make study      measure how good the estimates are (docs/study.md), in ten minutes"
	@echo "make lab        open JupyterLab on notebooks/"
	@echo "make notebooks  run all notebooks and keep their outputs, as they are committed"
	@echo "make pins       compile requirements.txt from pyproject.toml"
	@echo "make wheel-check  build the package and try it in an empty environment"

# uv takes a quarter of pip's time, but does not read pip's configuration.
$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("giftlib needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN) -m pip install --quiet --disable-pip-version-check $$(grep ^uv== requirements.txt)
	$(BIN) -m uv pip install --quiet --compile-bytecode --python $(BIN) -r requirements.txt \
	    || $(BIN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $(READY)

report: $(READY)
	$(BIN) -m giftlib report

test: $(READY)
	$(BIN) -m pytest tests --dist=worksteal $(COVERAGE)
	$(BIN) -m pytest notebooks

coverage:
	$(MAKE) test COVERAGE=--cov

test-browser: $(READY)
	$(BIN) -m pytest tests/end_to_end/browser/lab.py tests/end_to_end/browser/page.py tests/end_to_end/browser/emulator.py \
	    tests/end_to_end/browser/docs_site.py

lint: $(READY)
	$(BIN) -m ruff check
	$(BIN) -m ruff format --check
	$(BIN) -m mypy
	$(BIN) tools/notebooks.py --check

docs: $(READY)
	rm -rf docs/api
	$(BIN) -m sphinx --quiet --fail-on-warning --keep-going --jobs auto -c docs . build/site
	@echo build/site/docs/index.html

bench: $(READY)
	$(BIN) tests/benchmarks/startup.py
	$(BIN) tests/benchmarks/benchmark.py
	$(BIN) -m uv run --no-project --with surpyval==0.25 --with-editable . tests/benchmarks/against_surpyval.py

study: $(READY)
	$(BIN) tests/benchmarks/study.py docs/study.md

lab: $(READY)
	$(BIN) -m jupyterlab $(LAB_OPTIONS) $(NOTEBOOKS)

notebooks: $(READY)
	$(BIN) tools/notebooks.py

pins: $(READY)
	$(BIN) -m uv pip compile pyproject.toml --extra notebooks --extra scale --extra excel --extra proxy --group dev \
	    --universal --python-version 3.11 --quiet --custom-compile-command "make pins" -o requirements.txt
	echo "-e ." >> requirements.txt

wheel-check: $(READY)
	tools/check_wheel.sh
