# Two commands do all set-up on a fresh machine: `make search` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
# Processes that run the tests; each takes up to 4 GiB.
WORKERS ?= 2

.PHONY: search test test-long test-chaos lint kernels reference figures wheel clean

search: $(VENV)/.installed
	$(BIN)/codesign search sotu_lm gemmini_40nm --budget 200 --population 40

test: $(VENV)/.installed lint
	$(BIN)/python -m pytest -n $(WORKERS) -m "not long"

test-long: $(VENV)/.installed
	$(BIN)/python -m pytest -m long

# One of the longer tests, which says what it killed.
test-chaos: $(VENV)/.installed
	$(BIN)/python -m pytest -m long -o log_cli=true --log-cli-level=INFO tests/optimize/test_chaos.py

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Makes the cost model's kernels again, after a change of their sources; commit what it writes.
kernels: $(VENV)/.installed
	$(BIN)/python -m codesign.cost.compiler

# Makes the committed run again; review the difference.
reference: $(VENV)/.installed
	rm -rf runs/reference
	$(BIN)/codesign search survey_lm gemmini_40nm --run runs/reference

# Prints the figures that the docs quote.
figures: $(VENV)/.installed
	$(BIN)/codesign bench surrogate --data $(DATA)
	$(BIN)/codesign bench cost_validation --data $(DATA)
	$(BIN)/codesign bench rtl --data $(DATA)
	$(BIN)/codesign bench peers --data $(DATA)
	$(BIN)/codesign bench survey --data $(DATA)
	$(BIN)/codesign bench sensitivity --data $(DATA)

wheel: $(VENV)/.installed
	rm -rf dist
	$(BIN)/python -m build --wheel
	$(BIN)/check-wheel-contents dist/*.whl

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
