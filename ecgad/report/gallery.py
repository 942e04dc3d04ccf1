"""The pictures of a run, in the order of its report."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ecgad.artifacts import arrays, files, processed, runs
from ecgad.data.beats import Beats, Strip
from ecgad.data.splits import SPLITS
from ecgad.evaluation.baselines import TITLES
from ecgad.evaluation.examples import judged, take_examples
from ecgad.experiment import Experiment
from ecgad.report.figures import data, detection, model, recordings
from ecgad.report.figures.classes import (
    Classes,
    blocks,
    classes_of,
    counts_by_record,
    first_of_each_class,
    profiles_of,
)
from ecgad.runtime.reading import read_rows

# Title of the pictures of examples, and what their caption says.
EXAMPLES = {
    "normal": ("Normal beats", "Typical normal test beats: scores near the median."),
    "anomalous": (
        "Anomalous beats",
        "Typical anomalous test beats, the classes taking turns: scores near the median of each.",
    ),
    "false_alarm_worst": (
        "Worst false alarms",
        "Normal test beats called anomalous, by the highest score.",
    ),
    "false_alarm_mildest": (
        "Mildest false alarms",
        "Normal test beats called anomalous, by the lowest score.",
    ),
    "missed_worst": ("Worst misses", "Anomalous test beats called normal, by the lowest score."),
    "missed_mildest": (
        "Mildest misses",
        "Anomalous test beats called normal, by the highest score.",
    ),
    "lowest": ("Lowest scores", "Of all beats, those that are least anomalous."),
    "highest": ("Highest scores", "Of all beats, those that are most anomalous."),
}


def render(name: str, caption: str, figure: Figure, dpi: int) -> tuple[str, str, bytes]:
    """Return name, caption and PNG of a figure. It takes the time, and may be done elsewhere."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    return name, caption, content.getvalue()


def draw(experiment: Experiment, run_dir: Path) -> Iterator[tuple[str, str, Figure]]:
    """Give name, caption and figure of each picture that the results of a run allow."""
    folder = experiment.processed_dir
    scaler = processed.load_scaler(folder)
    splits = {split: processed.load_split(folder, split) for split in SPLITS}
    metrics = files.load_json(run_dir / runs.METRICS)
    n_examples = experiment.figures.examples
    train, test = splits["train"], splits["test"]
    classes = {split: classes_of(beats) for split, beats in splits.items()}

    yield (
        "class_examples",
        "Beats of each class as the source has them, from the training split.",
        data.class_examples(
            scaler.unscaled(train.take(first_of_each_class(train, n_examples))),
            classes["train"],
            n_examples,
        ),
    )
    yield (
        "label_distribution",
        "Beats of each class in each split.",
        data.label_distribution(classes),
    )
    profiles = profiles_of(train, scaler)
    yield (
        "class_profiles",
        "Mean beat of each class, and how much single beats differ from it (training split).",
        data.class_profiles(profiles, classes["train"], train.format),
    )
    yield (
        "rolling_statistics",
        "Level and variability along the mean beat of each class (training split).",
        data.rolling_statistics(profiles, classes["train"], train.format),
    )
    if train.records is not None:
        yield (
            "classes_by_record",
            "Beats of each class in each record, over all splits.",
            recordings.classes_by_record(counts_by_record(splits.values()), classes["train"]),
        )
    if train.rr is not None:
        yield (
            "rr_distributions",
            "Time from the previous beat, and to the next, of the beats of each class (training "
            "split).",
            recordings.rr_distributions(train, classes["train"]),
        )
    yield (
        "training_history",
        "Loss on normal training beats and on normal validation beats, which the best epoch is "
        "chosen by.",
        model.training_history(runs.load_history(run_dir), experiment.training.loss),
    )

    test_scores = arrays.load_array(run_dir / runs.SCORES["test"])
    threshold = metrics["threshold"]["value"]
    judged_scores = np.concatenate(
        [arrays.load_array(run_dir / runs.SCORES[split]) for split in judged(splits)]
    )
    for kind, (indices, made) in runs.load_examples(run_dir).items():
        if not len(indices):
            continue
        if kind.endswith("_mildest") and len(indices) <= 2 * n_examples:
            # So few that the worst are all of them.
            continue
        title, caption = EXAMPLES[kind]
        shown = indices[: 2 * n_examples]
        figure = model.reconstructions(
            scaler.unscaled(take_examples(splits, shown)),
            scaler.inverse_transform(made[: len(shown)]),
            judged_scores[shown],
            threshold,
            title,
        )
        yield f"reconstructions_{kind}", caption, figure

    yield (
        "score_distributions",
        "Scores of the test beats; right of the threshold a beat is called anomalous.",
        detection.score_distributions(test_scores, test.labels, threshold, metrics["score"]),
    )
    if test.labels is not None:
        yield from _with_labels(splits, run_dir, metrics)
    if strips := processed.load_strips(folder):
        strips = _most_telling(strips, test, classes["test"], n_examples)
        shown = _in_strips(strips, test)
        yield (
            "strips",
            "Ten seconds of some test records: above each test beat its class, shaded where it was "
            "called anomalous.",
            recordings.strips(
                strips, test.take(shown), test_scores[shown] > threshold, classes["test"]
            ),
        )
    encoded, codes = runs.load_codes(run_dir)
    yield (
        "latent_space",
        "Codes of the test beats on their first two principal components.",
        model.latent_space(codes, read_rows(test.symbols, encoded), classes["test"]),
    )


