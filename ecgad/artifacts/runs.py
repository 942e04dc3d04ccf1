"""A run dir: config, checkpoints, history, scores, threshold, metrics, figures and report."""

import csv
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import yaml

from ecgad.artifacts import files
from ecgad.artifacts.manifest import SCRIPTS, Stage, difference_of
from ecgad.config.experiment import Experiment
from ecgad.data.splits import SPLITS
from ecgad.errors import FileError, MismatchError

if TYPE_CHECKING:
    import torch

    from ecgad.training.fit import TrainingState

CONFIG = "config.yaml"
BEST = "checkpoint_best.pt"
LAST = "checkpoint_last.pt"
HISTORY = "history.csv"
SCORES = {split: f"scores_{split}.npy" for split in SPLITS}  # float64, (n_beats,), as in the split
CODES = "codes_test.npy"  # float32, (n_encoded, code_size)
ENCODED = "encoded_test.npy"  # int64, (n_encoded,): places in the test split of the codes' beats
BASELINES = "baselines_test.npy"  # float64, (n_baselines, n_beats), ordered as in the metrics
EXAMPLES = "examples.json"  # kinds of examples, each with places in the test split
RECONSTRUCTIONS = "reconstructions.npy"  # of all examples in that order, in scaled units
THRESHOLD = "threshold.json"
METRICS = "metrics.json"
FIGURES = "figures"
REPORT = "report.html"

TRAINING_OUTPUTS = [BEST, LAST, HISTORY]
EVALUATION_OUTPUTS = [
    *SCORES.values(),
    BASELINES,
    CODES,
    ENCODED,
    EXAMPLES,
    RECONSTRUCTIONS,
    THRESHOLD,
    METRICS,
]

HISTORY_COLUMNS = ("epoch", "train_loss", "validation_loss", "learning_rate", "seconds")
CHECKPOINT_FORMAT = 3
# A killed run loses no more than this, and small models do not spend their time on writing.
SECONDS_BETWEEN_CHECKPOINTS = 5.0


def save_config(folder: Path, experiment: Experiment) -> None:
    """Write the resolved experiment as YAML that can be run again."""
    settings = experiment.model_dump(mode="json")
    settings["data"]["raw_dir"] = str(experiment.raw_dir)
    settings["data"]["processed_dir"] = str(experiment.processed_dir)
    files.save_bytes(folder / CONFIG, yaml.safe_dump(settings, sort_keys=False).encode())


