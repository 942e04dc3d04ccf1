"""Every file that passes between the stages: its name, its form, and how it is written and read.

Files are written under a temporary name, flushed and renamed, so that each is whole or not there.
A manifest in each folder says, for each stage that finished there, what it was made from and what
it made; the next stage holds its inputs against it.
"""

import csv
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import yaml

from ecgad.config import Experiment
from ecgad.data.beats import Beats
from ecgad.data.scaling import Scaler
from ecgad.data.splits import SPLITS
from ecgad.errors import ConfigError, FileError, MismatchError

if TYPE_CHECKING:
    import torch

MANIFEST = "manifest.json"
# In data.processed_dir, one array a split; the first axis is the beat in all of them.
SPLIT_ARRAYS = ("beats", "labels", "symbols", "rows")
SCALER = "scaler.json"
DESCRIPTION = "beats.json"
# In the run dir.
CONFIG = "config.yaml"
BEST = "checkpoint_best.pt"
LAST = "checkpoint_last.pt"
HISTORY = "history.csv"
THRESHOLD = "threshold.json"
METRICS = "metrics.json"
CODES = "codes_test.npy"  # float32, (n_beats, code_size), in the order of the split
EXAMPLES = "examples.json"  # kinds of examples, each with places in the test split
RECONSTRUCTIONS = "reconstructions.npy"  # of all examples in that order, in scaled units
FIGURES = "figures"
REPORT = "report.html"

HISTORY_COLUMNS = ("epoch", "train_loss", "validation_loss", "learning_rate", "seconds")
CHECKPOINT_FORMAT = 1
SCRIPTS = {
    "preprocess": "preprocess_data.py",
    "train": "train_model.py",
    "evaluate": "evaluate_model.py",
    "visualize": "visualize_results.py",
}
LIBRARIES = ("torch", "numpy", "pandas", "scikit-learn", "matplotlib")


def split_files(split: str) -> list[str]:
    """Names of the arrays of a split."""
    return [f"{array}_{split}.npy" for array in SPLIT_ARRAYS]


def scores_file(split: str) -> str:
    """Name of the scores of a split: float64, (n_beats,), in the order of the split."""
    return f"scores_{split}.npy"


