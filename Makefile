# The two commands of the README: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Options for the stages of the demo.
DEMO ?=

.PHONY: demo test lint clean

# All four stages on synthetic ECG; the last line says where the report lies.
demo: $(VENV)/installed
	$(BIN)/python preprocess_data.py $(DEMO)
	$(BIN)/python train_model.py $(DEMO)
	$(BIN)/python evaluate_model.py $(DEMO)
	$(BIN)/python visualize_results.py $(DEMO)

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet -e '.[dev]' --config-settings editable_mode=compat
	touch $@

# What the stages made stays; it may be hours of work.
clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache *.egg-info
