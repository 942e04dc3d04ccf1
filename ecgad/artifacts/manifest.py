"""What made the files of a folder: a manifest in it, which the next stage holds against its own.

`manifest.json` has an entry for each stage that finished in the folder: the settings it depends on,
the SHA-256 of what it read and of what it wrote, its summary, the whole config, the seed, library
versions, git commit and time.
"""

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ecgad.artifacts import files
from ecgad.config.experiment import Experiment
from ecgad.errors import FileError, MismatchError

MANIFEST = "manifest.json"
SCRIPTS = {
    "preprocess": "preprocess_data.py",
    "train": "train_model.py",
    "evaluate": "evaluate_model.py",
    "visualize": "visualize_results.py",
}
# What the next stage reads of an entry.
RECORD = {"settings", "inputs", "outputs", "summary"}
LIBRARIES = ("torch", "numpy", "pandas", "scikit-learn", "matplotlib")


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

        Raises MismatchError where the folder holds output of the stage that was made from something
        else, or that was changed since.
        """
        record = _manifest(self.folder).get(self.name)
        if record is None:
            return None
        made = {"settings": record["settings"], "inputs": record["inputs"]}
        asked = {"settings": self.settings, "inputs": self.inputs}
        if difference := difference_of(made, asked):
            raise MismatchError(
                f"{self.folder} holds finished output of {SCRIPTS[self.name]} made otherwise "
                f"({difference}); give --overwrite to replace it, or choose another folder"
            )
        if not all((self.folder / name).exists() for name in record["outputs"]):
            return None
        _check_unchanged(self.folder, self.name, record["outputs"])
        return record["summary"]

    def begin(self) -> None:
        """Take back what the manifest says of the stage, before its output is replaced."""
        stages = _manifest(self.folder)
        if stages.pop(self.name, None):
            files.save_json(self.folder / MANIFEST, {"stages": stages})

    def finish(
        self, experiment: Experiment, outputs: Iterable[str], summary: Mapping[str, Any]
    ) -> None:
        """Write down that the stage is done. What it depends on has to be written before."""
        stages = _manifest(self.folder)
        stages[self.name] = {
            "settings": self.settings,
            "inputs": self.inputs,
            "outputs": {name: files.sha256(self.folder / name) for name in outputs},
            "summary": summary,
            "config": experiment.model_dump(mode="json"),
            "seed": experiment.seed,
            "versions": _versions(),
            "git_commit": _git_commit(),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        files.save_json(self.folder / MANIFEST, {"stages": stages})


def require(folder: Path, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The record of an earlier stage's output: its settings, inputs, outputs and summary.

    Raises FileError where the stage has not finished there, and MismatchError where it was run with
    other settings or its files were changed since.
    """
    script = SCRIPTS[name]
    record = _manifest(folder).get(name)
    if record is None:
        raise FileError(f"no finished output of {script} in {folder}; run {script} first")
    if difference := difference_of(record["settings"], settings):
        raise MismatchError(
            f"{folder} was made by {script} with other settings than the config asks for "
            f"({difference}); run {script} again with --overwrite, or choose another folder"
        )
    for output in record["outputs"]:
        if not (folder / output).exists():
            raise FileError(f"{folder / output} is missing; run {script} again")
    _check_unchanged(folder, name, record["outputs"])
    return record


def check_same(made: Mapping[str, str], now: Mapping[str, str], what: str, script: str) -> None:
    """Raise MismatchError unless the inputs that something was made from are those of now."""
    if difference := difference_of(dict(made), dict(now)):
        name = difference.partition(":")[0]
        raise MismatchError(
            f"{what} another {name} than the one that is there now; run {script} again with "
            f"--overwrite"
        )


def _check_unchanged(folder: Path, name: str, outputs: Mapping[str, str]) -> None:
    for output, digest in outputs.items():
        if files.sha256(folder / output) != digest:
            raise MismatchError(
                f"{folder / output} is not the file that {SCRIPTS[name]} wrote; run it again with "
                f"--overwrite"
            )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        stages = files.load_json(path)["stages"]
        whole = all(record.keys() >= RECORD for record in stages.values())
    except (FileError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise FileError(f"{path} is no manifest of ecgad; move it away and run the stages again")
    return stages


def difference_of(made: Any, asked: Any, key: str = "") -> str:
    """The first difference between two trees of plain values, as `key: made, now asked`."""
    if isinstance(made, dict) and isinstance(asked, dict):
        for name in {**made, **asked}:
            below = name if key in ("", "settings", "inputs") else f"{key}.{name}"
            if found := difference_of(made.get(name), asked.get(name), below):
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
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in LIBRARIES
    }


def _git_commit() -> str | None:
    """The commit of the code, with `-dirty` where it was changed since; None outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
