"""Several processes by torchrun, as real ones."""

import csv
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ecgad.models import build_model
from ecgad.runtime import processes
from ecgad.scoring.scorer import Scorer

from .conftest import REPOSITORY, SMOKE, Call


def torchrun(n: int, cwd: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}"]
        + [str(word) for word in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def history(path: Path) -> np.ndarray:
    with path.open() as file:
        return np.array(
            [[float(value) for value in row.values()][:4] for row in csv.DictReader(file)]
        )


def test_two_processes_train_as_one_does_and_fail_as_one(script: Call, tmp_path: Path) -> None:
    """A small CNN, whose batch normalisation sees both; streamed from shares of the file.

    By sgd: Adam makes steps of full size out of rounding where a gradient should be 0.
    """
    settings = ["training.memory_budget_mb=1", "model.kind=cnn", "model.cnn.filters=4"]
    settings += ["data.synthetic.beats=3000", "training.epochs=2", "training.optimizer=sgd"]
    # Small steps: max pooling makes another choice where rounding tips the scales.
    settings += ["training.learning_rate=1e-3"]
    options = ["-c", str(SMOKE), *(word for key in settings for word in ("--set", key))]
    for stage in ("preprocess_data.py", "train_model.py"):
        assert script(stage, *options).code == 0
    train = [str(REPOSITORY / "train_model.py"), *options, "--run-dir", "shared"]
    done = torchrun(2, tmp_path, *train, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("\n") == 1
    alone, shared = (history(tmp_path / run / "history.csv") for run in ("runs/smoke", "shared"))
    np.testing.assert_allclose(shared, alone, rtol=1e-6)

    failed = torchrun(2, tmp_path, *train, "--set", "training.coreset=9999", "--overwrite")
    assert failed.returncode != 0
    assert failed.stderr.count("error: ") == 1
    assert "training.coreset: 9999 is more than the" in failed.stderr


def test_shares_are_whole_units_that_cover_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for size, n in ((1, 7), (3, 20), (5, 4)):
        monkeypatch.setattr(processes, "SIZE", size)
        shares = []
        for rank in range(size):
            monkeypatch.setattr(processes, "RANK", rank)
            shares.append(processes.shard(n, 3))
        assert [place for share in shares for place in range(*share)] == list(range(n))
        assert all(start % 3 == 0 or start == n for start, _ in shares)


def test_scores_of_shares_are_those_of_the_whole() -> None:
    model = build_model("dense", 1, 20, {})
    beats = np.random.default_rng(0).random((2 * model.scored_at_once + 5, 1, 20), np.float32)
    scorer = Scorer(model, {"mae": 1}, None)
    cuts = [0, model.scored_at_once, len(beats), len(beats)]
    parts = [scorer.scores(beats[a:b]) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts), scorer.scores(beats))
