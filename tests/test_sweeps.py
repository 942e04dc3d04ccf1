"""The sweep: every config with every seed, and what is done again when it is called again."""

import csv
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY, SMOKE

FAST = ("--set", "training.epochs=1", "--set", "evaluation.baselines=[]")


def sweep(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Call the sweep in a folder."""
    return subprocess.run(
        [REPOSITORY / "sweeps" / "grid.sh", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Read the table of a sweep."""
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_sweep_collects_a_row_a_run_and_evaluates_again(tmp_path: Path) -> None:
    options = ("-f", "-o", "out", "-s", "3", SMOKE, "--", *FAST)
    done = sweep(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert "| smoke | 1 |" in done.stdout
    (row,) = rows_of(tmp_path / "out")
    assert (row["name"], row["seed"], row["score"]) == ("smoke", "3", "mae")
    assert 0 <= float(row["test_auroc"]) <= 1

    run = tmp_path / "out" / "smoke-seed3" / "run"
    trained = (run / "checkpoint_last.pt").stat().st_mtime_ns
    done = sweep(tmp_path, "-e", *options, "--set", "evaluation.score=mse")
    assert done.returncode == 0, done.stderr
    (row,) = rows_of(tmp_path / "out")
    assert row["score"] == "mse"
    assert (run / "checkpoint_last.pt").stat().st_mtime_ns == trained


def test_the_usage_of_the_sweep_names_every_option(tmp_path: Path) -> None:
    done = sweep(tmp_path, "-o", "out")
    assert done.returncode == 2
    options = [line.split()[0] for line in done.stderr.splitlines()[2:]]
    assert options == ["-o", "-s", "-j", "-e", "-f", "OPTION"]
