"""What any autoencoder has to beat: scikit-learn's outlier detectors on the same scaled beats, and
how early a beat comes, which takes no waveform at all.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgad.data.beats import Beats
from ecgad.processing.rr_intervals import rr_features

# Of nearest neighbours: distances times samples a beat; half a minute on two cores. Its quality
# grows with the beats it knows, so that as many are taken as that allows.
NEIGHBOUR_OPERATIONS = 4e11
# A support vector machine takes time and memory with the square of the beats.
MOST_BEATS = {"pca": 20_000, "one_class_svm": 3_000, "isolation_forest": 20_000}
NEIGHBOURS = 5
RR_INTERVAL = "rr_interval"
COMPONENTS = 8
# Beats scored at a time, which bounds the memory.
BLOCK = 4096

Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Result:
    """What a baseline made of the beats.

    scores: for each split asked for, float64 (n_beats,), higher = more anomalous. n_fitted: how
    many training normals it was fitted on, of n_normals. seconds: of fitting and scoring.
    """

    scores: dict[str, np.ndarray]
    n_fitted: int
    n_normals: int
    seconds: float


def run_baselines(
    names: Sequence[str], splits: Mapping[str, Beats], seed: int
) -> dict[str, Result]:
    """Fit baselines on the training split and score validation and test.

    None without labels, and no RR_INTERVAL where the beats have no RR intervals.
    """
    if splits["test"].labels is None:
        return {}
    if splits["test"].rr is None or splits["test"].records is None:
        names = [name for name in names if name != RR_INTERVAL]
    judged = {split: splits[split] for split in ("validation", "test")}
    return {name: run_baseline(name, splits["train"], judged, seed) for name in names}


def run_baseline(name: str, train: Beats, splits: Mapping[str, Beats], seed: int) -> Result:
    """Fit a baseline on training normals and score the beats of `splits`.

    Beats of shape (n_beats, n_leads, n_samples) are taken as vectors of all samples of the leads
    that a network sees as well.
    Where there are more normals than time and memory allow, a random part of them is taken.
    """
    started = time.perf_counter()
    normals = train.normals
    if name == RR_INTERVAL:
        scores = {split: earliness(beats) for split, beats in splits.items()}
        return Result(scores, len(normals), len(normals), time.perf_counter() - started)
    n_features = int(np.prod(train.seen.shape[1:]))
    n_scored = sum(map(len, splits.values()))
    if name == "knn":
        most = max(1000, int(NEIGHBOUR_OPERATIONS / (n_scored * n_features)))
    else:
        most = MOST_BEATS[name]
    rng = np.random.default_rng(seed)
    if len(normals) > most:
        normals = np.sort(rng.choice(normals, most, replace=False))
    fitted = train.seen[normals].reshape(len(normals), n_features)
    score = FITS[name](np.ascontiguousarray(fitted), seed)
    return Result(
        scores={split: _in_blocks(score, beats) for split, beats in splits.items()},
        n_fitted=len(normals),
        n_normals=len(train.normals),
        seconds=time.perf_counter() - started,
    )


def earliness(beats: Beats) -> np.ndarray:
    """Return how early beats come, float64 (n_beats,): the running median RR interval of their
    record over the interval before the beat; 1 where the rhythm is regular.

    beats: with records, samples and RR intervals.
    """
    records, samples = np.asarray(beats.records), np.asarray(beats.samples)
    scores = np.empty(len(beats))
    for record in np.unique(records):
        indices = np.flatnonzero(records == record)
        indices = indices[np.argsort(samples[indices], kind="stable")]
        assert beats.rr is not None
        ratios = rr_features(np.asarray(beats.rr[indices]), ["rr_previous_ratio"])[:, 0]
        scores[indices] = 1 / ratios
    return scores


def _in_blocks(score: Score, beats: Beats) -> np.ndarray:
    parts = [
        score(np.array(beats.seen[start : start + BLOCK]).reshape(-1, beats.seen[0].size))
        for start in range(0, len(beats), BLOCK)
    ]
    return np.concatenate(parts).astype(np.float64)


def _pca(fitted: np.ndarray, seed: int) -> Score:
    """Take the mean squared error of reconstruction from the first principal components."""
    from sklearn.decomposition import PCA

    n_components = min(COMPONENTS, *fitted.shape)
    with np.errstate(invalid="ignore"):
        # Beats that are all alike have no variance to explain.
        pca = PCA(n_components, random_state=seed).fit(fitted)

    def score(beats: np.ndarray) -> np.ndarray:
        return np.square(pca.inverse_transform(pca.transform(beats)) - beats).mean(axis=1)

    return score


def _knn(fitted: np.ndarray, _seed: int) -> Score:
    """Take the mean Euclidean distance to the nearest training normals."""
    from sklearn.neighbors import NearestNeighbors

    n_neighbors = min(NEIGHBOURS, len(fitted))
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(fitted)
    return lambda beats: search.kneighbors(beats)[0].mean(axis=1)


def _one_class_svm(fitted: np.ndarray, _seed: int) -> Score:
    from sklearn.svm import OneClassSVM

    svm = OneClassSVM(nu=0.1, gamma="scale").fit(fitted)
    return lambda beats: -svm.score_samples(beats)


def _isolation_forest(fitted: np.ndarray, seed: int) -> Score:
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(random_state=seed).fit(fitted)
    return lambda beats: -forest.score_samples(beats)


FITS: dict[str, Callable[[np.ndarray, int], Score]] = {
    "pca": _pca,
    "knn": _knn,
    "one_class_svm": _one_class_svm,
    "isolation_forest": _isolation_forest,
}
TITLES = {
    "pca": f"PCA, {COMPONENTS} components",
    "knn": f"{NEIGHBOURS} nearest neighbours",
    "one_class_svm": "one-class SVM",
    "isolation_forest": "isolation forest",
    RR_INTERVAL: "RR interval alone",
}


def subsampling_words(baselines: Mapping[str, Mapping[str, float]]) -> str:
    """Say which baselines were fitted on a part of the training normals; empty where none was."""
    parts: Sequence[str] = [
        f"{TITLES[name]} on {entry['n_fitted']:,}"
        for name, entry in baselines.items()
        if entry["n_fitted"] < entry["n_normals"]
    ]
    if not parts:
        return ""
    total = max(entry["n_normals"] for entry in baselines.values())
    return f"fitted on a random part of the {total:,} training normals: {'; '.join(parts)}"
