"""The score above which a beat is called anomalous, chosen on training or validation beats."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgad.config.evaluation import EvaluationConfig
from ecgad.data.beats import ANOMALOUS, NORMAL
from ecgad.errors import ConfigError

# Peaks over threshold: the level above which scores are the tail, and how many must lie there.
TAIL_LEVEL = 0.9
FEWEST_PEAKS = 20


@dataclass(frozen=True)
class Threshold:
    """A threshold and where it comes from.

    value: a beat is anomalous where its score is greater. n: how many beats of `split` it was
    chosen on; `beats` says which of them: normal, or all.
    """

    value: float
    method: str
    parameters: dict[str, float]
    split: str | None
    beats: str | None
    n: int

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Return labels, int8 (n_beats,), of scores (n_beats,)."""
        return np.where(scores > self.value, np.int8(ANOMALOUS), np.int8(NORMAL))


def choose_threshold(
    config: EvaluationConfig,
    train_scores: np.ndarray,
    validation_scores: np.ndarray,
    validation_labels: np.ndarray | None,
) -> Threshold:
    """Choose the threshold that the config asks for.

    train_scores: of the normal training beats. validation_labels: None where there are none; then
    all validation beats are taken for normal. Raises ConfigError where a method needs labels, or
    more normal validation beats than there are.
    """
    labels, chosen = validation_labels, config.threshold
    normals = validation_scores if labels is None else validation_scores[labels == NORMAL]
    match chosen.method:
        case "fixed":
            assert chosen.value is not None
            return Threshold(chosen.value, "fixed", {}, None, None, 0)
        case "quantile":
            value = float(np.quantile(normals, chosen.quantile))
            parameters = {"quantile": chosen.quantile}
            return Threshold(value, "quantile", parameters, "validation", "normal", len(normals))
        case "mean_std":
            value = float(train_scores.mean() + chosen.n_std * train_scores.std())
            parameters = {"n_std": chosen.n_std}
            return Threshold(value, "mean_std", parameters, "train", "normal", len(train_scores))
        case "conformal" | "pot" as method:
            rate = config.max_false_alarm_rate
            assert rate is not None
            value = {"conformal": conformal, "pot": peaks_over_threshold}[method](normals, rate)
            parameters = {"max_false_alarm_rate": rate}
            return Threshold(value, method, parameters, "validation", "normal", len(normals))
        case method:
            if labels is None:
                raise ConfigError(
                    f"evaluation.threshold.method: {method} needs labelled validation beats, and "
                    f"this source has no labels; use quantile or mean_std"
                )
            value = best_threshold(validation_scores, labels, method)
            return Threshold(value, method, {}, "validation", "all", len(labels))


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
        which = "normal " if threshold["beats"] == "normal" else ""
        words += f" of {threshold['n']} {which}{threshold['split']} beats"
    return words
