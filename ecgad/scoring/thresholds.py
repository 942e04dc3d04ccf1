"""The score above which a beat is called anomalous, chosen on training or validation beats."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ecgad.config.evaluation import EvaluationConfig
from ecgad.data.beats import ANOMALOUS, NORMAL
from ecgad.errors import ConfigError

# A threshold rests on few beats where fewer than this lie above it, or where it is chosen on fewer
# than that.
FEW_ABOVE, FEW = 10, 100
RESAMPLES = 200

# A patient with fewer normal beats than this has no say in the threshold of method patients.
FEWEST_OF_PATIENT = 50

# Peaks over threshold: the level above which scores are the tail, and how many must lie there.
TAIL_LEVEL = 0.9
FEWEST_PEAKS = 20


@dataclass(frozen=True)
class Threshold:
    """A threshold and where it comes from.

    value: a beat is anomalous where its score is greater. n: how many beats of `split` it was
    chosen on; `beats` says which of them: normal, unlabelled, or all. n_above: how many of these
    lie above it. interval_95: how far chance moves it, None for an end that so few beats do not
    tell; None where they are many.
    """

    value: float
    method: str
    parameters: dict[str, float]
    split: str | None
    beats: str | None
    n: int
    n_above: int = 0
    interval_95: tuple[float | None, float | None] | None = None

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Return labels, int8 (n_beats,), of scores (n_beats,)."""
        return np.where(scores > self.value, np.int8(ANOMALOUS), np.int8(NORMAL))


def choose_threshold(
    config: EvaluationConfig,
    train_scores: np.ndarray,
    validation_scores: np.ndarray,
    validation_labels: np.ndarray | None,
    validation_patients: np.ndarray | None = None,
) -> Threshold:
    """Choose the threshold that the config asks for.

    train_scores: of the normal training beats. validation_labels: None where there are none; then
    all validation beats are taken for normal. validation_patients: (n_beats,), None where unknown.
    Raises ConfigError where a method needs labels, patients, or more normal validation beats
    or patients than there are.
    """
    labels, chosen = validation_labels, config.threshold
    normals = validation_scores if labels is None else validation_scores[labels == NORMAL]
    which = "unlabelled" if labels is None else "normal"
    match chosen.method:
        case "fixed":
            assert chosen.value is not None
            return Threshold(chosen.value, "fixed", {}, None, None, 0)
        case "quantile":
            value = float(np.quantile(normals, chosen.quantile))
            parameters = {"quantile": chosen.quantile}
            return _of_quantile(value, "quantile", parameters, which, normals, chosen.quantile)
        case "mean_std":

            def spread(scores: np.ndarray) -> float:
                return float(scores.mean() + chosen.n_std * scores.std())

            value, parameters = spread(train_scores), {"n_std": chosen.n_std}
            n, n_above = len(train_scores), int((train_scores > value).sum())
            interval = _resampled(spread, train_scores) if _few(n, n_above) else None
            return Threshold(value, "mean_std", parameters, "train", which, n, n_above, interval)
        case "conformal" | "pot" as method:
            rate = config.max_false_alarm_rate
            assert rate is not None
            value = {"conformal": conformal, "pot": peaks_over_threshold}[method](normals, rate)
            parameters = {"max_false_alarm_rate": rate}
            return _of_quantile(value, method, parameters, which, normals, 1 - rate)
        case "patients":
            rate = config.max_false_alarm_rate
            assert rate is not None
            of_beats = validation_patients
            if of_beats is not None and labels is not None:
                of_beats = np.asarray(of_beats)[labels == NORMAL]
            return _for_patients(normals, of_beats, rate, chosen.patients, which)
        case method:
            if labels is None:
                raise ConfigError(
                    f"evaluation.threshold.method: {method} needs labelled validation beats, and "
                    f"this source has no labels; use quantile or mean_std"
                )
            value = best_threshold(validation_scores, labels, method)
            n, n_above = len(labels), int((validation_scores > value).sum())
            interval = None
            if _few(n, n_above):
                best = functools.partial(best_threshold, criterion=method)
                interval = _resampled(best, validation_scores, labels)
            return Threshold(value, method, {}, "validation", "all", n, n_above, interval)


def _few(n: int, n_above: int) -> bool:
    return n < FEW or n_above < FEW_ABOVE


