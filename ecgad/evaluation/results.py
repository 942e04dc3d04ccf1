"""The results of a run, as plain values: what `metrics.json` holds."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

from ecgad.config.evaluation import EvaluationConfig
from ecgad.data.beats import ANOMALOUS, Beats
from ecgad.evaluation.baselines import Result
from ecgad.evaluation.intervals import bootstrap_intervals
from ecgad.evaluation.metrics import (
    HEADLINE,
    by_record,
    confusion,
    false_alarms,
    mean_over_records,
    ranking_metrics,
    threshold_metrics,
)
from ecgad.evaluation.score_table import score_rows
from ecgad.experiment import Experiment
from ecgad.scoring.thresholds import Threshold, choose_threshold

# Of beats without labels, how many are named.
MOST_SHOWN = 10
# Those of a baseline at its threshold.
BASELINE_METRICS = ("accuracy", "balanced_accuracy", "recall", "specificity")


def evaluate_run(
    experiment: Experiment,
    beats: dict[str, Beats],
    scores: Mapping[str, np.ndarray],
    threshold: Threshold,
    baselines: Mapping[str, Result],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Return `metrics.json`.

    beats, scores: by split. baselines: what they made of the same beats. seconds: by what took
    them.
    """
    config, test = experiment.evaluation, beats["test"]
    metrics: dict[str, Any] = {
        "name": experiment.name,
        "seed": experiment.seed,
        "source": experiment.data.source,
        "model": experiment.model.kind,
        "score": config.score_name,
        "threshold": vars(threshold),
        "class_names": dict(test.format.class_names),
        **experiment.classes,
        "seconds": dict(seconds),
        "padded": test.lengths is not None,
        "patients_in_training_and_test": patients_in_both(beats["train"], test),
    }
    for split in ("validation", "test"):
        metrics[split] = evaluate_scores(
            scores[split], beats[split], threshold, config.bootstrap, experiment.seed
        )
    metrics["baselines"] = baseline_entries(baselines, beats, config)
    if test.labels is None:
        # What there is to look at, of all beats.
        flagged = [threshold.predict(of_split) for of_split in scores.values()]
        metrics["n_beats"] = sum(map(len, flagged))
        metrics["n_flagged"] = int(sum(of_split.sum() for of_split in flagged))
        metrics["most_anomalous"] = list(islice(score_rows(beats, scores, threshold), MOST_SHOWN))
    return metrics


def evaluate_scores(
    scores: np.ndarray, beats: Beats, threshold: Threshold, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Return the entry of a split in `metrics.json`, as plain values.

    scores: (n_beats,). bootstrap: how many resamples of the patients, where several are known, or
    else of the beats give the 95% intervals; 0: none. Without labels, what needs them is None. A
    ratio whose denominator is 0 is 0 here, as in scikit-learn.
    """
    predicted = threshold.predict(scores)
    entry: dict[str, Any] = {
        "n_beats": len(scores),
        "n_flagged": int(predicted.sum()),
        "threshold": threshold.value,
        "threshold_method": threshold.method,
    }
    labels = beats.labels
    if labels is None:
        missing = (*HEADLINE, "n_normal", "n_anomalous", "confusion_matrix", "recall_by_class")
        return {**dict.fromkeys(missing), **entry}

    from sklearn.metrics import classification_report

    labels, symbols = np.asarray(labels), np.asarray(beats.symbols)
    counts = confusion(labels, predicted)
    tn, fp, fn, tp = counts
    anomalous_classes = np.unique(symbols[labels == ANOMALOUS])
    entry |= {
        **ranking_metrics(scores, labels),
        **threshold_metrics(*counts),
        "n_normal": tn + fp,
        "n_anomalous": fn + tp,
        "confusion_matrix": [[tn, fp], [fn, tp]],
        "recall_by_class": {
            str(symbol): float(predicted[symbols == symbol].mean()) for symbol in anomalous_classes
        },
        "n_by_class": beats.class_counts,
        "classification_report": classification_report(
            [0, 0, 1, 1],
            [0, 1, 0, 1],
            sample_weight=counts,
            target_names=["normal", "anomalous"],
            output_dict=True,
            zero_division=0,
        ),
    }
    if beats.records is not None:
        entry["by_record"] = by_record(scores, labels, predicted, np.asarray(beats.records))
        entry["mean_over_records"] = mean_over_records(entry["by_record"])
    if "max_false_alarm_rate" in threshold.parameters:
        entry["false_alarms"] = false_alarms(fp, tn + fp, threshold, entry.get("by_record"))
    if bootstrap:
        patients = None if beats.patients is None else np.asarray(beats.patients)
        if patients is not None and len(np.unique(patients)) == 1:
            patients = None
        entry["interval_95"] = bootstrap_intervals(
            scores, labels, threshold, bootstrap, seed, patients
        )
        entry["interval_over"] = "beats" if patients is None else "patients"
    return entry


def baseline_entries(
    results: Mapping[str, Result], splits: dict[str, Beats], config: EvaluationConfig
) -> dict[str, dict[str, Any]]:
    """Return the entries of all baselines in `metrics.json`, by name."""
    return {name: baseline_entry(result, splits, config) for name, result in results.items()}


def baseline_entry(
    result: Result, splits: dict[str, Beats], config: EvaluationConfig
) -> dict[str, Any]:
    """Return the entry of a baseline in `metrics.json`: of test beats, at a threshold of its own.

    The threshold is chosen on validation beats as that of the autoencoder is; without one, where
    that is a fixed number or comes from training beats.
    """
    labels, scores = np.asarray(splits["test"].labels), result.scores["test"]
    entry: dict[str, Any] = {
        **ranking_metrics(scores, labels),
        **dict.fromkeys(BASELINE_METRICS),
        "n_fitted": result.n_fitted,
        "n_normals": result.n_normals,
        "seconds": result.seconds,
    }
    if config.threshold.method not in ("fixed", "mean_std"):
        threshold = choose_threshold(
            config,
            np.empty(0),
            result.scores["validation"],
            splits["validation"].labels,
            splits["validation"].patients,
        )
        found = threshold_metrics(*confusion(labels, threshold.predict(scores)))
        entry |= {name: found[name] for name in BASELINE_METRICS}
    return entry


def patients_in_both(train: Beats, test: Beats) -> list[str] | None:
    """List the patients with beats in both splits, which flatters; None where they are unknown."""
    if train.patients is None or test.patients is None:
        return None
    return sorted(map(str, set(np.unique(train.patients)) & set(np.unique(test.patients))))
