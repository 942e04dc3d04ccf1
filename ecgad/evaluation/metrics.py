"""How well scores and verdicts tell anomalous from normal beats; anomalous is positive."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ecgad.config.experiment import EvaluationConfig
from ecgad.data.beats import ANOMALOUS, Beats
from ecgad.evaluation.baselines import Result
from ecgad.scoring.thresholds import Threshold, choose_threshold, false_alarms_allowed

# The metrics that have an interval, and that beats without labels do not have; with their titles.
HEADLINE = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall (sensitivity)",
    "specificity": "specificity",
    "f1": "F1",
    "mcc": "Matthews correlation",
}
# Those of a baseline at its threshold.
BASELINE_VERDICTS = ("accuracy", "balanced_accuracy", "recall", "specificity")
# Steps of the curves that are resampled.
GROUPS = 10_000
# What is measured in each record.
RECORD_MEASURES = {"auroc": "AUROC", "sensitivity": "sensitivity", "specificity": "specificity"}


def evaluate_scores(
    scores: np.ndarray, beats: Beats, threshold: Threshold, bootstrap: int, seed: int
) -> dict[str, Any]:
    """The entry of a split in `metrics.json`, as plain values.

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
        **ranking(scores, labels),
        **verdicts(*counts),
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
    if "max_false_alarm_rate" in threshold.parameters:
        entry["false_alarms"] = false_alarms(fp, tn + fp, threshold)
    if beats.records is not None:
        entry["by_record"] = by_record(scores, labels, predicted, np.asarray(beats.records))
        entry["mean_over_records"] = mean_over_records(entry["by_record"])
    if bootstrap:
        patients = None if beats.patients is None else np.asarray(beats.patients)
        if patients is not None and len(np.unique(patients)) == 1:
            patients = None
        entry["interval_95"] = bootstrap_intervals(
            scores, labels, threshold, bootstrap, seed, patients
        )
        entry["interval_over"] = "beats" if patients is None else "patients"
    return entry


def confusion(labels: np.ndarray, predicted: np.ndarray) -> list[int]:
    """How many beats are true and false negatives, false and true positives: tn, fp, fn, tp.

    labels, predicted: int8, (n_beats,).
    """
    return np.bincount(2 * labels + predicted, minlength=4).tolist()


def verdicts(tn: int, fp: int, fn: int, tp: int) -> dict[str, float]:
    """The headline metrics at a threshold, as scikit-learn has them; both classes are there."""
    recall, specificity = tp / (tp + fn), tn / (tn + fp)
    spread = float(tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "accuracy": (tp + tn) / (tp + tn + fp + fn),
        "balanced_accuracy": (recall + specificity) / 2,
        "precision": tp / max(tp + fp, 1),
        "recall": recall,
        "specificity": specificity,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "mcc": (tp * tn - fp * fn) / math.sqrt(spread) if spread else 0.0,
    }


