"""A run dir: names and forms of config, history, scores, threshold, metrics and figures."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ecgad.artifacts import arrays, files
from ecgad.config.loading import read_settings
from ecgad.data.splits import SPLITS
from ecgad.errors import ConfigError, FileError
from ecgad.experiment import Experiment

CONFIG = "config.yaml"
BEST = "checkpoint_best.pt"
LAST = "checkpoint_last.pt"
HISTORY = "history.csv"
SCORES = {split: f"scores_{split}.npy" for split in SPLITS}  # float64, (n_beats,), as in the split
CODES = "codes_test.npy"  # float32, (n_encoded, code_size)
ENCODED = "encoded_test.npy"  # int64, (n_encoded,): indices in the test split of the codes' beats
BASELINES = "baselines_test.npy"  # float64, (n_baselines, n_beats), ordered as in the metrics
# Kinds of examples, each with indices in the splits that `evaluation.examples.judged` names.
EXAMPLES = "examples.json"
SCORE_TABLE = "scores.csv"  # all beats, as `evaluation.score_table.score_rows` gives them
RECONSTRUCTIONS = "reconstructions.npy"  # of all examples in that order, in scaled units
THRESHOLD = "threshold.json"
DETECTOR = "detector.pt"  # of `ecgad.detection.trained.TrainedDetector`
METRICS = "metrics.json"
FIGURES = "figures"
REPORT = "report.html"

TRAINING_OUTPUTS = (BEST, LAST, HISTORY)
EVALUATION_OUTPUTS = (
    *SCORES.values(),
    SCORE_TABLE,
    BASELINES,
    CODES,
    ENCODED,
    EXAMPLES,
    RECONSTRUCTIONS,
    THRESHOLD,
    DETECTOR,
    METRICS,
)

HISTORY_COLUMNS = ("epoch", "train_loss", "validation_loss", "learning_rate", "seconds")


def save_config(folder: Path, experiment: Experiment) -> None:
    """Write the resolved experiment as YAML that can be run again.

    A file that says the same already stays, with the comments that somebody may have added.
    """
    settings = experiment.model_dump(mode="json")
    settings["data"]["raw_dir"] = str(experiment.raw_dir)
    settings["data"]["processed_dir"] = str(experiment.processed_dir)
    path = folder / CONFIG
    with suppress(ConfigError):
        if path.exists() and read_settings(path) == settings:
            return
    files.save_bytes(folder / CONFIG, yaml.safe_dump(settings, sort_keys=False).encode())


def save_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write the losses of each epoch as CSV."""
    lines = [",".join(HISTORY_COLUMNS)]
    lines += [",".join(str(row[column]) for column in HISTORY_COLUMNS) for row in history]
    files.save_bytes(folder / HISTORY, ("\n".join(lines) + "\n").encode())


def load_history(folder: Path) -> dict[str, np.ndarray]:
    """Read the columns of `history.csv`, each (n_epochs,). Raises FileError."""
    path = folder / HISTORY
    files.check_file(path)
    try:
        with path.open(encoding="utf-8") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        return {column: np.array([row[column] for row in rows]) for column in HISTORY_COLUMNS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"cannot read {path}: {error}") from None


def save_codes(folder: Path, indices: np.ndarray, codes: np.ndarray) -> None:
    """Write codes of test beats, and the indices of these beats in the test split."""
    arrays.save_array(folder / ENCODED, indices)
    arrays.save_array(folder / CODES, codes)


def load_codes(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read indices in the test split, (n_encoded,), and codes, (n_encoded, code_size).

    Raises FileError.
    """
    indices, codes = arrays.load_array(folder / ENCODED), arrays.load_array(folder / CODES)
    return np.asarray(indices), np.asarray(codes)


def save_scores(
    folder: Path, scores: Mapping[str, np.ndarray], baselines: Sequence[np.ndarray]
) -> None:
    """Write the scores (n_beats,) of each split, and those of the test beats by each baseline."""
    for split, of_split in scores.items():
        arrays.save_array(folder / SCORES[split], of_split)
    arrays.save_array(folder / BASELINES, np.array(baselines, np.float64))


def save_score_table(folder: Path, rows: Iterator[Mapping[str, Any]]) -> None:
    """Write rows of one kind as CSV, numbers so that they are read back exactly."""
    first = next(rows)
    with files.written(folder / SCORE_TABLE) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        table = csv.DictWriter(text, list(first))
        table.writeheader()
        table.writerow(first)
        table.writerows(rows)
        text.detach()


def save_examples(
    folder: Path,
    examples: Mapping[str, np.ndarray],
    reconstruct: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Write the indices of example beats, by kind, and the reconstructions of these indices."""
    files.save_json(
        folder / EXAMPLES, {kind: indices.tolist() for kind, indices in examples.items()}
    )
    indices = np.concatenate(list(examples.values()))
    arrays.save_array(folder / RECONSTRUCTIONS, reconstruct(indices))


def load_examples(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read indices in the test split, and their reconstructions in scaled units, of each kind.

    Raises FileError.
    """
    known, reconstructions = (
        files.load_json(folder / EXAMPLES),
        arrays.load_array(folder / RECONSTRUCTIONS),
    )
    try:
        examples = {kind: np.array(indices, int) for kind, indices in known.items()}
        ends = np.cumsum([len(indices) for indices in examples.values()])
        parts = np.split(reconstructions, ends[:-1])
        of_kinds = zip(examples.items(), parts, strict=True)
        return {kind: (indices, part) for (kind, indices), part in of_kinds}
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise FileError(f"cannot read {folder / EXAMPLES}: {error}") from None


def figure_file(name: str) -> str:
    """Return the name of a picture, relative to the run dir."""
    return f"{FIGURES}/{name}.png"
