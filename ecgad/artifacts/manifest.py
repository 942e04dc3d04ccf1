"""What made the files of a folder: a manifest in it, which the next stage holds against its own.

`manifest.json` has an entry for each stage that finished in the folder: the settings it depends on,
the SHA-256 of what it read and of what it wrote, its summary, the whole config, the seed, library
versions, git commit and time. Beside the entries it names, stage by stage, the files that ecgad has
written there, or was about to write: no other file is ever replaced or removed.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ecgad.artifacts import files
from ecgad.errors import FileError
from ecgad.experiment import Experiment

MANIFEST = "manifest.json"
LIBRARIES = ("torch", "numpy", "pandas", "scikit-learn", "matplotlib")
# Names of outputs; nothing else may be replaced because a manifest says so.
NAME = re.compile(r"(figures/)?\w[\w-]*\.\w+")

Entry = dict[str, Any]


@dataclass
class Manifest:
    """What a manifest says. stages: the entries of finished ones. files: named by stage."""

    stages: dict[str, Entry] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ours(self) -> set[str]:
        """The names of all files that ecgad has written, or was about to write."""
        return {name for names in self.files.values() for name in names}


def load(folder: Path) -> Manifest:
    """Read the manifest of a folder, empty where it has none. Raises FileError."""
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return Manifest()
    try:
        content = files.load_json(path)
        digest = content.pop("sha256")
        found = Manifest(**content)
        names = {name for entry in found.stages.values() for name in entry["outputs"]} | found.ours
        whole = digest == _digest(content) and all(map(NAME.fullmatch, names))
    except (FileError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise FileError(
            f"{path} is damaged, or no manifest of this version of ecgad; restore it, or choose "
            f"another folder"
        )
    return found


def save(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder."""
    content = json.loads(files.json_bytes(vars(manifest)))
    files.save_json(folder / MANIFEST, {"sha256": _digest(content), **content})


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def entry(
    folder: Path,
    made_from: Mapping[str, Any],
    outputs: Iterable[str],
    summary: Mapping[str, Any],
    experiment: Experiment,
) -> Entry:
    """Return what a manifest says of a stage that is done. made_from: its settings and inputs."""
    return {
        **made_from,
        "outputs": {name: files.sha256(folder / name) for name in outputs},
        "summary": summary,
        "config": experiment.model_dump(mode="json"),
        "seed": experiment.seed,
        "versions": _versions(),
        "git_commit": _git_commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


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