# Writing and reading of single files.


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp lets only the owner read; a file that takes its place is as open as others are.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, or not at all."""
    with _written(path) as file:
        file.write(content)


def save_json(path: Path, content: Any) -> None:
    """Write plain values as JSON; NaN and infinities have no place in it."""
    save_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def load_json(path: Path) -> Any:
    """Plain values from JSON. Raises FileError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {error}") from None


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`, without pickle."""
    with _written(path) as file:
        np.save(file, array, allow_pickle=False)


def load_array(path: Path) -> np.ndarray:
    """A memory-mapped array. Raises FileError."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(f"cannot read {path}: {' '.join(str(error).split())}") from None


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises FileError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None


# Manifests.


def check_writable(folder: Path) -> None:
    """Make the folder, and raise ConfigError where nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"cannot write into {folder}: {error.strerror}; choose another folder"
        ) from None


@dataclass(frozen=True)
class Stage:
    """A stage's output in a folder, and what it is to be made from.

    settings: what of the config it depends on. inputs: SHA-256 of what it reads, by name.
    """

    name: str
    folder: Path
    settings: dict[str, Any]
    inputs: dict[str, str]

    def finished(self) -> dict[str, Any] | None:
        """The summary of this very output where it is there already, else None.

        Raises MismatchError where the folder holds output of the stage made from something else.
        """
        record = _manifest(self.folder).get(self.name)
        if record is None or not all((self.folder / name).exists() for name in record["outputs"]):
            return None
        made = {"settings": record["settings"], "inputs": record["inputs"]}
        asked = {"settings": self.settings, "inputs": self.inputs}
        if difference := _difference(made, asked):
            raise MismatchError(
                f"{self.folder} holds finished output of {SCRIPTS[self.name]} made otherwise "
                f"({difference}); give --overwrite to replace it, or choose another folder"
            )
        return record["summary"]

    def finish(
        self, experiment: Experiment, outputs: Iterable[str], summary: Mapping[str, Any]
    ) -> None:
        """Write down that the stage is done. What it depends on has to be written before."""
        stages = _manifest(self.folder)
        stages[self.name] = {
            "settings": self.settings,
            "inputs": self.inputs,
            "outputs": {name: sha256(self.folder / name) for name in outputs},
            "summary": summary,
            "config": experiment.model_dump(mode="json"),
            "seed": experiment.seed,
            "versions": _versions(),
            "git_commit": _git_commit(),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        save_json(self.folder / MANIFEST, {"stages": stages})


def require(folder: Path, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The record of an earlier stage's output: its settings, inputs, outputs and summary.

    Raises FileError where the stage has not finished there, and MismatchError where it was run with
    other settings or its files were changed since.
    """
    script = SCRIPTS[name]
    record = _manifest(folder).get(name)
    if record is None:
        raise FileError(f"no finished output of {script} in {folder}; run {script} first")
    if difference := _difference(record["settings"], settings):
        raise MismatchError(
            f"{folder} was made by {script} with other settings than the config asks for "
            f"({difference}); run {script} again with --overwrite, or choose another folder"
        )
    for output, digest in record["outputs"].items():
        if not (folder / output).exists():
            raise FileError(f"{folder / output} is missing; run {script} again")
        if sha256(folder / output) != digest:
            raise MismatchError(
                f"{folder / output} is not the file that {script} wrote; run {script} again with "
                f"--overwrite"
            )
    return record


def check_same(made: Mapping[str, str], now: Mapping[str, str], what: str, script: str) -> None:
    """Raise MismatchError unless the inputs that something was made from are those of now."""
    if difference := _difference(dict(made), dict(now)):
        name = difference.partition(":")[0]
        raise MismatchError(
            f"{what} another {name} than the one that is there now; run {script} again with "
            f"--overwrite"
        )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    content = load_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        raise FileError(f"{path} is no manifest of ecgad; move it away and run the stages again")
    return content["stages"]


def _difference(made: Any, asked: Any, key: str = "") -> str:
    """The first difference between two trees of plain values, as `key: made, now asked`."""
    if isinstance(made, dict) and isinstance(asked, dict):
        for name in sorted(made.keys() | asked.keys()):
            below = name if key in ("", "settings", "inputs") else f"{key}.{name}"
            if found := _difference(made.get(name), asked.get(name), below):
                return found
        return ""
    # Settings read from JSON have lists where those of now may have tuples.
    if json.dumps(made) == json.dumps(asked):
        return ""
    return f"{key}: {_short(made)}, now {_short(asked)}"


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text[:12] + "..." if len(text) == 64 else text


def _versions() -> dict[str, str]:
    import platform

    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in LIBRARIES
    }


def _git_commit() -> str | None:
    """The commit of the code; None outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


# Splits.


def save_splits(folder: Path, beats: Beats, splits: dict[str, np.ndarray], scaler: Scaler) -> None:
    """Write the scaled beats of each split, what identifies them, the scaler and a description."""
    for split, places in splits.items():
        part = beats.take(places)
        save_array(folder / f"beats_{split}.npy", scaler.transform(part.beats))
        # Without labels the array is there and empty, so that each split has the same files.
        labels = np.empty(0, np.int8) if part.labels is None else part.labels
        save_array(folder / f"labels_{split}.npy", labels)
        save_array(folder / f"symbols_{split}.npy", part.symbols)
        save_array(folder / f"rows_{split}.npy", part.rows)
    save_json(folder / SCALER, scaler.to_dict())
    save_json(
        folder / DESCRIPTION,
        {
            "n_leads": beats.beats.shape[1],
            "n_samples": beats.beats.shape[2],
            "leads": list(beats.leads),
            "sampling_rate": beats.sampling_rate,
            "unit": beats.unit,
            "class_names": beats.class_names,
        },
    )


def splits_outputs() -> list[str]:
    """Names of all that `save_splits` writes."""
    return [file for split in SPLITS for file in split_files(split)] + [SCALER, DESCRIPTION]


def load_split(folder: Path, split: str) -> Beats:
    """The beats of a split, scaled and memory-mapped. Raises FileError."""
    arrays = {name: load_array(folder / f"{name}_{split}.npy") for name in SPLIT_ARRAYS}
    description = load_json(folder / DESCRIPTION)
    return Beats(
        beats=arrays["beats"],
        symbols=arrays["symbols"],
        labels=arrays["labels"] if len(arrays["labels"]) else None,
        rows=arrays["rows"],
        class_names=description["class_names"],
        sampling_rate=description["sampling_rate"],
        unit=description["unit"],
        leads=tuple(description["leads"]),
    )


def load_scaler(folder: Path) -> Scaler:
    """The scaler of the splits in that folder. Raises FileError."""
    return Scaler.from_dict(load_json(folder / SCALER))


# Runs.


def save_config(folder: Path, experiment: Experiment) -> None:
    """Write the resolved experiment as YAML that can be run again."""
    settings = experiment.model_dump(mode="json")
    settings["data"]["raw_dir"] = str(experiment.raw_dir)
    settings["data"]["processed_dir"] = str(experiment.processed_dir)
    save_bytes(folder / CONFIG, yaml.safe_dump(settings, sort_keys=False).encode())


def save_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write the losses of each epoch as CSV."""
    lines = [",".join(HISTORY_COLUMNS)]
    lines += [",".join(str(row[column]) for column in HISTORY_COLUMNS) for row in history]
    save_bytes(folder / HISTORY, ("\n".join(lines) + "\n").encode())


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
    best epoch. training: fields of `ecgad.training.TrainingState`; None in the best checkpoint.
    """

    model: dict[str, Any]
    weights: "dict[str, torch.Tensor]"
    scaler: dict[str, Any]
    settings: dict[str, Any]
    inputs: dict[str, str]
    training: dict[str, Any] | None = None
    format: int = CHECKPOINT_FORMAT


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint that `torch.load` reads with `weights_only=True`."""
    import torch

    with _written(path) as file:
        torch.save(vars(checkpoint), file)


def save_training(folder: Path, best: Checkpoint, training: dict[str, Any]) -> None:
    """Write the best and the last checkpoint and the history of a training."""
    save_checkpoint(folder / BEST, best)
    save_checkpoint(folder / LAST, replace(best, training=training))
    save_history(folder, training["history"])


def check_resumable(checkpoint: Checkpoint, stage: Stage, path: Path) -> None:
    """Raise MismatchError unless the training of a checkpoint can go on as `stage` asks.

    Where the learning rate is constant, more epochs may be asked for than at first.
    """
    made, asked = checkpoint.settings, stage.settings
    if asked["training"]["schedule"] == "constant":
        epochs = {"epochs": asked["training"]["epochs"]}
        made = {**made, "training": {**made["training"], **epochs}}
    difference = _difference(
        {"settings": made, "inputs": checkpoint.inputs},
        {"settings": asked, "inputs": stage.inputs},
    )
    if checkpoint.training is None or difference:
        raise MismatchError(
            f"{path} cannot go on: it was made otherwise ({difference or 'no training state'}); "
            f"give --overwrite to start again"
        )


def load_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint, on the CPU. Raises FileError where it is missing, damaged or of another form."""
    import torch

    if not path.exists():
        raise FileError(f"no checkpoint {path}; run {SCRIPTS['train']} first")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what it will: RuntimeError, EOFError, UnpicklingError
        reason = str(error).splitlines()[0][:150]
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


def save_examples(
    folder: Path,
    examples: Mapping[str, np.ndarray],
    reconstruct: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Write the places of example beats, by kind, and the reconstructions of these places."""
    save_json(folder / EXAMPLES, {kind: places.tolist() for kind, places in examples.items()})
    places = np.concatenate(list(examples.values()))
    save_array(folder / RECONSTRUCTIONS, reconstruct(places))


def load_examples(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Places in the test split, and their reconstructions in scaled units, of each kind."""
    examples = {k: np.array(v, int) for k, v in load_json(folder / EXAMPLES).items()}
    reconstructions = load_array(folder / RECONSTRUCTIONS)
    ends = np.cumsum([len(places) for places in examples.values()])
    parts = np.split(reconstructions, ends[:-1])
    return {
        kind: (places, part)
        for (kind, places), part in zip(examples.items(), parts, strict=True)
    }


def evaluation_outputs() -> list[str]:
    """Names of all that evaluation writes."""
    scores = [scores_file(split) for split in SPLITS]
    return [*scores, CODES, EXAMPLES, RECONSTRUCTIONS, THRESHOLD, METRICS]
