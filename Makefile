# The commands of the README: `make demo`, `make test` and `make bench`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Options for the stages of the demo.
DEMO ?=
# Of the demo: where the synthetic recording and what is found in it go.
RECORDING ?= runs/demo/recording/synthetic

# Of the benchmark: ECG5000 and ecg.csv, downloaded if missing.
DATA ?= data/raw/benchmark
BENCH := $(VENV)-bench

# Options for the stages that make the detector, such as --set data.raw_dir=FOLDER.
DETECTOR ?=

.PHONY: demo test lint bench detector clean

# All four stages on synthetic ECG, then the detector that comes with ecgad on ten minutes of it.
demo: $(VENV)/installed
	$(BIN)/python preprocess_data.py $(DEMO)
	$(BIN)/python train_model.py $(DEMO)
	$(BIN)/python evaluate_model.py $(DEMO)
	$(BIN)/python visualize_results.py $(DEMO)
	$(BIN)/python -m ecgad.data.synthetic_record $(RECORDING)
	$(BIN)/python -m ecgad detect $(RECORDING) -o $(dir $(RECORDING)) --overwrite

test: lint
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet -e '.[dev]' --config-settings editable_mode=compat
	touch $@

# Speed and memory beside Keras and PyOD, which need an environment of their own; about an hour.
bench: $(BENCH)/installed
	$(BENCH)/bin/python benchmarks/performance.py --data $(DATA)

$(BENCH)/installed: requirements.txt benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet -r benchmarks/requirements.txt
	touch $@

# The detector that comes with ecgad; docs/detector_card.md says what it is.
detector: $(VENV)/installed
	$(BIN)/python preprocess_data.py -c configs/recordings.yaml $(DETECTOR)
	$(BIN)/python train_model.py -c configs/recordings.yaml $(DETECTOR)
	$(BIN)/python evaluate_model.py -c configs/recordings.yaml $(DETECTOR)
	$(BIN)/python -m ecgad export runs/recordings -o ecgad/detection/recordings.onnx --overwrite

# What the stages made stays; it may be hours of work.
clean:
	rm -rf $(VENV) $(BENCH) build .mypy_cache .pytest_cache .ruff_cache *.egg-info
