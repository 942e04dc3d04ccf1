"""Confidence intervals of metrics, by resampling."""

import numpy as np

from ecgad.data.beats import ANOMALOUS
from ecgad.evaluation.metrics import HEADLINE, threshold_metrics
from ecgad.scoring.thresholds import Threshold

# Steps of the curves that are resampled.
GROUPS = 10_000


def bootstrap_intervals(
    scores: np.ndarray,
    labels: np.ndarray,
    threshold: Threshold,
    n_resamples: int,
    seed: int,
    patients: np.ndarray | None = None,
) -> dict[str, list[float]]:
    """Return 95% percentile bootstrap intervals of the headline metrics (Efron 1979).

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
    """Return headline metrics from the counts of true and false positives in the first steps.

    tp, fp: (n_steps + 1,), from none of the steps to all. n_flagged: the steps above the threshold.
    """
    hits, alarms, positives, negatives = map(int, (tp[n_flagged], fp[n_flagged], tp[-1], fp[-1]))
    precisions = tp[1:] / np.maximum(tp[1:] + fp[1:], 1)
    return {
        "auroc": np.trapezoid(tp, fp) / (positives * negatives),
        "average_precision": np.sum(np.diff(tp) * precisions) / positives,
        **threshold_metrics(negatives - alarms, alarms, positives - hits, hits),
    }
