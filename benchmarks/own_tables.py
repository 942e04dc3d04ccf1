"""How `configs/own_table.yaml` does on small tables of beats, beside simple methods.

    python benchmarks/own_tables.py ECG5000 MITDB [SVDB] [--draws 2] [--ablate]

The folders hold ECG5000, the MIT-BIH Arrhythmia and the Supraventricular Arrhythmia Database.
Tables in the manner of the UCR archive are made of them, each beat scaled alone: ECG5000 at other
numbers of samples; S, V and F beats against N of one patient; the beats of one patient at another
time; and the beats of other patients, as common as the normal ones. Settings were chosen on the
tables of ECG5000 and of DS1; those of the supraventricular database were left alone meanwhile.

Of each table, some normals are drawn to train on and a third as many for validation, several times.
Simple methods are fitted on the same training normals. All are judged on the same other beats.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from measured import settings_of
from sklearn.metrics import roc_auc_score

from ecgad.config.loading import validated
from ecgad.config.training import TrainingConfig
from ecgad.data.beats import BeatFormat, Beats
from ecgad.data.scaling import Scaler
from ecgad.data.sources import SOURCES
from ecgad.evaluation.baselines import FITS, run_baseline
from ecgad.models import build_model
from ecgad.scoring.reference_beats import choose_reference_beats
from ecgad.scoring.scorer import Scorer
from ecgad.training.fit import fit

CONFIG = settings_of("own_table")
RECORDS = settings_of("recordings")["data"]["split"]["records"]
DS1 = sorted(str(record) for part in ("train", "validation") for record in RECORDS[part])
# Patients whose normal beats change within half an hour, so that something tells them apart.
CHANGING = ["106", "112", "116", "119", "201", "208", "220"]
TRAINED = (20, 50, 290)
SAMPLES = (82, 140, 300, 24, 1000)
# At most so many test beats of each label, and patients of a database. A patient's table has so
# many beats of each label at least.
JUDGED, PATIENTS, NORMALS, ANOMALIES = 600, 12, 500, 100
LEVEL = 0.002
OURS, BEST = "ecgad", "best"

# By what differs from the config: training, network, and the score.
Row = tuple[str, dict[str, Any], dict[str, Any], dict[str, float], int]


@dataclass(frozen=True)
class Table:
    """A table: beats, float32 (n_beats, 1, n_samples), and labels (n_beats,)."""

    kind: str
    name: str
    beats: np.ndarray
    labels: np.ndarray


def main(
    ecg5000: Path,
    mitdb: Path,
    svdb: Annotated[Path | None, typer.Argument()] = None,
    draws: Annotated[int, typer.Option(help="Of training normals, from seed 0 on.")] = 2,
    ablate: Annotated[bool, typer.Option(help="Other settings instead.")] = False,
) -> None:
    """Print AUROC by table and number of training normals, and what it comes to."""
    tables = [*of_ecg5000(ecg5000), *of_patients(mitdb, DS1, "MLII"), *of_pools(mitdb)]
    if ablate:
        compare_settings(tables)
        return
    if svdb is not None:
        tables += of_patients(svdb, None, "ECG1")
    names = [OURS, BEST, *FITS]
    print(
        f"| table | samples | normals | {' | '.join(names)} |\n|---|---|---|{'---|' * len(names)}"
    )
    found: dict[tuple[str, int], list[dict[str, float]]] = defaultdict(list)
    for table in tables:
        for n in TRAINED:
            drawn = [judge(table, n, seed) for seed in range(draws) if fits(table, n)]
            if not drawn:
                continue
            means = {name: float(np.mean([of[name] for of in drawn])) for name in (OURS, *FITS)}
            means[BEST] = max(means["knn"], means["pca"])
            spreads = {name: np.std([of[name] for of in drawn]) for name in (OURS, *FITS)}
            cells = [
                f"{means[name]:.3f}" + (f" ± {spreads[name]:.3f}" if name in spreads else "")
                for name in names
            ]
            samples = table.beats.shape[2]
            print(
                f"| {table.kind}, {table.name} | {samples} | {n} | {' | '.join(cells)} |",
                flush=True,
            )
            found[table.kind, n].append(means)
    print()
    summarise(found)


def summarise(found: Mapping[tuple[str, int], list[dict[str, float]]]) -> None:
    """Print the mean AUROC of each kind of table, and how often it is level with simple methods."""
    print(
        "| tables | normals | number | ecgad | knn | PCA | ahead of the better by | lowest | "
        "level or ahead | ahead of the best of four by | level or ahead |"
    )
    print(f"|{'---|' * 11}")
    everything = [row for rows in found.values() for row in rows]
    for (kind, n), rows in [*sorted(found.items()), (("all", 0), everything)]:
        cells = [kind, str(n or ""), str(len(rows))]
        cells += [f"{np.mean([row[name] for row in rows]):.3f}" for name in (OURS, "knn", "pca")]
        apart = np.array([row[OURS] - row[BEST] for row in rows])
        cells += [f"{apart.mean():+.4f}", f"{apart.min():+.3f}", str((apart > -LEVEL).sum())]
        apart = np.array([row[OURS] - max(row[name] for name in FITS) for row in rows])
        cells += [f"{apart.mean():+.4f}", str((apart > -LEVEL).sum())]
        print(f"| {' | '.join(cells)} |")


def of_ecg5000(folder: Path) -> Iterator[Table]:
    """Yield ECG5000 at some numbers of samples."""
    beats = read("ecg5000", folder, {})
    assert beats.labels is not None
    for samples in (24, 140, 1000):
        values = alone(beats.waveforms[:, 0], samples, ranged=samples == 24)
        yield Table("ECG5000", "one patient", values, beats.labels)


def of_patients(folder: Path, records: list[str] | None, lead: str) -> Iterator[Table]:
    """Yield the S, V and F beats of each patient against N, and later N against earlier ones."""
    kind = "MIT-BIH" if records else "supraventricular"
    beats = read_records(folder, records, lead)
    assert beats.labels is not None and beats.records is not None
    samples = cycle(SAMPLES)
    n_yielded = 0
    for record in np.unique(beats.records):
        of_record = beats.records == record
        labels, leads = beats.labels[of_record], beats.waveforms[of_record, 0]
        few = (labels == 0).sum() < NORMALS or (labels == 1).sum() < ANOMALIES
        if few or n_yielded == PATIENTS:
            continue
        n_yielded += 1
        values = alone(leads, next(samples), ranged=n_yielded % 3 == 0)
        yield Table(f"{kind}, one patient", str(record), values, labels)
    for record in CHANGING if records else []:
        normal = beats.waveforms[(beats.records == record) & (beats.labels == 0), 0]
        fifth = len(normal) // 5
        known = np.concatenate([normal[: 2 * fifth], normal[-fifth:]])
        labels = np.repeat([0, 1], (2 * fifth, fifth)).astype(np.int8)
        yield Table(f"{kind}, another time", record, alone(known, next(samples)), labels)


def of_pools(folder: Path) -> Iterator[Table]:
    """Yield normal beats of some patients of DS1 against those of others."""
    beats = read_records(folder, DS1, "MLII")
    assert beats.labels is not None and beats.records is not None
    rng = np.random.default_rng(0)
    of_record = {r: np.flatnonzero((beats.records == r) & (beats.labels == 0)) for r in DS1}
    known = [record for record in DS1 if len(of_record[record]) > 600]
    for number, samples in enumerate((96, 140, 82, 96, 140, 82)):
        size = (2, 3, 6)[number % 3]
        patients = rng.permutation(known)[: 2 * size]
        rows = [rng.choice(of_record[record], 600 // size, replace=False) for record in patients]
        values = alone(beats.waveforms[np.concatenate(rows), 0], samples)
        labels = np.repeat([0, 1], len(values) // 2).astype(np.int8)
        name = f"{size} against {size}, {number // 3 + 1}"
        yield Table("MIT-BIH, other patients", name, values, labels)


def read(source: str, folder: Path, settings: dict[str, Any]) -> Beats:
    """Read all beats of a source."""
    made = SOURCES[source]
    reader = made(made.settings_class.model_validate(settings), folder)
    reader.find()
    return Beats.concatenate([part.beats for part in reader.read()])


def read_records(folder: Path, records: list[str] | None, lead: str) -> Beats:
    """Read beats of one lead of WFDB records, 700 ms each."""
    classes = {"class_map": "ml_literature", "normal": ["N"], "anomalous": ["S", "V", "F"]}
    return read("wfdb", folder, {"leads": [[lead, "V5"]], "records": records, **classes})


def alone(beats: np.ndarray, samples: int, ranged: bool = False) -> np.ndarray:
    """Return beats with so many samples, (n_beats, 1, samples), each scaled by its own numbers.

    ranged: to [0, 1], else to mean 0 and standard deviation 1.
    """
    at = np.linspace(0, beats.shape[1] - 1, samples)
    first = np.minimum(at.astype(int), beats.shape[1] - 2)
    values = beats[:, first] * (first + 1 - at) + beats[:, first + 1] * (at - first)
    offset, scale = values.mean(1, keepdims=True), values.std(1, keepdims=True)
    if ranged:
        offset, scale = values.min(1, keepdims=True), np.ptp(values, 1, keepdims=True)
    return ((values - offset) / (scale + 1e-9)).astype(np.float32)[:, None]


def parts(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the normals to draw from, and the test beats, the same for every draw."""
    rng = np.random.default_rng(99)
    normal, anomalous = (rng.permutation(np.flatnonzero(table.labels == of)) for of in (0, 1))
    kept = min(JUDGED, len(normal) // 2)
    return normal[kept:], np.concatenate([normal[:kept], anomalous[:JUDGED]])


def fits(table: Table, n: int) -> bool:
    """Return whether a table has so many normals to train on."""
    return len(parts(table)[0]) >= n + round(n / 3)


def draw(table: Table, n: int, seed: int, scaling: dict[str, Any]) -> tuple[Beats, Beats, Beats]:
    """Draw training and validation normals; return them scaled, and the test beats."""
    pool, test = parts(table)
    drawn = np.random.default_rng(seed).permutation(pool)
    rows = drawn[:n], drawn[n : n + round(n / 3)], test
    scaler = Scaler.fit(table.beats[rows[0]], scaling["method"], scaling.get("per", "lead"))
    train, validation, judged = (
        Beats(
            scaler.transform(table.beats[of]),
            symbols=np.full(len(of), ""),
            labels=table.labels[of],
            rows=of,
            format=BeatFormat(("lead",)),
        )
        for of in rows
    )
    return train, validation, judged


def judge(table: Table, n: int, seed: int) -> dict[str, float]:
    """Return the AUROC of the config and of the simple methods, trained on `n` normals."""
    train, validation, test = draw(table, n, seed, CONFIG["data"]["scaling"])
    evaluation = CONFIG["evaluation"]
    (ours,) = scores(
        (train, validation, test),
        CONFIG["model"]["dense"],
        CONFIG["training"],
        [(evaluation["score"], evaluation["neighbours"])],
        seed,
    )
    found = {name: run_baseline(name, train, {"test": test}, seed).scores["test"] for name in FITS}
    return {
        name: float(roc_auc_score(test.labels, values))
        for name, values in {OURS: ours, **found}.items()
    }


def scores(
    of: tuple[Beats, Beats, Beats],
    network: dict[str, Any],
    training: dict[str, Any],
    judged_by: list[tuple[dict[str, float], int]],
    seed: int,
) -> list[np.ndarray]:
    """Train as the scripts do, and return the scores of the test beats by each score.

    of: training, validation and test beats, scaled. judged_by: components and neighbours.
    """
    train, validation, test = of
    config = validated(TrainingConfig, training, "training.")
    torch.manual_seed(seed)
    model = build_model("dense", 1, test.waveforms.shape[2], network, config.members)
    known, held_out = (torch.from_numpy(part.waveforms) for part in (train, validation))
    for state in fit(model, known, held_out, config, seed):
        best = state.best_weights
    model.load_state_dict(best)
    reference = choose_reference_beats(model, train, config, seed)
    return [
        Scorer(model, components, reference, neighbours).scores(test.waveforms)
        for components, neighbours in judged_by
    ]


ERROR, BOTH = {"mse": 1.0}, CONFIG["evaluation"]["score"]
# The same training, scored in other ways, and other trainings.
ROWS: list[Row] = [
    ("`own_table`", {}, {}, BOTH, 1),
    ("error alone", {}, {}, ERROR, 1),
    ("beat distance alone", {}, {}, {"beat_distance": 1}, 1),
    ("beat distance with twice the weight", {}, {}, {"mse": 1, "beat_distance": 2}, 1),
    ("code distance alone", {}, {}, {"code_distance": 1}, 1),
    ("error and code distance", {}, {}, {"mse": 1, "code_distance": 1}, 1),
    ("with code distance as well", {}, {}, {**BOTH, "code_distance": 1}, 1),
    ("five neighbours", {}, {}, BOTH, 5),
    ("250 epochs", {"epochs": 250}, {}, BOTH, 1),
    (
        "before: 100 epochs, one network, `mae` alone",
        {"epochs": 100, "members": 1, "batch_size": 64, "loss": "mae"},
        {"layers": [64, 32], "code_size": 8},
        {"mae": 1},
        1,
    ),
]


def compare_settings(tables: list[Table]) -> None:
    """Print the mean AUROC of other settings, and how far it is from the better simple method."""
    print(
        "| | 20 normals | ahead of the better by | 100 normals | ahead of the better by |\n"
        "|---|---|---|---|---|"
    )
    found: dict[str, dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    network, training = CONFIG["model"]["dense"], CONFIG["training"]
    alike: dict[str, list[Row]] = defaultdict(list)
    for row in ROWS:
        alike[repr(row[1:3])].append(row)
    for table in tables:
        for n in (20, 100):
            if not fits(table, n):
                continue
            of = draw(table, n, 0, CONFIG["data"]["scaling"])
            labels, judged = of[2].labels, {"test": of[2]}
            simple = (
                run_baseline(name, of[0], judged, 0).scores["test"] for name in ("knn", "pca")
            )
            best = max(roc_auc_score(labels, values) for values in simple)
            for rows in alike.values():
                _, learned, built, *_ = rows[0]
                ways = [(score, neighbours) for *_, score, neighbours in rows]
                made = scores(of, {**network, **built}, {**training, **learned}, ways, 0)
                for row, values in zip(rows, made, strict=True):
                    reached = float(roc_auc_score(labels, values))
                    found[row[0]][n].append((reached, reached - best))
    for what, by_n in found.items():
        means = [np.mean(by_n[n], axis=0) for n in (20, 100)]
        cells = [f"{reached:.4f} | {apart:+.4f}" for reached, apart in means]
        print(f"| {what} | {' | '.join(cells)} |")


if __name__ == "__main__":
    typer.run(main)
