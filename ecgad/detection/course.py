"""How heart rate, scores and anomalous beats go over a recording, in steps of time."""

from dataclasses import dataclass

import numpy as np

from ecgad.detection.findings import Findings

# s; of short recordings a shorter one. Of long ones the first that is not passed too often.
SHORT_STEP, STEPS = 10.0, (60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
SHORT = 300.0
MOST_STEPS = 1500
# Of the heart rate from beat to beat, the quantiles between which most of it lies.
LOW, HIGH = 0.05, 0.95


@dataclass(frozen=True)
class Course:
    """A recording in steps of equal length, float64 (n_steps,) each; NaN where nothing is known.

    step: in seconds. heart_rate: beats a minute; lowest, highest: between these most intervals lie.
    score: the median; highest_score. anomalous: beats a minute. judged: how many beats.
    """

    step: float
    heart_rate: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    score: np.ndarray
    highest_score: np.ndarray
    anomalous: np.ndarray
    judged: np.ndarray


def course_of(findings: Findings) -> Course:
    """Return the course of a recording."""
    length = findings.n_samples / findings.sampling_rate
    if length < SHORT:
        step = SHORT_STEP
    else:
        step = next((s for s in STEPS if length / s <= MOST_STEPS), STEPS[-1])
    beats = findings.beats
    judged = beats.verdicts >= 0
    steps = findings.steps(step)
    n_steps = max(1, int(np.ceil(length / step)))
    lengths = np.minimum(step, length - step * np.arange(n_steps))
    with np.errstate(divide="ignore"):
        rates = 60.0 / beats.rr.astype(float)
    there = ~np.isnan(rates)
    lowest, highest = _quantiles(rates[there], steps[there], n_steps, (LOW, HIGH))
    score, top = _quantiles(beats.scores[judged], steps[judged], n_steps, (0.5, 1.0))
    n_anomalous = np.bincount(steps[beats.verdicts == 1], minlength=n_steps)
    return Course(
        step=step,
        heart_rate=findings.heart_rates(step),
        lowest=lowest,
        highest=highest,
        score=score,
        highest_score=top,
        anomalous=n_anomalous * 60.0 / lengths,
        judged=np.bincount(steps[judged], minlength=n_steps).astype(float),
    )


def _quantiles(
    values: np.ndarray, steps: np.ndarray, n_steps: int, shares: tuple[float, float]
) -> np.ndarray:
    """Return quantiles of the values of each step, (2, n_steps). steps: ascending."""
    found = np.full((2, n_steps), np.nan)
    edges = np.searchsorted(steps, np.arange(n_steps + 1))
    for index in np.flatnonzero(np.diff(edges)).tolist():
        found[:, index] = np.quantile(values[edges[index] : edges[index + 1]], shares)
    return found
