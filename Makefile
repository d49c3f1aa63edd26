# Both targets do all set-up themselves: a virtual environment in .venv, with python3 and pip alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests run side by side: more processes than cores and those on real time run late.
PROCESSES ?= 2

.PHONY: demo test lint docs clean

demo: $(VENV)/.ready
	$(BIN)/python -m rxfero demo $(ARGS)

test: lint
	$(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal $(ARGS)

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python

# The pages as a site, in build/docs; tests/docs/test_site.py sees that it gives no warning.
docs: $(VENV)/.ready
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rxfero needs Python 3.11 or newer, $(PYTHON) is %d.%d: try make PYTHON=python3.12 $(MAKECMDGOALS)" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
