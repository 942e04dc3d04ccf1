"""RR intervals: how long before and after a beat the neighbouring ones lie."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Intervals of the running median: about ten seconds, and odd.
MEDIAN_INTERVALS = 11


@dataclass(frozen=True)
class RRFeature:
    """A feature of a beat's RR intervals.

    title: what plots and tables call it. before: whether it is of the interval before the beat.
    of: from the previous and the next interval and their running median, each (n_beats,) in
    seconds.
    """

    title: str
    before: bool
    of: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


# By the names that `data.wfdb.timing` gives them.
RR_FEATURES = {
    "rr_previous_ratio": RRFeature(
        "previous RR / running median", True, lambda previous, _, median: previous / median
    ),
    "rr_next_ratio": RRFeature(
        "next RR / running median", False, lambda _, following, median: following / median
    ),
    "rr_previous": RRFeature("previous RR (s)", True, lambda previous, _next, _median: previous),
    "log_rr_previous_ratio": RRFeature(
        "log(previous RR / running median)",
        True,
        lambda previous, _, median: np.log(previous / median),
    ),
    "log_rr_next_ratio": RRFeature(
        "log(next RR / running median)",
        False,
        lambda _, following, median: np.log(following / median),
    ),
    "log_rr_previous": RRFeature(
        "log(previous RR in s)", True, lambda previous, _next, _median: np.log(previous)
    ),
}


def rr_intervals(samples: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Return the previous and next RR interval of each beat in seconds, float32 (n_beats, 2).

    samples: of the R peaks of a record, in time. NaN where there is no neighbour.
    """
    intervals = np.diff(samples) / sampling_rate
    ends = [np.nan] if len(samples) else []
    return np.stack([np.r_[ends, intervals], np.r_[intervals, ends]], axis=1).astype(np.float32)


def running_median(rr: np.ndarray) -> np.ndarray:
    """Return the median RR interval around each beat in seconds, float32 (n_beats,).

    Over the MEDIAN_INTERVALS previous intervals around it, reflected at the ends of a record.
    A record of one beat has none: NaN.
    """
    from scipy import ndimage

    return ndimage.median_filter(_filled(rr)[:, 0], MEDIAN_INTERVALS, mode="reflect")


def rr_features(rr: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return features of the RR intervals (n_beats, 2), as float32 (n_beats, n_features).

    names: of RR_FEATURES. Where a record begins or ends, the interval on the other side of the beat
    stands in for the one that is missing; a record of one beat has the features of a regular rhythm
    of one a second.
    """
    median = np.nan_to_num(running_median(rr), nan=1.0)
    previous, following = np.nan_to_num(_filled(rr), nan=1.0).T
    features = [RR_FEATURES[name].of(previous, following, median) for name in names]
    return np.array(features, np.float32).reshape(len(names), len(rr)).T


def _filled(rr: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(rr), rr[:, ::-1], rr)