def _of_quantile(
    value: float,
    method: str,
    parameters: dict[str, float],
    beats: str,
    scores: np.ndarray,
    quantile: float,
) -> Threshold:
    """Return a threshold that stands for a quantile of scores, with its interval if they are few.

    The interval is that of the quantile, between two of the sorted scores, whatever their
    distribution (David & Nagaraja 2003, section 7.1).
    """
    from scipy.stats import binom

    n, n_above = len(scores), int((scores > value).sum())
    interval = None
    if _few(n, n_above):
        low, high = (int(rank) for rank in binom.ppf((0.025, 0.975), n, quantile))
        ordered = np.sort(scores)
        interval = (
            float(ordered[low - 1]) if low > 0 else None,
            float(ordered[high]) if high < n else None,
        )
    return Threshold(value, method, parameters, "validation", beats, n, n_above, interval)


def _resampled(
    choose: Callable[..., float], scores: np.ndarray, labels: np.ndarray | None = None
) -> tuple[float, float]:
    """Return where 95% of thresholds lie that are chosen on beats drawn anew from these."""
    rng = np.random.default_rng(0)
    found: list[float] = []
    while len(found) < RESAMPLES:
        drawn = rng.integers(len(scores), size=len(scores))
        if labels is None:
            found.append(choose(scores[drawn]))
        elif len(np.unique(labels[drawn])) > 1:
            found.append(choose(scores[drawn], labels[drawn]))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def conformal(scores: np.ndarray, rate: float) -> float:
    """Return the threshold of split-conformal prediction (Vovk et al. 2005; Lei et al. 2018).

    scores: (n_beats,), of normal beats that were not trained on. Of a further normal beat that is
    exchangeable with them, the probability to score above it is at most `rate`, and, where no
    scores are equal, more than `rate` - 1 / (n_beats + 1). Raises ConfigError where there are too
    few beats for that.
    """
    n = len(scores)
    # The small number outweighs rounding, where (n + 1) (1 - rate) is whole.
    rank = math.ceil((n + 1) * (1 - rate) - 1e-9)
    if rank > n:
        raise ConfigError(
            f"evaluation.max_false_alarm_rate: {rate:g} needs at least "
            f"{math.ceil(1 / rate - 1e-9) - 1} normal validation beats for a conformal threshold, "
            f"and there are {n}; allow a higher rate, or set evaluation.threshold.method to pot"
        )
    return float(np.sort(scores)[rank - 1])


def _for_patients(
    scores: np.ndarray, patients: np.ndarray | None, rate: float, share: float, beats: str
) -> Threshold:
    """Return the threshold that keeps a rate of false alarms for a share of new patients.

    scores, patients: (n_beats,), of normal beats. Each patient has a threshold of its own, the
    lowest that no more than a share `rate` of the normal beats exceeds. Patients are exchangeable
    where beats are not, so the threshold is the conformal one of these: a new patient's own lies
    below it with probability `share` at least.
    """
    if patients is None:
        raise ConfigError(
            "evaluation.threshold.method: patients needs beats whose patients are known, as those "
            "of recordings; take conformal"
        )
    of_patients = [
        np.quantile(scores[patients == patient], 1 - rate, method="inverted_cdf")
        for patient in np.unique(patients)
        if (patients == patient).sum() >= FEWEST_OF_PATIENT
    ]
    n = len(of_patients)
    rank = math.ceil((n + 1) * share - 1e-9)
    if rank > n:
        raise ConfigError(
            f"evaluation.threshold.patients: {share:g} needs at least "
            f"{math.ceil(share / (1 - share) - 1e-9)} validation patients with {FEWEST_OF_PATIENT} "
            f"normal beats each, and there are {n}; lower it, or take another method"
        )
    ordered = np.sort(of_patients)
    value = float(ordered[rank - 1])
    parameters = {"max_false_alarm_rate": rate, "patients": share, "n_patients": float(n)}
    found = _of_quantile(value, "patients", parameters, beats, ordered, share)
    return replace(
        found, n=len(scores), n_above=int((scores > value).sum()), interval_95=found.interval_95
    )


def false_alarms_allowed(rate: float, n_chosen_on: int, n: int) -> tuple[float, float]:
    """Return between which rates 95% of the false-alarm rates over `n` normal beats lie.

    Where the threshold is conformal, from `n_chosen_on` beats exchangeable with these: the number
    of alarms is beta-binomial (Angelopoulos & Bates 2023, section 3.2).
    """
    from scipy.stats import betabinom

    rank = math.ceil((n_chosen_on + 1) * (1 - rate) - 1e-9)
    low, high = betabinom.interval(0.95, n, n_chosen_on + 1 - rank, rank)
    return float(low) / n, float(high) / n


