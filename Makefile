# Three commands for a newcomer: `make demo`, `make test` and `make check`. Each installs what it needs first.
PYTHON ?= python3
# A Python that was chosen has an environment of its own: .venv-3.13 for `make test PYTHON=python3.13`.
VENV := .venv$(if $(filter-out file,$(origin PYTHON)),-$(shell $(PYTHON) -c "import sys; print('%d.%d' % sys.version_info[:2])"))
BIN := $(VENV)/bin
# One process more than there are cores: tests wait for servers half of their time.
TESTING = -n $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)") --dist loadfile
.DEFAULT_GOAL := help

.PHONY: help demo test test-long test-versions test-browser check format docs bench clean

help:
	@echo "make demo           run jobs end to end: Valkey, BullMQ, signed webhook, FastAPI app"
	@echo "make test           run the test suite"
	@echo "make test-long      run the test suite, with the long forms of its tests"
	@echo "make test-versions  the tests of the integrations on each Python found, and with the lowest dependencies"
	@echo "make test-browser   drive the dashboard in Chromium (NEXTMQ_CHROMIUM, or on the PATH)"
	@echo "make check          ruff, mypy, pyright, import rules, layout, generated code"
	@echo "make format         format the code, and generate the generated files"
	@echo "make docs           build the documentation as a site, in site/"
	@echo "make bench          run the benchmarks"

demo: $(VENV)/installed
	@$(BIN)/python -m examples.fastapi.demo

test: $(VENV)/installed
	@$(BIN)/python -m pytest -m "not long and not browser" $(TESTING)

test-long: $(VENV)/installed
	@$(BIN)/python -m pytest -m "not browser" $(TESTING)

test-browser: $(VENV)/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group browser
	@$(BIN)/python -m pytest -m browser -p no:xdist tests/browser

test-versions: $(VENV)/installed
	@$(BIN)/python scripts/try_versions.py

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/generate_sync.py --check
	$(BIN)/lint-imports
	$(BIN)/python scripts/house.py
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/generate_sync.py

docs: $(VENV)/installed
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.delay
	$(BIN)/python -m benchmarks.coldstart
	$(BIN)/python -m benchmarks.handler
	$(BIN)/python -m benchmarks.enqueue
	$(BIN)/python -m benchmarks.dispatch
	$(BIN)/python -m benchmarks.commands
	$(BIN)/python -m benchmarks.command
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.hostile
	$(BIN)/python -m benchmarks.testing

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) scripts/preflight.py
	@echo "Creating the virtual environment in $(VENV) and installing into it (once, about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[server,fastapi,flask,django]" --group dev
	@touch $@

clean:
	rm -rf .venv .venv-* tests/interop/node_modules .nextmq dist site
