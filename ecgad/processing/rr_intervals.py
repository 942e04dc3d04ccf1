"""RR intervals: how long before and after a beat the neighbouring ones lie."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

# Intervals of the running median: about ten seconds, and odd.
MEDIAN_INTERVALS = 11
NAMES = {
    "rr_previous_ratio": "previous RR / running median",
    "rr_next_ratio": "next RR / running median",
    "rr_previous": "previous RR (s)",
    "log_rr_previous_ratio": "log(previous RR / running median)",
    "log_rr_next_ratio": "log(next RR / running median)",
    "log_rr_previous": "log(previous RR in s)",
}


def rr_intervals(samples: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Previous and next RR interval of each beat in seconds, float32 (n_beats, 2).

    samples: of the R peaks of a record, in time. NaN where there is no neighbour.
    """
    intervals = np.diff(samples) / sampling_rate
    ends = [np.nan] if len(samples) else []
    return np.stack([np.r_[ends, intervals], np.r_[intervals, ends]], axis=1).astype(np.float32)


def running_median(rr: np.ndarray) -> np.ndarray:
    """The median RR interval around each beat in seconds, float32 (n_beats,).

    Over the MEDIAN_INTERVALS previous intervals around it, reflected at the ends of a record.
    A record of one beat has none: NaN.
    """
    previous = _filled(rr)[:, 0]
    return ndimage.median_filter(previous, MEDIAN_INTERVALS, mode="reflect")


def timing_features(rr: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Features of the RR intervals (n_beats, 2), as float32 (n_beats, n_features).

    Where a record begins or ends, the interval on the other side of the beat stands in for the one
    that is missing; a record of one beat has the features of a regular rhythm of one a second.
    """
    median = np.nan_to_num(running_median(rr), nan=1.0)
    previous, following = np.nan_to_num(_filled(rr), nan=1.0).T
    features = {
        "rr_previous_ratio": previous / median,
        "rr_next_ratio": following / median,
        "rr_previous": previous,
        "log_rr_previous_ratio": np.log(previous / median),
        "log_rr_next_ratio": np.log(following / median),
        "log_rr_previous": np.log(previous),
    }
    return np.array([features[name] for name in names], np.float32).reshape(len(names), len(rr)).T


def _filled(rr: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(rr), rr[:, ::-1], rr)
