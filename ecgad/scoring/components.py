"""The components of a score: one number a beat each, higher = more anomalous.

A component looks at one feature of a beat. What it compares with is fitted once, on the features of
reference beats, and is then kept as plain arrays.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ecgad.errors import ConfigError
from ecgad.processing.evidence import together

# What was fitted, by name.
Fitted = Mapping[str, np.ndarray]
# From a feature of beats, (n_beats, ...), to one number a beat, (n_beats,).
Score = Callable[[np.ndarray], np.ndarray]

# A beat whose nearest neighbour is so much nearer than the next has found itself.
SAME = 1e-4
# Of which a logarithm is taken: a beat that is a reference beat itself has distance 0.
SMALLEST = 1e-12
# Of the error and its ratio to the usual one; chosen as those of rhythm.
TEMPLATE_WEIGHTS = (0.7, 0.3)


def _fit_nothing(_reference: np.ndarray) -> dict[str, np.ndarray]:
    return {}


def _fit_mahalanobis(reference: np.ndarray) -> dict[str, np.ndarray]:
    """Fit middle and spread by the minimum covariance determinant, which outliers do not move
    (Rousseeuw & Van Driessen 1999).

    Raises ConfigError where the codes do not vary enough for that.
    """
    from sklearn.covariance import MinCovDet

    codes = reference.astype(np.float64)
    scale = codes.std(axis=0) + 1e-12
    flat = ConfigError(
        "evaluation.score: code_mahalanobis needs codes that vary, and the network gives most "
        "reference beats the same one; take code_distance, or train otherwise"
    )
    if (scale < 1e-9).all():
        raise flat
    with warnings.catch_warnings():
        # Of codes of few effective dimensions, and of subsets on a line; others are taken.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            robust = MinCovDet(support_fraction=0.75, random_state=0).fit(codes / scale)
        except ValueError:
            raise flat from None
    return {"scale": scale, "middle": robust.location_, "precision": robust.get_precision()}


def _fit_prematurity(reference: np.ndarray) -> dict[str, np.ndarray]:
    return {"middle": np.median(reference, axis=0), "spread": reference.std(axis=0) + 1e-12}


def _error(_reference: np.ndarray, _fitted: Fitted, _neighbours: int) -> Score:
    return lambda errors: errors


def _distance(reference: np.ndarray, _fitted: Fitted, neighbours: int) -> Score:
    """Take the mean Euclidean distance to the nearest reference beats (Ramaswamy et al. 2000).

    A reference beat is not its own neighbour.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(reference)

    def score(values: np.ndarray) -> np.ndarray:
        distances = tree.query(values, neighbours + 1, workers=-1)[0]
        itself = distances[:, :1] < SAME * distances[:, 1:2]
        return np.where(itself, distances[:, 1:], distances[:, :-1]).mean(axis=1)

    return score


def _mahalanobis(_reference: np.ndarray, fitted: Fitted, _neighbours: int) -> Score:
    """Take the distance from the middle of the codes in units of their spread."""

    def score(codes: np.ndarray) -> np.ndarray:
        apart = codes / fitted["scale"] - fitted["middle"]
        return np.sqrt(np.einsum("ij,jk,ik->i", apart, fitted["precision"], apart))

    return score


def _prematurity(_reference: np.ndarray, fitted: Fitted, _neighbours: int) -> Score:
    """Take how early a beat comes, where it is earlier than the middle of the reference beats.

    The exponential of how many standard deviations of theirs it is early by: the mean over the
    intervals before the beat, such as that in seconds and that over the running median.
    """

    def score(before: np.ndarray) -> np.ndarray:
        early = (fitted["middle"] - before) / fitted["spread"]
        return np.exp(np.maximum(0, early).mean(axis=1))

    return score


def _rhythm(_reference: np.ndarray, _fitted: Fitted, _neighbours: int) -> Score:
    """Take how early a beat comes and how late the next one, over what is usual in the record.

    1 where it is no more than usual.
    """
    return lambda of: np.exp(np.maximum(0, together(of[:, :-1]) - of[:, -1]))


def _template(_reference: np.ndarray, _fitted: Fitted, _neighbours: int) -> Score:
    """Take how far a beat is from its patient's template, in part over what is usual there."""
    return lambda evidence: np.exp(evidence @ np.array(TEMPLATE_WEIGHTS))


@dataclass(frozen=True)
class Component:
    """A component: the feature that it looks at, what is fitted, and how it scores.

    fit: from the feature of the reference beats to what is kept. prepare: from that feature, what
    was fitted and the number of neighbours to the score.
    """

    feature: str
    fit: Callable[[np.ndarray], dict[str, np.ndarray]]
    prepare: Callable[[np.ndarray, Fitted, int], Score]


COMPONENTS = {
    "mae": Component("mae", _fit_nothing, _error),
    "mse": Component("mse", _fit_nothing, _error),
    "code_distance": Component("codes", _fit_nothing, _distance),
    "code_mahalanobis": Component("codes", _fit_mahalanobis, _mahalanobis),
    "beat_distance": Component("beats", _fit_nothing, _distance),
    "timing": Component("timing", _fit_nothing, _distance),
    "prematurity": Component("before", _fit_prematurity, _prematurity),
    "rhythm": Component("rhythm", _fit_nothing, _rhythm),
    "template": Component("template", _fit_nothing, _template),
}
