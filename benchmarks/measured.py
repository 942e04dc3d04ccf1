"""Keeps what was measured with what it was made by, so that it is measured once.

Changes of the code do not count: after one that moves results, keep them in another folder.
"""

import json
from pathlib import Path
from typing import Any

import yaml

CONFIGS = Path(__file__).parent.parent / "configs"


def load(file: Path, made_by: dict[str, Any]) -> Any:
    """Return what a file keeps; None where there is no file, or where it was made otherwise."""
    if not file.exists():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    return content["measured"] if content["made_by"] == made_by else None


def save(file: Path, made_by: dict[str, Any], measured: Any) -> None:
    """Write what was measured, with what it was made by; both are plain values."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"made_by": made_by, "measured": measured})
    file.write_text(content, encoding="utf-8")


def settings_of(config: str) -> dict[str, Any]:
    """Read a config as it stands in its file: a part of what results are made by."""
    settings: dict[str, Any] = yaml.safe_load((CONFIGS / f"{config}.yaml").read_text("utf-8"))
    return settings