def save_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write the losses of each epoch as CSV."""
    lines = [",".join(HISTORY_COLUMNS)]
    lines += [",".join(str(row[column]) for column in HISTORY_COLUMNS) for row in history]
    files.save_bytes(folder / HISTORY, ("\n".join(lines) + "\n").encode())


def load_history(folder: Path) -> dict[str, np.ndarray]:
    """Columns of `history.csv`, each (n_epochs,). Raises FileError."""
    path = folder / HISTORY
    try:
        with path.open(encoding="utf-8") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        return {column: np.array([row[column] for row in rows]) for column in HISTORY_COLUMNS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"cannot read {path}: {error}") from None


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with all that scoring a raw beat needs, and what it was made from.

    model: kind, n_leads, n_samples and parameters of `ecgad.models.build_model`. weights: of the
    best epoch. beats: leads, sampling rate and unit of the raw beats, as in `beats.json`. coreset:
    of `ecgad.scoring.scorer.Coreset`; None until the training is finished. training: fields of
    `ecgad.training.fit.TrainingState`; None in the best checkpoint.
    """

    model: dict[str, Any]
    weights: "dict[str, torch.Tensor]"
    scaler: dict[str, Any]
    beats: dict[str, Any]
    settings: dict[str, Any]
    inputs: dict[str, str]
    coreset: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    format: int = CHECKPOINT_FORMAT


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint that `torch.load` reads with `weights_only=True`."""
    import torch

    # Not straight into the file: PyTorch would hide that a disk is full.
    content = io.BytesIO()
    torch.save(vars(checkpoint), content)
    files.save_bytes(path, content.getvalue())


class TrainingWriter:
    """Writes checkpoints and history every few seconds, and at the end, however it comes.

    As a context: what was last shown to it is on disk afterwards, also where the training was
    interrupted or diverged. best: the checkpoint to write, but for its weights.
    """

    def __init__(self, stage: Stage, best: Checkpoint) -> None:
        self.stage = stage
        self.best = best
        self.state: TrainingState | None = None
        self.saved_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __call__(self, state: "TrainingState") -> None:
        """Take note of the state after an epoch, and write it if the last one was a while ago."""
        self.state = state
        if time.monotonic() - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            self._write()

    def __exit__(self, *_: object) -> None:
        self._write()

    def _write(self) -> None:
        if self.state is not None:
            folder = self.stage.folder
            best = replace(self.best, weights=self.state.best_weights)
            self.stage.begin()
            save_checkpoint(folder / BEST, best)
            save_checkpoint(folder / LAST, replace(best, training=vars(self.state)))
            save_history(folder, self.state.history)
            self.state, self.saved_at = None, time.monotonic()


def load_resumable(stage: Stage) -> Checkpoint:
    """The last checkpoint of a training that is to go on as `stage` asks.

    Where the learning rate is constant, more epochs may be asked for than at first. Raises
    FileError where it is damaged, MismatchError where it was made otherwise.
    """
    path = stage.folder / LAST
    checkpoint = load_checkpoint(path)
    made, asked = checkpoint.settings, stage.settings
    if asked["training"]["schedule"] == "constant":
        epochs = {"epochs": asked["training"]["epochs"]}
        made = {**made, "training": {**made["training"], **epochs}}
    difference = difference_of(
        {"settings": made, "inputs": checkpoint.inputs},
        {"settings": asked, "inputs": stage.inputs},
    )
    if checkpoint.training is None:
        difference = "no training state in it"
    elif checkpoint.training["epoch"] > asked["training"]["epochs"]:
        difference = f"{checkpoint.training['epoch']} epochs are done already"
    if difference:
        raise MismatchError(
            f"{path} cannot go on: it was made otherwise ({difference}); give --overwrite to start "
            f"again"
        )
    return checkpoint


def load_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint, on the CPU.

    Raises FileError where it is missing, damaged or of another form.
    """
    import torch

    if not path.exists():
        raise FileError(f"no checkpoint {path}; run {SCRIPTS['train']} first")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what it will: RuntimeError, EOFError, UnpicklingError
        reason = (str(error) or type(error).__name__).splitlines()[0][:150]
        raise FileError(
            f"{path} is damaged or no checkpoint ({reason}); restore it, or train again with "
            f"{SCRIPTS['train']} --overwrite"
        ) from None
    try:
        checkpoint = Checkpoint(**content)
    except TypeError as error:
        reason = str(error).partition("() ")[2] or str(error)
        raise FileError(f"{path} is no checkpoint of this version of ecgad: {reason}") from None
    if checkpoint.format != CHECKPOINT_FORMAT:
        raise FileError(
            f"{path} has format {checkpoint.format}, this version of ecgad reads "
            f"{CHECKPOINT_FORMAT}; train again with {SCRIPTS['train']} --overwrite"
        )
    return checkpoint


def save_codes(folder: Path, places: np.ndarray, codes: np.ndarray) -> None:
    """Write codes of test beats, and the places of these beats in the test split."""
    files.save_array(folder / ENCODED, places)
    files.save_array(folder / CODES, codes)


def load_codes(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Places in the test split, (n_encoded,), and codes, (n_encoded, code_size)."""
    places, codes = files.load_array(folder / ENCODED), files.load_array(folder / CODES)
    return np.asarray(places), np.asarray(codes)


def save_baselines(folder: Path, scores: list[np.ndarray]) -> None:
    """Write scores (n_beats,) of the test beats by each baseline."""
    files.save_array(folder / BASELINES, np.array(scores, np.float64))


def save_examples(
    folder: Path,
    examples: Mapping[str, np.ndarray],
    reconstruct: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Write the places of example beats, by kind, and the reconstructions of these places."""
    files.save_json(folder / EXAMPLES, {kind: places.tolist() for kind, places in examples.items()})
    places = np.concatenate(list(examples.values()))
    files.save_array(folder / RECONSTRUCTIONS, reconstruct(places))


def load_examples(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Places in the test split, and their reconstructions in scaled units, of each kind."""
    examples = {k: np.array(v, int) for k, v in files.load_json(folder / EXAMPLES).items()}
    reconstructions = files.load_array(folder / RECONSTRUCTIONS)
    ends = np.cumsum([len(places) for places in examples.values()])
    parts = np.split(reconstructions, ends[:-1])
    return {
        kind: (places, part) for (kind, places), part in zip(examples.items(), parts, strict=True)
    }


def figure_file(name: str) -> str:
    """Name of a picture, relative to the run dir."""
    return f"{FIGURES}/{name}.png"


def remove_figures(folder: Path) -> None:
    """Remove the pictures of an earlier drawing: not every run has the same ones."""
    for path in (folder / FIGURES).glob("*.png"):
        path.unlink()