def _most_telling(strips: list[Strip], beats: Beats, classes: Classes, n: int) -> list[Strip]:
    """Return the `n` strips of the records with the most classes, then the most anomalous beats."""
    by_record = counts_by_record([beats])

    def telling(strip: Strip) -> tuple[int, int]:
        counts = by_record[strip.record]
        return len(counts), sum(n for symbol, n in counts.items() if symbol not in classes.normal)

    return sorted(sorted(strips, key=telling)[-n:], key=lambda strip: strip.record)


def _in_strips(strips: list[Strip], beats: Beats) -> np.ndarray:
    """Return the indices of the beats that lie in the strips, ascending."""
    assert beats.records is not None
    assert beats.samples is not None
    found = []
    for rows in blocks(beats):
        records, samples = read_rows(beats.records, rows), read_rows(beats.samples, rows)
        within = [recordings.in_strip(strip, records, samples) for strip in strips]
        found.append(rows.start + np.flatnonzero(np.any(within, axis=0)))
    return np.concatenate(found)


def _with_labels(
    splits: Mapping[str, Beats], run_dir: Path, metrics: Mapping[str, Any]
) -> Iterator[tuple[str, str, Figure]]:
    entries = {split: metrics[split] for split in ("validation", "test")}
    curves = {
        split: (
            arrays.load_array(run_dir / runs.SCORES[split]),
            np.asarray(splits[split].labels),
            entry,
        )
        for split, entry in entries.items()
    }
    scores = arrays.load_array(run_dir / runs.BASELINES)
    baselines = {
        TITLES[name]: (of_baseline, entry["auroc"])
        for (name, entry), of_baseline in zip(metrics["baselines"].items(), scores, strict=True)
    }
    yield (
        "roc_curve",
        "Sensitivity against false alarms as the threshold moves; coloured: simple methods on the "
        "same test beats.",
        detection.roc_curve(curves, baselines),
    )
    yield (
        "precision_recall_curve",
        "Precision against recall as the threshold moves; anomalous beats are the positive class.",
        detection.precision_recall_curve(curves),
    )
    yield (
        "accuracy_by_threshold",
        "What becomes of the test beats as the threshold moves; the one that was chosen is dashed.",
        detection.accuracy_by_threshold(curves, metrics["threshold"]["value"], metrics["score"]),
    )
    if "false_alarms" in entries["test"]:
        yield (
            "false_alarms",
            "Promised and observed false alarms, over all normal test beats and by record; shaded: "
            "where 95% of observed rates lie if the promise holds.",
            detection.false_alarms(entries["test"]),
        )
    yield (
        "confusion_matrices",
        "Verdicts at the threshold; shares are of the beats with that label.",
        detection.confusion_matrices(entries),
    )
    yield (
        "recall_by_class",
        "Which share of each class of anomaly is found at the threshold.",
        detection.recall_by_class(entries, metrics["class_names"]),
    )
    if "by_record" in metrics["test"]:
        yield (
            "results_by_record",
            "How well the beats of each test record are judged; dotted lines are means over "
            "records.",
            recordings.results_by_record(metrics["test"]),
        )
