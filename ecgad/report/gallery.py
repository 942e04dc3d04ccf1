"""The pictures of a run, in the order of its report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ecgad.artifacts import arrays, files, processed, runs
from ecgad.data.beats import Beats, Strip
from ecgad.data.scaling import Scaler
from ecgad.data.splits import SPLITS
from ecgad.evaluation.baselines import TITLES
from ecgad.evaluation.examples import judged, take_examples
from ecgad.experiment import Experiment
from ecgad.report.figures import data, detection, model, paper, recordings
from ecgad.report.figures.classes import (
    Classes,
    blocks,
    classes_of,
    counts_by_record,
    first_of_each_class,
    profiles_of,
)
from ecgad.report.mistakes import Mistake
from ecgad.report.picture import (
    DATA,
    EXAMPLES,
    FALSE_ALARMS,
    MISSES,
    RECORDS,
    SCORES,
    TRAINING,
    Picture,
)
from ecgad.runtime.reading import read_rows

# Title of the pictures of examples by their kind, and what their caption says.
OF_KIND = {
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


# By group, what the files of the strips are called, and what the marked beats were called.
MISTAKES = {MISSES: ("strip_missed", "normal"), FALSE_ALARMS: ("strip_false_alarm", "anomalous")}

Drawn = Iterator[tuple[Picture, Figure]]


def draw(experiment: Experiment, run_dir: Path, mistakes: Sequence[Mistake]) -> Drawn:
    """Give each picture that the results of a run allow, with its figure.

    mistakes: the worst of them, of a run over records.
    """
    folder = experiment.processed_dir
    scaler = processed.load_scaler(folder)
    splits = {split: processed.load_split(folder, split) for split in SPLITS}
    metrics = files.load_json(run_dir / runs.METRICS)
    classes = {split: classes_of(beats) for split, beats in splits.items()}
    test = splits["test"]
    scores = arrays.load_array(run_dir / runs.SCORES["test"])

    yield from _of_data(splits, scaler, classes, experiment.figures.examples)
    history = runs.load_history(run_dir)
    best = int(history["validation_loss"].argmin())
    yield (
        Picture(
            "training_history",
            TRAINING,
            "Training history",
            "Loss on normal training beats and on normal validation beats, which the best epoch is "
            "chosen by.",
            f"Curves of training and validation loss over {len(history['epoch'])} epochs; the "
            f"validation loss is lowest, {history['validation_loss'][best]:.4g}, in epoch "
            f"{history['epoch'][best]:.0f}.",
        ),
        model.training_history(history, experiment.training.loss),
    )
    yield from _of_examples(splits, scaler, run_dir, metrics, experiment.figures.examples)
    yield (
        Picture(
            "score_distributions",
            SCORES,
            "Score distributions",
            "Scores of the test beats; right of the threshold a beat is called anomalous.",
            f"Histograms of the scores of the test beats, with the threshold as a dashed line at "
            f"{metrics['threshold']['value']:.3g}: {metrics['test']['n_flagged']:,} of "
            f"{metrics['test']['n_beats']:,} beats lie right of it.",
        ),
        detection.score_distributions(
            scores, test.labels, metrics["threshold"]["value"], metrics["score"]
        ),
    )
    if test.labels is not None:
        yield from _with_labels(splits, run_dir, metrics)
    encoded, codes = runs.load_codes(run_dir)
    yield (
        Picture(
            "latent_space",
            SCORES,
            "Latent space",
            "Codes of the test beats on their first two principal components.",
            f"Points of {len(codes):,} test beats in a plane, by class: "
            f"{_listed(classes['test'].counts)}.",
        ),
        model.latent_space(codes, read_rows(test.symbols, encoded), classes["test"]),
    )
    if test.records is not None:
        yield from _of_records(splits, classes, metrics)
    if strips := processed.load_strips(folder):
        strips = _most_telling(strips, test, classes["test"], experiment.figures.examples)
        shown = _in_strips(strips, test)
        called = scores[shown] > metrics["threshold"]["value"]
        yield (
            Picture(
                "strips",
                RECORDS,
                "Strips of test records",
                "Ten seconds of some test records: above each test beat its class, shaded where it "
                "was called anomalous.",
                f"Ten seconds each of the records {_listed(strip.record for strip in strips)}; "
                f"{called.sum()} of {len(called)} beats are shaded.",
            ),
            recordings.strips(strips, test.take(shown), called, classes["test"]),
        )
    for mistake in mistakes:
        if mistake.strip is not None:
            yield _of_mistake(mistake, mistake.strip, test, classes["test"], scores, metrics)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _of_mistake(
    mistake: Mistake,
    strip: Strip,
    test: Beats,
    classes: Classes,
    scores: np.ndarray,
    metrics: Mapping[str, Any],
) -> tuple[Picture, Figure]:
    shown, threshold = _in_strips([strip], test), metrics["threshold"]["value"]
    beats, called = test.take(shown), scores[shown] > threshold
    assert beats.samples is not None
    name, verdict = MISTAKES[mistake.group]
    words = beats.symbols.astype(object)
    words[called] += " (called anomalous)"
    words[beats.samples == mistake.sample] += " (marked)"
    picture = Picture(
        f"{name}_{mistake.number}",
        mistake.group,
        f"Record {mistake.record}, {paper.clock(mistake.time)}",
        f"The marked beat is {classes.name(mistake.symbol)}, and was called {verdict}: its score "
        f"is {mistake.score:.4g}, the threshold {threshold:.4g}.",
        f"Ten seconds of lead {strip.lead} of record {mistake.record} on ECG paper, from "
        f"{paper.clock(strip.start)}. Beats: {_listed(words)}.",
    )
    figure = paper.paper_strip(strip, beats, called, classes, mistake.sample, mistake.score)
    return picture, figure


def _of_data(
    splits: Mapping[str, Beats], scaler: Scaler, classes: Mapping[str, Classes], n_examples: int
) -> Drawn:
    train, of_train = splits["train"], classes["train"]
    names = _listed(map(of_train.name, of_train.counts))
    yield (
        Picture(
            "class_examples",
            DATA,
            "Beats of each class",
            "Beats of each class as the source has them, from the training split.",
            f"A row of beats for each class of the training split: {names}.",
        ),
        data.class_examples(
            scaler.unscaled(train.take(first_of_each_class(train, n_examples))),
            of_train,
            n_examples,
        ),
    )
    yield (
        Picture(
            "label_distribution",
            DATA,
            "Classes in the splits",
            "Beats of each class in each split.",
            "Bars of how many beats each class has. "
            + "; ".join(
                f"{split}: {_listed(f'{symbol} {n:,}' for symbol, n in of_split.counts.items())}"
                for split, of_split in classes.items()
            )
            + ".",
        ),
        data.label_distribution(classes),
    )
    profiles = profiles_of(train, scaler)
    yield (
        Picture(
            "class_profiles",
            DATA,
            "Mean beat of each class",
            "Mean beat of each class, and how much single beats differ from it (training split).",
            f"A panel for each class with its mean beat in a band of one standard deviation: "
            f"{names}.",
        ),
        data.class_profiles(profiles, of_train, train.format),
    )
    yield (
        Picture(
            "rolling_statistics",
            DATA,
            "Rolling statistics",
            "Level and variability along the mean beat of each class (training split).",
            f"Rolling mean and rolling standard deviation along the beat, a line for each class: "
            f"{names}.",
        ),
        data.rolling_statistics(profiles, of_train, train.format),
    )
    if train.rr is not None:
        yield (
            Picture(
                "rr_distributions",
                DATA,
                "RR intervals",
                "Time from the previous beat, and to the next, of the beats of each class "
                "(training split).",
                f"Histograms of the previous and the next RR interval, a line for each class: "
                f"{names}.",
            ),
            recordings.rr_distributions(train, of_train),
        )


def _of_examples(
    splits: Mapping[str, Beats],
    scaler: Scaler,
    run_dir: Path,
    metrics: Mapping[str, Any],
    n_examples: int,
) -> Drawn:
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
        title, caption = OF_KIND[kind]
        shown = indices[: 2 * n_examples]
        beats, scores = take_examples(splits, shown), judged_scores[shown]
        figure = model.reconstructions(
            scaler.unscaled(beats),
            scaler.inverse_transform(made[: len(shown)]),
            scores,
            threshold,
            title,
        )
        alt = (
            f"{len(shown)} beats, each with what the network makes of it as a second line; classes "
            f"{_listed(beats.class_counts)}; scores from {scores.min():.3g} to {scores.max():.3g}, "
            f"the threshold is {threshold:.3g}."
        )
        yield Picture(f"reconstructions_{kind}", EXAMPLES, title, caption, alt), figure


def _of_records(
    splits: Mapping[str, Beats], classes: Mapping[str, Classes], metrics: Mapping[str, Any]
) -> Drawn:
    counts = counts_by_record(splits.values())
    yield (
        Picture(
            "classes_by_record",
            RECORDS,
            "Classes in the records",
            "Beats of each class in each record, over all splits.",
            f"A grid of counts: a row for each record, {len(counts)} in all, and a column for each "
            f"class.",
        ),
        recordings.classes_by_record(counts, classes["train"]),
    )
    if "by_record" in metrics["test"]:
        known = metrics["test"]["by_record"]
        ranked = sorted(
            (entry["auroc"], name) for name, entry in known.items() if entry["auroc"] is not None
        )
        ends = (
            f"; AUROC is lowest in {ranked[0][1]} ({ranked[0][0]:.3f}) and highest in "
            f"{ranked[-1][1]} ({ranked[-1][0]:.3f})"
            if ranked
            else ""
        )
        yield (
            Picture(
                "results_by_record",
                RECORDS,
                "Results by record",
                "How well the beats of each test record are judged; dotted lines are means over "
                "records.",
                f"A row for each test record with points for AUROC, sensitivity and "
                f"specificity{ends}. The table of records has them all.",
            ),
            recordings.results_by_record(metrics["test"]),
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


def _with_labels(splits: Mapping[str, Beats], run_dir: Path, metrics: Mapping[str, Any]) -> Drawn:
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
    areas = {name: entry["auroc"] for name, entry in entries.items()}
    areas |= {title: auroc for title, (_, auroc) in baselines.items()}
    yield (
        Picture(
            "roc_curve",
            SCORES,
            "ROC curve",
            "Sensitivity against false alarms as the threshold moves; coloured: simple methods on "
            "the same test beats.",
            f"Curves with these areas under them: {_values(areas)}.",
        ),
        detection.roc_curve(curves, baselines),
    )
    precisions = {name: entry["average_precision"] for name, entry in entries.items()}
    yield (
        Picture(
            "precision_recall_curve",
            SCORES,
            "Precision and recall",
            "Precision against recall as the threshold moves; anomalous beats are the positive "
            "class.",
            f"Curves with these average precisions: {_values(precisions)}.",
        ),
        detection.precision_recall_curve(curves),
    )
    at_threshold = {name: entries["test"][name] for name in ("accuracy", "recall", "specificity")}
    yield (
        Picture(
            "accuracy_by_threshold",
            SCORES,
            "Accuracy by threshold",
            "What becomes of the test beats as the threshold moves; the one that was chosen is "
            "dashed.",
            f"Curves over the threshold; at the one chosen, {metrics['threshold']['value']:.3g}: "
            f"{_values(at_threshold)}.",
        ),
        detection.accuracy_by_threshold(curves, metrics["threshold"]["value"], metrics["score"]),
    )
    if "false_alarms" in entries["test"]:
        alarms = entries["test"]["false_alarms"]
        yield (
            Picture(
                "false_alarms",
                SCORES,
                "False alarms",
                "Promised and observed false alarms, over all normal test beats and by record"
                + (
                    "."
                    if alarms.get("patients")
                    else "; shaded: where 95% of observed rates lie if the promise holds."
                ),
                f"Rates of false alarms: promised {alarms['promised']:.3%}, observed over all "
                f"{alarms['observed']:.3%}.",
            ),
            detection.false_alarms(entries["test"]),
        )
    (tn, fp), (fn, tp) = entries["test"]["confusion_matrix"]
    yield (
        Picture(
            "confusion_matrices",
            SCORES,
            "Confusion matrices",
            "Verdicts at the threshold; shares are of the beats with that label.",
            f"Two matrices. Of the test beats, {tn:,} normal ones were called normal and {fp:,} "
            f"anomalous; {tp:,} anomalous ones were called anomalous and {fn:,} normal.",
        ),
        detection.confusion_matrices(entries),
    )
    recalls = entries["test"]["recall_by_class"]
    yield (
        Picture(
            "recall_by_class",
            SCORES,
            "Recall by class",
            "Which share of each class of anomaly is found at the threshold.",
            f"Bars: {_listed(f'{symbol} {recall:.1%}' for symbol, recall in recalls.items())}.",
        ),
        detection.recall_by_class(entries, metrics["class_names"]),
    )


def _values(named: Mapping[str, float]) -> str:
    return _listed(f"{name} {value:.4f}" for name, value in named.items())
