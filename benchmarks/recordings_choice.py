"""How the settings of configs/recordings.yaml were chosen, without a look at its test records.

    python benchmarks/recordings_choice.py MITDB SVDB [--seeds 2]

The folders hold the MIT-BIH Arrhythmia and Supraventricular Arrhythmia Databases. Each row is
trained on the normal beats of the training records. It is judged by its average precision on three
sets: the validation records, the training records, whose anomalous beats were not learned from, and
the supraventricular records. Rows are compared by the mean of the three, over the seeds.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from measured import settings_of

from ecgad.data.beats import Beats
from ecgad.data.sources import SOURCES
from ecgad.detection.trained import TrainedDetector
from ecgad.evaluation.metrics import ranking_metrics

RECORDINGS = settings_of("recordings")
SVDB_LEADS = [["ECG1"]]
RATIO = ["log_rr_previous_ratio", "log_rr_next_ratio", "log_rr_previous"]
LONG, SHORT = {"before": 250, "after": 450}, {"before": 200, "after": 300}
ERROR = {"mae": 1, "prematurity": 0.75}

# By what differs from the config: of data.wfdb, of training, and the score.
Row = tuple[str, dict[str, Any], dict[str, Any], dict[str, float]]
ROWS: list[Row] = [
    (
        "RR interval over its median alone; 700 ms, no code distance",
        {"timing": RATIO, "window": LONG},
        {},
        {"mae": 1, "prematurity": 1},
    ),
    (
        "the same, no template",
        {"timing": RATIO, "window": LONG, "template": "none"},
        {},
        {"mae": 1, "prematurity": 1},
    ),
    ("700 ms, no code distance", {"window": LONG}, {}, ERROR),
    ("700 ms", {"window": LONG}, {}, {"mae": 1, "code_distance": 0.5, "prematurity": 0.75}),
    (
        "700 ms, no code distance, band from 0.5 Hz",
        {"window": LONG, "filter": {"band": [0.5, 40]}},
        {},
        ERROR,
    ),
    ("850 ms, no code distance", {"window": {"before": 250, "after": 600}}, {}, ERROR),
    ("500 ms, no code distance", {"window": SHORT}, {}, ERROR),
    ("no code distance", {}, {}, ERROR),
    ("20 epochs, no code distance", {}, {"epochs": 20}, ERROR),
    ("`recordings`", {}, {}, RECORDINGS["evaluation"]["score"]),
]


def main(
    mitdb: Path,
    svdb: Path,
    seeds: Annotated[int, typer.Option(help="How many, from 0 on.")] = 2,
) -> None:
    """Print a row of docs/experiments.md for each setting."""
    print("| | validation | training records | supraventricular | mean |\n|---|---|---|---|---|")
    for what, cut, learned, score in ROWS:
        sets = read(mitdb, svdb, repr(sorted(cut.items())))
        found = [figures(sets, learned, score, seed) for seed in range(seeds)]
        values = np.mean(found, axis=0)
        cells = " | ".join(f"{value:.3f}" for value in (*values, values.mean()))
        print(f"| {what} | {cells} |", flush=True)


@cache
def _cut_by(words: str) -> dict[str, Any]:
    return next(cut for _, cut, _, _ in ROWS if repr(sorted(cut.items())) == words)


@cache
def read(mitdb: Path, svdb: Path, words: str) -> tuple[Beats, Beats, Beats]:
    """Return validation beats, training beats and those of the supraventricular database."""
    data = RECORDINGS["data"]
    settings = {**data["wfdb"], **_cut_by(words), "database": None}
    records = data["split"]["records"]
    return (
        beats_of(mitdb, {**settings, "records": list(map(str, records["validation"]))}),
        beats_of(mitdb, {**settings, "records": list(map(str, records["train"]))}),
        beats_of(svdb, {**settings, "leads": SVDB_LEADS}),
    )


def beats_of(folder: Path, settings: dict[str, Any]) -> Beats:
    """Read all beats of the records in a folder."""
    made = SOURCES["wfdb"]
    source = made(made.settings_class.model_validate(settings), folder)
    source.find()
    return Beats.concatenate([part.beats for part in source.read()])


def figures(
    sets: tuple[Beats, Beats, Beats], learned: dict[str, Any], score: dict[str, float], seed: int
) -> list[float]:
    """Train on the normal training beats, and return the average precision on each set."""
    train = sets[1]
    detector = TrainedDetector.fit(
        train.waveforms[train.normals],
        beat_format=train.format,
        scaling=RECORDINGS["data"]["scaling"],
        model=RECORDINGS["model"],
        training={**RECORDINGS["training"], **learned},
        evaluation={"score": score},
        validation=0.1,
        seed=seed,
    )
    found = []
    for beats in sets:
        assert beats.labels is not None
        metrics = ranking_metrics(detector.scores(beats.waveforms), beats.labels)
        found.append(metrics["average_precision"])
    return found


if __name__ == "__main__":
    typer.run(main)
