"""The score above which a beat is called anomalous, chosen on training or validation beats."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgad.config import ThresholdConfig
from ecgad.data.beats import ANOMALOUS, NORMAL
from ecgad.errors import ConfigError


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
        """Labels, int8 (n_beats,), of scores (n_beats,)."""
        return np.where(scores > self.value, ANOMALOUS, NORMAL).astype(np.int8)


def choose_threshold(
    config: ThresholdConfig,
    train_scores: np.ndarray,
    validation_scores: np.ndarray,
    validation_labels: np.ndarray | None,
) -> Threshold:
    """The threshold that the config asks for.

    train_scores: of the normal training beats. validation_labels: None where there are none; then
    all validation beats are taken for normal. Raises ConfigError where a method needs labels.
    """
    labels = validation_labels
    match config.method:
        case "fixed":
            assert config.value is not None
            return Threshold(config.value, "fixed", {}, None, None, 0)
        case "quantile":
            normals = validation_scores if labels is None else validation_scores[labels == NORMAL]
            value = float(np.quantile(normals, config.quantile))
            parameters = {"quantile": config.quantile}
            return Threshold(value, "quantile", parameters, "validation", "normal", len(normals))
        case "mean_std":
            value = float(train_scores.mean() + config.n_std * train_scores.std())
            parameters = {"n_std": config.n_std}
            return Threshold(value, "mean_std", parameters, "train", "normal", len(train_scores))
        case method:
            if labels is None:
                raise ConfigError(
                    f"evaluation.threshold.method: {method} needs labelled validation beats, and "
                    f"this source has no labels; use quantile or mean_std"
                )
            value = best_threshold(validation_scores, labels, method)
            return Threshold(value, method, {}, "validation", "all", len(labels))


def best_threshold(scores: np.ndarray, labels: np.ndarray, criterion: str) -> float:
    """The threshold with the highest `best_accuracy`, `best_f1` or `youden` on these beats.

    scores, labels: (n_beats,), both classes among them. Youden's index is sensitivity plus
    specificity less 1 (Youden 1950). Candidates lie halfway between neighbouring scores, and
    beyond either end; of equally good ones the middle one is taken.
    """
    order = np.argsort(scores)
    ordered, anomalous = scores[order], labels[order] == ANOMALOUS
    # Between place k - 1 and k: the k lowest scores are called normal.
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


def to_dict(threshold: Threshold, score: str, checkpoint_sha256: str) -> dict[str, Any]:
    """`threshold.json`: the threshold, of which score, and of which checkpoint."""
    return {**vars(threshold), "score": score, "checkpoint_sha256": checkpoint_sha256}


def provenance(threshold: dict[str, Any]) -> str:
    """How a threshold, as in `metrics.json`, was chosen, in words."""
    words = threshold["method"]
    if threshold["parameters"]:
        values = ", ".join(f"{name} {value:g}" for name, value in threshold["parameters"].items())
        words += f" ({values})"
    if threshold["split"]:
        which = "normal " if threshold["beats"] == "normal" else ""
        words += f" of {threshold['n']} {which}{threshold['split']} beats"
    return words
