"""Metrics: how well scores, and labels predicted from them, tell anomalous from normal beats.

Anomalous is the positive class.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ecgad.data.beats import ANOMALOUS
from ecgad.scoring.thresholds import Threshold, false_alarms_allowed

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
# What is measured in each record.
RECORD_MEASURES = {"auroc": "AUROC", "sensitivity": "sensitivity", "specificity": "specificity"}


def confusion(labels: np.ndarray, predicted: np.ndarray) -> list[int]:
    """Count the beats that are true and false negatives, false and true positives: tn, fp, fn, tp.

    labels, predicted: int8, (n_beats,).
    """
    return np.bincount(2 * labels + predicted, minlength=4).tolist()


def threshold_metrics(tn: int, fp: int, fn: int, tp: int) -> dict[str, float]:
    """Return the headline metrics at a threshold, of both classes, as scikit-learn has them."""
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


def ranking_metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return AUROC and average precision, as scikit-learn does in ten times the memory.

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


def false_alarms(
    n_alarms: int,
    n_normal: int,
    threshold: Threshold,
    records: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the false-alarm rate that a threshold promised beside the one observed.

    binomial_95: where 95% of observed rates lie if the true one is that promised. allowed_95: where
    they lie given also how few beats a conformal threshold was chosen on; None for other ones.
    patients: of a promise for a share of new patients, that share, and what was observed in the
    records of `by_record`; else None.
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
        "patients": _by_patient(promised, threshold.parameters["patients"], records)
        if threshold.method == "patients" and records
        else None,
    }


def _by_patient(
    promised: float, share: float, records: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """Return a promise for a share of patients, and the rates observed in these records."""
    known = [entry["specificity"] for entry in records.values()]
    rates = np.array([1 - specificity for specificity in known if specificity is not None])
    return {
        "promised": share,
        # 1 - 0.95 is a little more than 0.05.
        "kept": float((rates <= promised + 1e-9).mean()),
        "median": float(np.median(rates)),
        "mean": float(rates.mean()),
        "above_twice": float((rates > 2 * promised + 1e-9).mean()),
        "n_records": len(rates),
    }


def by_record(
    scores: np.ndarray, labels: np.ndarray, predicted: np.ndarray, records: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Return counts, AUROC, sensitivity and specificity by record; None where it lacks a class.

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
    """Return the mean of each measure over the records that have it; each counts the same.

    `n_auroc` and so on: how many records these are.
    """
    means: dict[str, float | None] = {}
    for name in RECORD_MEASURES:
        values = [entry[name] for entry in records.values() if entry[name] is not None]
        means[name] = float(np.mean(values)) if values else None
        means[f"n_{name}"] = len(values)
    return means
