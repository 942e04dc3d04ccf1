"""What lies in two folders, compared but for times."""

import csv
import hashlib
import io
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

# Files that say how many seconds something took, and so are never the same twice.
TIMED = ("history.csv", "checkpoint_last.pt", "metrics.json", "report.html", "training_history.png")
# The commit is that of a checkout, which may be worked on.
TIMES = ("time", "seconds", "git_commit")


def snapshot(folder: Path) -> dict[str, str]:
    """Return what every path below a folder is, relative to it; folders end in a slash."""
    found = {}
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(here, name)
            mode = path.lstat().st_mode
            key = str(path.relative_to(folder))
            if stat.S_ISLNK(mode):
                found[key] = f"link to {path.readlink()}"
            elif stat.S_ISDIR(mode):
                found[f"{key}/"] = "folder"
            elif stat.S_ISREG(mode):
                found[key] = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
            else:
                found[key] = "special"
    return found


def differences(here: Path, there: Path, raw: bool = False) -> str:
    """Say which file of a finished run is not the same in both folders; nothing where all are.

    raw: whether raw files, and so what manifests say of them, may differ.
    """
    found = [
        {name: what for name, what in snapshot(folder).items() if name.startswith(("data", "run"))}
        for folder in (here, there)
    ]
    for name in sorted({**found[0], **found[1]}):
        mine, other = (of.get(name) for of in found)
        if mine == other:
            continue
        if mine is None:
            return f"{name} is lacking"
        if other is None:
            return f"{name} is left over"
        if _content(here / name, raw) != _content(there / name, raw):
            return f"{name} is another"
    return ""


def _content(path: Path, raw: bool) -> Any:
    """Return what a file says, without times."""
    content = path.read_bytes() if path.is_file() else b""
    match path.name:
        case "manifest.json":
            return _untimed_manifest(json.loads(content), raw)
        case "metrics.json":
            return _untimed(json.loads(content))
        case "history.csv":
            rows = csv.reader(io.StringIO(content.decode()))
            return [row[:-1] for row in rows]
        case "checkpoint_last.pt":
            return _untimed(_plain(content))
        case "report.html":
            return re.sub(rb"\d+\.\d+ s\b|>\s*\d+\.\d\s*<", b"", content)
    return content


def _untimed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _untimed(value) for key, value in tree.items() if key not in TIMES}
    if isinstance(tree, list):
        return [_untimed(value) for value in tree]
    return tree


def _untimed_manifest(tree: Any, raw: bool) -> Any:
    tree = _untimed(tree)
    tree.pop("sha256", None)
    for stage, entry in tree["stages"].items():
        for part in ("inputs", "outputs"):
            for name in TIMED:
                entry[part].pop(name, None)
        if raw and stage == "preprocess":
            entry["inputs"] = None
    return tree


def _plain(content: bytes) -> Any:
    """Return what `torch.save` wrote, with its tensors as lists."""
    import torch

    def plain(tree: Any) -> Any:
        if isinstance(tree, torch.Tensor):
            return [str(tree.dtype), tree.tolist()]
        if isinstance(tree, dict):
            return {key: plain(value) for key, value in tree.items()}
        if isinstance(tree, (list, tuple)):
            return [plain(value) for value in tree]
        return tree

    return plain(torch.load(io.BytesIO(content), weights_only=True))