def peaks_over_threshold(scores: np.ndarray, rate: float) -> float:
    """Return the threshold that a share `rate` of normal beats exceeds, by the tail's shape.

    A generalised Pareto distribution is fitted, by maximum likelihood, to how far scores (n_beats,)
    exceed their TAIL_LEVEL quantile, and gives rates too small to count (Pickands 1975; Siffer et
    al. 2017). Raises ConfigError where the tail has too few beats, or `rate` is not in it.
    """
    from scipy.stats import genpareto

    if rate >= 1 - TAIL_LEVEL:
        raise ConfigError(
            f"evaluation.max_false_alarm_rate: pot is for rates below {1 - TAIL_LEVEL:g}, the "
            f"tail that it fits, not {rate:g}; set evaluation.threshold.method to conformal"
        )
    start = float(np.quantile(scores, TAIL_LEVEL))
    excesses = scores[scores > start] - start
    if len(excesses) < FEWEST_PEAKS:
        raise ConfigError(
            f"evaluation.threshold.method: pot needs at least {FEWEST_PEAKS} normal validation "
            f"beats above their {TAIL_LEVEL:g} quantile, {FEWEST_PEAKS / (1 - TAIL_LEVEL):.0f} in "
            f"all, and there are {len(excesses)} of {len(scores)}"
        )
    shape, _, scale = genpareto.fit(excesses, floc=0)
    beyond = rate * len(scores) / len(excesses)
    return start + float(genpareto.isf(beyond, shape, 0, scale))


def best_threshold(scores: np.ndarray, labels: np.ndarray, criterion: str) -> float:
    """Return the threshold with the highest `best_accuracy`, `best_f1` or `youden` here.

    scores, labels: (n_beats,), both classes among them. Youden's index is sensitivity plus
    specificity less 1 (Youden 1950). Candidates lie halfway between neighbouring scores, and
    beyond either end; of equally good ones the middle one is taken.
    """
    order = np.argsort(scores)
    ordered, anomalous = scores[order], labels[order] == ANOMALOUS
    # Between the scores k - 1 and k in that order: the k lowest scores are called normal.
    k = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1], True])
    true_negatives = np.r_[0, np.cumsum(~anomalous)][k]
    missed = k - true_negatives
    n_normal, n_anomalous = (~anomalous).sum(), anomalous.sum()
    true_positives = n_anomalous - missed
    false_positives = n_normal - true_negatives
    match criterion:
        case "best_accuracy":
            goodness = (true_positives + true_negatives) / len(scores)
        case "best_f1":
            goodness = 2 * true_positives / (true_positives + false_positives + n_anomalous)
        case "youden":
            goodness = true_positives / n_anomalous + true_negatives / n_normal - 1
        case _:
            raise ValueError(f"no such criterion: {criterion}")
    best = np.flatnonzero(np.isclose(goodness, goodness.max(), rtol=0, atol=1e-12))
    chosen = k[best[len(best) // 2]]
    if chosen == 0:
        return float(np.nextafter(ordered[0], -np.inf))
    if chosen == len(ordered):
        return float(ordered[-1])
    return float((ordered[chosen - 1] + ordered[chosen]) / 2)


def provenance(threshold: dict[str, Any]) -> str:
    """Say how a threshold, as in `metrics.json`, was chosen."""
    words = threshold["method"]
    if threshold["parameters"]:
        values = ", ".join(f"{name} {value:g}" for name, value in threshold["parameters"].items())
        words += f" ({values})"
    if threshold["split"]:
        which = "" if threshold["beats"] == "all" else f"{threshold['beats']} "
        words += f" of {threshold['n']} {which}{threshold['split']} beats"
    return words


def few_words(threshold: dict[str, Any]) -> str:
    """Say that a threshold rests on few beats, and how uncertain it is; empty where many."""
    if not threshold["interval_95"]:
        return ""
    low, high = threshold["interval_95"]
    words = (
        f"the threshold rests on few beats: {threshold['n_above']} of {threshold['n']} lie above "
        f"it; 95% interval from {'-' if low is None else f'{low:.4g}'} to "
    )
    return words + (f"{high:.4g}" if high is not None else "more than any of them")
