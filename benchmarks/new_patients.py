"""How a detector carries over to new patients, by cross-validation, without a look at test records.

    python benchmarks/new_patients.py FOLDER [--seeds 5] [--group rule]

FOLDER holds the MIT-BIH Arrhythmia and Supraventricular Arrhythmia Databases as mitdb/ and svdb/.
The patients of the training and validation records of configs/recordings.yaml are divided into four
folds; the beats of each are scored by a detector that is trained on the normal beats of the other
three, and its threshold is chosen on their held-out scores. Each row differs from the first in what
it says. Behind it stand the differences in AUROC and average precision, with the interval in which
95% of them lie where patients are drawn anew (paired bootstrap), by the first seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import yaml
from measured import settings_of
from new_patients_networks import NETWORKS
from sklearn.metrics import average_precision_score, roc_auc_score

from ecgad.config.evaluation import EvaluationConfig
from ecgad.data.beats import Beats
from ecgad.data.sources import SOURCES
from ecgad.detection.trained import TrainedDetector
from ecgad.evaluation.baselines import FITS
from ecgad.processing.evidence import EVIDENCE, RHYTHM
from ecgad.scoring.levels import Levels
from ecgad.scoring.scorer import Scorer
from ecgad.scoring.thresholds import choose_threshold

RECORDINGS = settings_of("recordings")
JUDGED = EvaluationConfig.model_validate(RECORDINGS["evaluation"])
FOLDS, RESAMPLES, BINS = 4, 1000, 4000
COMPONENTS = ("mae", "code_distance", "template", "rhythm")
# Beats that a baseline is fitted on, and training normals that tell what is usual.
MOST_FITTED, MOST_KNOWN = 10_000, 5_000
FIRST = RECORDINGS["data"]["wfdb"]["leads"]
SECOND = [["V1", "V5", "V2", "V4", "II", "MLII", "ECG2"]]

Score = dict[str, float]
# As YAML.
Settings = str


@dataclass(frozen=True)
class Row:
    """What a row of the table is of: what differs from the recommended detector.

    score: weights of the components, and of `other`, a baseline or a network of
    `new_patients_networks`. level: evaluation.record_level. without: evidence that is left out.
    cut: of data.wfdb. learned: of the model and training sections.
    """

    name: str
    score: Score
    level: float = JUDGED.record_level
    without: tuple[str, ...] = ()
    other: str | None = None
    cut: Settings = ""
    learned: Settings = ""
    tested_on: Settings = ""


OWN = JUDGED.components
BEST = Row("recommended", OWN)
NO_NETWORK = {name: OWN[name] for name in ("template", "rhythm")}
WITHOUT = [
    Row("without the network", NO_NETWORK),
    Row("the same, twice the weight on the template", {"template": 1.4, "rhythm": 1}),
]
GROUPS: dict[str, list[Row]] = {
    "network": [BEST, *WITHOUT],
    "rule": [
        BEST,
        *WITHOUT,
        Row("without the template", {name: OWN[name] for name in ("code_distance", "rhythm")}),
        Row("without rhythm", {name: OWN[name] for name in ("template", "code_distance")}),
        Row("reconstruction error for code distance", {**NO_NETWORK, "mae": 0.7}),
        Row("reconstruction error and code distance", {**OWN, "mae": 0.7}),
        Row("rhythm alone", {"rhythm": 1}),
        Row("template alone", {"template": 1}),
        Row("code distance alone", {"code_distance": 1}),
        Row("reconstruction error alone", {"mae": 1}),
        Row("twice the weight on rhythm", {**OWN, "rhythm": 2}),
        Row("half the weight on rhythm", {**OWN, "rhythm": 0.5}),
        *(Row(f"without {name}", OWN, without=(name,)) for name in RHYTHM),
        *(Row(f"record level {level:g}", OWN, level) for level in (0.0, 0.25, 0.75, 1.0)),
        Row("beats not aligned", OWN, cut="alignment: 0"),
        Row("window of 700 ms", OWN, cut="window: {before: 250, after: 450}"),
        Row("window of 500 ms", OWN, cut="window: {before: 200, after: 300}"),
    ],
    "networks": [
        BEST,
        Row("one network instead of three", OWN, learned="members: 1"),
        Row("20 epochs", OWN, learned="epochs: 20"),
        Row("code of 6", OWN, learned="code_size: 6"),
        Row("code of 24", OWN, learned="code_size: 24"),
        Row(
            "layers of 512 and 256, code of 24",
            OWN,
            learned="{layers: [512, 256], code_size: 24}",
        ),
        *(Row(name, {**NO_NETWORK, "other": 0.7}, other=name) for name in NETWORKS),
    ],
    "baselines": [
        BEST,
        *(Row(name, {"other": 1}, level=0, other=name) for name in FITS),
        *(
            Row(f"{name} for code distance", {**NO_NETWORK, "other": 0.7}, other=name)
            for name in FITS
        ),
    ],
    "leads": [
        BEST,
        Row("the second lead", OWN, cut=f"leads: {SECOND}"),
        Row("trained on the first lead, used on the second", OWN, tested_on=f"leads: {SECOND}"),
        Row(
            "trained on each of two leads, used on the first",
            OWN,
            cut="leads: each",
            tested_on=f"leads: {FIRST}",
        ),
        Row(
            "trained on each of two leads, used on the second",
            OWN,
            cut="leads: each",
            tested_on=f"leads: {SECOND}",
        ),
        Row("two leads as one beat", OWN, cut="leads: both"),
    ],
}


def main(
    folder: Path,
    seeds: Annotated[int, typer.Option(help="How many, from 0 on.")] = 5,
    group: Annotated[str, typer.Option(help=f"One of {', '.join(GROUPS)}.")] = "rule",
    records: Annotated[bool, typer.Option(help="Print each record of the first row.")] = False,
) -> None:
    """Print a table of docs/experiments.md."""
    print(
        "| | AUROC | average precision | mean over records | V | S | false alarms: median | "
        "patients above 10% | difference to the first row |\n|---|---|---|---|---|---|---|---|---|"
    )
    first: np.ndarray | None = None
    for row in GROUPS[group]:
        found = [scored(folder, row, seed) for seed in range(seeds)]
        beats = read(folder, row.tested_on or row.cut)
        values = np.array([list(measures(beats, scores).values()) for scores in found])
        mean, spread = values.mean(axis=0), values.std(axis=0)
        cells = [f"{of:.4f}" for of in mean[:3]] + [f"{of:.1%}" for of in mean[3:]]
        if seeds > 1:
            cells[:3] = [
                f"{cell} ± {of:.4f}" for cell, of in zip(cells[:3], spread[:3], strict=True)
            ]
        differs = ""
        if first is None:
            first = found[0]
        elif len(first) == len(found[0]):
            differs = ", ".join(differences(beats, found[0], first))
        print(f"| {row.name} | {' | '.join(cells)} | {differs} |", flush=True)
        if records and row is BEST:
            by_record(beats, found[0])


def scored(folder: Path, row: Row, seed: int) -> np.ndarray:
    """Return the held-out scores of all beats, float64 (n_beats,)."""
    beats = read(folder, row.tested_on or row.cut)
    known = read(folder, row.cut)
    scores = np.empty(len(beats))
    for fold in range(FOLDS):
        held_out = np.flatnonzero(folds(beats) == fold)
        train = training_normals(known, fold)
        logs = components(folder, row, fold, seed, train, held_out)
        names = list(row.score)
        weights = np.array([row.score[name] for name in names])
        own, new = (
            np.exp(
                sum(w * part[name] for w, name in zip(weights, names, strict=True)) / weights.sum()
            )
            for part in logs
        )
        if row.level:
            assert beats.records is not None
            levels = Levels.of_normals(row.level, own)
            new = levels.relative(new, beats.records[held_out])
        scores[held_out] = new
    return scores


def components(
    folder: Path, row: Row, fold: int, seed: int, train: np.ndarray, held_out: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return logarithms of the components, of some training normals and of the held-out beats.

    Each less its median over these normals.
    """
    own: dict[str, np.ndarray] = {}
    new: dict[str, np.ndarray] = {}
    for name in row.score:
        if name == "other":
            some = train[:: max(1, len(train) // MOST_KNOWN)]
            found = other(folder, row, fold, seed, some, held_out)
        else:
            without = row.without if name == "rhythm" else ()
            found = by_scorer(
                folder, row.cut, row.tested_on, row.learned, without, fold, seed, name
            )
        middle = np.median(found[0])
        own[name], new[name] = found[0] - middle, found[1] - middle
    return own, new


@cache
def by_scorer(
    folder: Path,
    cut: Settings,
    tested_on: Settings,
    learned: Settings,
    without: tuple[str, ...],
    fold: int,
    seed: int,
    name: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithm of a component, of some training normals and of the held-out beats."""
    detector = trained(folder, cut, learned, fold, seed)
    scorer = Scorer(
        detector.model,
        {name: 1.0},
        detector.scorer.reference,
        JUDGED.neighbours,
        detector.beat_format.timing,
        evidence=detector.beat_format.evidence,
    )
    known, beats = read(folder, cut), read(folder, tested_on or cut)
    train = training_normals(known, fold)
    some = train[:: max(1, len(train) // MOST_KNOWN)]
    found = []
    for part, rows in ((known, some), (beats, np.flatnonzero(folds(beats) == fold))):
        waveforms = detector.scaler.transform(part.waveforms[rows])
        for of in without:
            waveforms[:, part.format.n_seen + list(EVIDENCE).index(of)] = 0
        found.append(np.log(np.maximum(scorer.scores(waveforms), 1e-12)))
    return found[0], found[1]


def training_normals(beats: Beats, fold: int) -> np.ndarray:
    """Return the indices of the normal beats of all patients but those of a fold."""
    return np.flatnonzero((folds(beats) != fold) & (np.asarray(beats.labels) == 0))


@cache
def trained(
    folder: Path,
    cut: Settings,
    learned: Settings,
    fold: int,
    seed: int,
) -> TrainedDetector:
    """Train a detector on the normal beats of all patients but those of a fold."""
    known = read(folder, cut)
    train = training_normals(known, fold)
    model, training = RECORDINGS["model"], RECORDINGS["training"]
    for name, value in (yaml.safe_load(learned) or {}).items():
        if name in training:
            training = {**training, name: value}
        else:
            model = {**model, "dense": {**model["dense"], name: value}}
    return TrainedDetector.fit(
        known.waveforms[train],
        beat_format=known.format,
        scaling=RECORDINGS["data"]["scaling"],
        model=model,
        training=training,
        evaluation={"score": dict.fromkeys(COMPONENTS, 1)},
        validation=0.1,
        seed=seed,
    )


def other(
    folder: Path, row: Row, fold: int, seed: int, some: np.ndarray, held_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithm of what a baseline or another network makes of beats."""
    known = read(folder, row.cut)
    train = training_normals(known, fold)
    assert row.other is not None
    scaler = trained(folder, row.cut, row.learned, fold, 0).scaler
    n_seen = known.format.n_seen
    waveforms = scaler.transform(known.waveforms)[:, :n_seen]
    if row.other in NETWORKS:
        assert known.records is not None
        score = NETWORKS[row.other](waveforms, known.records, train, seed)
        return score(some), score(held_out)
    fit = FITS[row.other]
    rng = np.random.default_rng(seed)
    chosen = np.sort(
        rng.choice(train, MOST_FITTED if row.other != "one_class_svm" else 3000, False)
    )
    flat = np.ascontiguousarray(waveforms.reshape(len(waveforms), -1))
    judge: Callable[[np.ndarray], np.ndarray] = fit(flat[chosen], seed)
    found = [judge(flat[rows]) for rows in (some, held_out)]
    # Of scores that may be negative, as an isolation forest's, the logarithm is left out.
    if min(of.min() for of in found) <= 0:
        spread = found[0].std()
        return found[0] / spread, found[1] / spread
    return np.log(found[0]), np.log(found[1])


@cache
def read(folder: Path, cut: Settings) -> Beats:
    """Read the beats of all records but the test records, cut as the config says but for `cut`."""
    data = RECORDINGS["data"]
    settings = {**data["wfdb"], "database": None, **(yaml.safe_load(cut) or {})}
    records = data["split"]["records"]
    settings["records"] = [*records["train"], *records["validation"]]
    of_leads = {"both": [FIRST + SECOND], "each": [FIRST, SECOND]}
    parts = []
    for leads in of_leads.get(str(settings["leads"]), [settings["leads"]]):
        kind = SOURCES["wfdb"]
        source = kind(kind.settings_class.model_validate({**settings, "leads": leads}), folder)
        source.find()
        parts += [part.beats for part in source.read()]
    return Beats.concatenate(parts)


def folds(beats: Beats) -> np.ndarray:
    """Return the fold of each beat, int (n_beats,); all beats of a patient have the same."""
    assert beats.patients is not None
    patients, of_beat = np.unique(beats.patients, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(patients))
    fold = np.empty(len(patients), int)
    fold[order] = np.arange(len(patients)) % FOLDS
    return fold[of_beat]


def measures(beats: Beats, scores: np.ndarray) -> dict[str, float]:
    """Measure held-out scores."""
    assert beats.labels is not None and beats.records is not None
    labels, symbols = np.asarray(beats.labels), beats.symbols
    by_record = [
        roc_auc_score(labels[of], scores[of])
        for of in (beats.records == record for record in np.unique(beats.records))
        if 0 < labels[of].sum() < of.sum()
    ]
    specific = np.quantile(scores[labels == 0], 0.95)
    rates = np.array(list(false_alarms(beats, scores).values()))
    return {
        "auroc": float(roc_auc_score(labels, scores)),
        "average_precision": float(average_precision_score(labels, scores)),
        "records": float(np.mean(by_record)),
        "v": float((scores[symbols == "V"] > specific).mean()),
        "s": float((scores[symbols == "S"] > specific).mean()),
        "median": float(np.median(rates)),
        "above": float((rates > 0.10).mean()),
    }


def false_alarms(beats: Beats, scores: np.ndarray) -> dict[str, float]:
    """Return the rate of false alarms of each patient, at thresholds chosen on the other folds."""
    assert beats.labels is not None and beats.patients is not None
    fold, labels = folds(beats), np.asarray(beats.labels)
    found = {}
    for number in range(FOLDS):
        others = np.flatnonzero(fold != number)
        threshold = choose_threshold(
            JUDGED, np.empty(0), scores[others], labels[others], beats.patients[others]
        )
        for patient in np.unique(beats.patients[fold == number]):
            normals = (beats.patients == patient) & (labels == 0)
            if normals.sum() > 50:
                found[str(patient)] = float((scores[normals] > threshold.value).mean())
    return found


def by_record(beats: Beats, scores: np.ndarray) -> None:
    """Print each record: its beats, AUROC and false alarms."""
    assert beats.labels is not None and beats.records is not None and beats.patients is not None
    rates = false_alarms(beats, scores)
    print("\n| record | normal | anomalous | AUROC | false alarms |\n|---|---|---|---|---|")
    for record in np.unique(beats.records):
        of = beats.records == record
        labels = np.asarray(beats.labels)[of]
        rate = rates.get(str(beats.patients[of][0]))
        both = 0 < labels.sum() < len(labels)
        auroc = f"{roc_auc_score(labels, scores[of]):.3f}" if both else "-"
        alarms = "-" if rate is None else f"{rate:.1%}"
        print(f"| {record} | {(labels == 0).sum()} | {labels.sum()} | {auroc} | {alarms} |")
    print()


def differences(beats: Beats, scores: np.ndarray, first: np.ndarray) -> list[str]:
    """Say by how much scores differ from the first ones in AUROC and average precision."""
    assert beats.patients is not None and beats.labels is not None
    patients, of_beat = np.unique(beats.patients, return_inverse=True)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(patients), np.full(len(patients), 1 / len(patients)), RESAMPLES)
    labels = np.asarray(beats.labels)
    resampled = []
    for values in (scores, first):
        rank = np.argsort(np.argsort(-values)) * BINS // len(values)
        table = np.zeros((2, len(patients), BINS))
        np.add.at(table, (labels, of_beat, rank), 1)
        normal, hits = (np.cumsum(drawn @ of, axis=1) for of in table)
        steps = np.diff(hits, axis=1, prepend=0)
        area = (
            steps * (normal[:, -1:] - (normal + np.c_[normal[:, :1] * 0, normal[:, :-1]]) / 2)
        ).sum(1)
        precision = (steps * hits / np.maximum(hits + normal, 1)).sum(axis=1)
        resampled.append((area / (hits[:, -1] * normal[:, -1]), precision / hits[:, -1]))
    words = []
    for of, base in zip(*resampled, strict=True):
        low, high = np.quantile(of - base, (0.025, 0.975))
        words.append(f"{(of - base).mean():+.4f} [{low:+.4f}, {high:+.4f}]")
    return words


if __name__ == "__main__":
    typer.run(main)