def ranking(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """AUROC and average precision, as scikit-learn has them, which takes ten times the memory.

    scores, labels: (n_beats,), both classes among them. AUROC is the mean, over the anomalous
    beats, of the share of normal ones with lower scores, equal ones counting half (Mann & Whitney
    1947); average precision the mean of the precision at their scores.
    """
    anomalous = np.sort(scores[labels == ANOMALOUS])
    normal = np.sort(scores[labels != ANOMALOUS])
    below = np.searchsorted(normal, anomalous, "left")
    equal = np.searchsorted(normal, anomalous, "right") - below
    hits = len(anomalous) - np.searchsorted(anomalous, anomalous, "left")
    return {
        "auroc": float((below + equal / 2).mean()) / len(normal),
        "average_precision": float((hits / (hits + len(normal) - below)).mean()),
    }


def false_alarms(n_alarms: int, n_normal: int, threshold: Threshold) -> dict[str, Any]:
    """The false-alarm rate that a threshold promised beside the one observed.

    binomial_95: where 95% of observed rates lie if the true one is that promised. allowed_95: where
    they lie given also how few beats a conformal threshold was chosen on; None for other ones.
    """
    from scipy.stats import binom

    promised = threshold.parameters["max_false_alarm_rate"]
    low, high = binom.interval(0.95, n_normal, promised)
    conformal = threshold.method == "conformal"
    return {
        "promised": promised,
        "observed": n_alarms / n_normal,
        "binomial_95": [float(low) / n_normal, float(high) / n_normal],
        "allowed_95": list(false_alarms_allowed(promised, threshold.n, n_normal))
        if conformal
        else None,
    }


def baseline_entries(
    results: Mapping[str, Result], splits: dict[str, Beats], config: EvaluationConfig
) -> dict[str, dict[str, Any]]:
    """The entries of all baselines in `metrics.json`, by name."""
    return {name: baseline_entry(result, splits, config) for name, result in results.items()}


def baseline_entry(
    result: Result, splits: dict[str, Beats], config: EvaluationConfig
) -> dict[str, Any]:
    """The entry of a baseline in `metrics.json`: of test beats, at a threshold of its own.

    The threshold is chosen on validation beats as that of the autoencoder is; without one, where
    that is a fixed number or comes from training beats.
    """
    labels, scores = np.asarray(splits["test"].labels), result.scores["test"]
    entry: dict[str, Any] = {
        **ranking(scores, labels),
        **dict.fromkeys(BASELINE_VERDICTS),
        "n_fitted": result.n_fitted,
        "n_normals": result.n_normals,
        "seconds": result.seconds,
    }
    if config.threshold.method not in ("fixed", "mean_std"):
        threshold = choose_threshold(
            config, np.empty(0), result.scores["validation"], splits["validation"].labels
        )
        of_verdicts = verdicts(*confusion(labels, threshold.predict(scores)))
        entry |= {name: of_verdicts[name] for name in BASELINE_VERDICTS}
    return entry


def patients_in_both(train: Beats, test: Beats) -> list[str] | None:
    """Patients with beats in both splits, which flatters the results; None where unknown."""
    if train.patients is None or test.patients is None:
        return None
    return sorted(map(str, set(np.unique(train.patients)) & set(np.unique(test.patients))))


def by_record(
    scores: np.ndarray, labels: np.ndarray, predicted: np.ndarray, records: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Counts, AUROC, sensitivity and specificity of each record; None where it lacks a class.

    scores, labels, predicted, records: (n_beats,).
    """
    from sklearn.metrics import roc_auc_score

    found = {}
    for record in np.unique(records):
        of_record = records == record
        anomalous = labels[of_record] == ANOMALOUS
        flagged = predicted[of_record] == ANOMALOUS
        both = anomalous.any() and not anomalous.all()
        found[str(record)] = {
            "n_normal": int((~anomalous).sum()),
            "n_anomalous": int(anomalous.sum()),
            "auroc": float(roc_auc_score(anomalous, scores[of_record])) if both else None,
            "sensitivity": float(flagged[anomalous].mean()) if anomalous.any() else None,
            "specificity": float((~flagged[~anomalous]).mean()) if not anomalous.all() else None,
        }
    return found


def mean_over_records(records: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """The mean of each measure over the records that have it: each counts the same, however long.

    `n_auroc` and so on: how many records these are.
    """
    means: dict[str, float | None] = {}
    for name in RECORD_MEASURES:
        values = [entry[name] for entry in records.values() if entry[name] is not None]
        means[name] = float(np.mean(values)) if values else None
        means[f"n_{name}"] = len(values)
    return means


def bootstrap_intervals(
    scores: np.ndarray,
    labels: np.ndarray,
    threshold: Threshold,
    n_resamples: int,
    seed: int,
    patients: np.ndarray | None = None,
) -> dict[str, list[float]]:
    """95% percentile bootstrap intervals of the headline metrics (Efron 1979).

    Patients, each with all beats, are drawn with replacement, since beats of one patient are alike
    and others are those that a detector will meet; beats are, where `patients` (n_beats,) is None.
    The threshold stays. Resamples without both classes are left out. Of more than GROUPS different
    scores, neighbouring ones count as equal, which moves AUROC and average precision by less than
    1 / GROUPS.
    """
    rng = np.random.default_rng(seed)
    # Steps of the curves, from the highest score down; equal scores are one step.
    steps = np.unique(scores)[::-1]
    n_flagged = int((steps > threshold.value).sum())
    if len(steps) > GROUPS:
        chosen = np.linspace(0, len(steps) - 1, GROUPS).astype(int)
        # Each begins below the one before it; where the threshold lies, one ends.
        chosen = np.union1d(chosen, np.array([n_flagged - 1] if n_flagged else [], int))
        n_flagged = int((chosen < n_flagged).sum())
        steps = steps[chosen]
    # Beats of one step and class are one cell: those of the anomalous class first.
    cell = len(steps) - np.searchsorted(steps[::-1], scores, "right")
    np.add(cell, len(steps), out=cell, where=labels != ANOMALOUS)
    n_cells = 2 * len(steps)
    if patients is None:
        sizes = np.bincount(cell, minlength=n_cells)
        draws = (rng.multinomial(len(scores), sizes / len(scores)) for _ in range(n_resamples))
    else:
        from scipy.sparse import coo_array

        unique, of_patient = np.unique(patients, return_inverse=True)
        ones = np.ones(len(cell), int)
        table = coo_array((ones, (of_patient, cell)), shape=(len(unique), n_cells)).tocsr()
        even = np.full(len(unique), 1 / len(unique))
        draws = (rng.multinomial(len(unique), even) @ table for _ in range(n_resamples))
    drawn: list[dict[str, float]] = []
    for counts in draws:
        tp, fp = (np.r_[0, np.cumsum(part)] for part in np.split(counts, 2))
        if tp[-1] and fp[-1]:
            drawn.append(_resampled(tp, fp, n_flagged))
    return {
        name: [float(q) for q in np.quantile([row[name] for row in drawn], (0.025, 0.975))]
        for name in HEADLINE
        if drawn
    }


def _resampled(tp: np.ndarray, fp: np.ndarray, n_flagged: int) -> dict[str, float]:
    """Headline metrics from the counts of true and false positives in the first steps.

    tp, fp: (n_steps + 1,), from none of the steps to all. n_flagged: the steps above the threshold.
    """
    hits, alarms, positives, negatives = map(int, (tp[n_flagged], fp[n_flagged], tp[-1], fp[-1]))
    precisions = tp[1:] / np.maximum(tp[1:] + fp[1:], 1)
    return {
        "auroc": np.trapezoid(tp, fp) / (positives * negatives),
        "average_precision": np.sum(np.diff(tp) * precisions) / positives,
        **verdicts(negatives - alarms, alarms, positives - hits, hits),
    }
