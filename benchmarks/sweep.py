"""Sweeps of the benchmarks, by `sweeps/grid.sh`."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measured import CONFIGS

sys.path.append(str(Path(__file__).parent.parent / "sweeps"))

from collect import read_runs, spread

__all__ = ["spread", "sweep"]

GRID = Path(__file__).parent.parent / "sweeps" / "grid.sh"


def sweep(
    config: str, seeds: Sequence[int], options: Sequence[str], out: Path, jobs: int = 1
) -> list[dict[str, Any]]:
    """Run a config with some seeds, and return the metrics of the runs that did not fail.

    options: of all stages. out: gets a folder for each seed; models that are there are evaluated
    again. jobs: runs at a time.
    """
    config_file, seed_list = CONFIGS / f"{config}.yaml", " ".join(map(str, seeds))
    flags = ["-e", "-f", "-j", str(jobs), "-o", str(out), "-s", seed_list]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run([GRID, *flags, config_file, "--", *options], env=environment, check=False)
    # 1: some runs failed, and the others have metrics. Else those there may be of another call.
    if done.returncode not in (0, 1):
        sys.exit(done.returncode)
    return read_runs(out / "metrics.jsonl")
