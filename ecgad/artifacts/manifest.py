"""What made the files of a folder: a manifest in it, which the next stage holds against its own.

`manifest.json` has an entry for each stage that finished in the folder: the settings it depends on,
the SHA-256 of what it read and of what it wrote, its summary, the whole config, the seed, library
versions, git commit and time.
"""

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ecgad.artifacts import files
from ecgad.errors import FileError
from ecgad.experiment import Experiment

MANIFEST = "manifest.json"
# What the next stage reads of an entry.
ENTRY = {"settings", "inputs", "outputs", "summary"}
LIBRARIES = ("torch", "numpy", "pandas", "scikit-learn", "matplotlib")

Entry = dict[str, Any]


def load(folder: Path) -> dict[str, Entry]:
    """Read the entries of a folder, by stage; none where it has no manifest. Raises FileError."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        entries = files.load_json(path)["stages"]
        whole = all(entry.keys() >= ENTRY for entry in entries.values())
    except (FileError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise FileError(f"{path} is no manifest of ecgad; move it away and run the stages again")
    return entries


def remove(folder: Path, stage: str) -> None:
    """Take back what the manifest says of a stage, before its output is replaced."""
    entries = load(folder)
    if entries.pop(stage, None):
        files.save_json(folder / MANIFEST, {"stages": entries})


def add(
    folder: Path,
    stage: str,
    made_from: Mapping[str, Any],
    outputs: Iterable[str],
    summary: Mapping[str, Any],
    experiment: Experiment,
) -> None:
    """Write down that a stage is done. made_from: its settings and inputs."""
    entries = load(folder)
    entries[stage] = {
        **made_from,
        "outputs": {name: files.sha256(folder / name) for name in outputs},
        "summary": summary,
        "config": experiment.model_dump(mode="json"),
        "seed": experiment.seed,
        "versions": _versions(),
        "git_commit": _git_commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    files.save_json(folder / MANIFEST, {"stages": entries})


def difference_of(made: Any, asked: Any, key: str = "") -> str:
    """Return the first difference between two trees of plain values, as `key: made, now asked`."""
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
    """Return the commit of the code, with `-dirty` where it was changed since; None outside a
    checkout.
    """
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
