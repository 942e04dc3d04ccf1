"""RR intervals: how long before and after a beat the neighbouring ones lie."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ecgad.processing.quantiles import quantile

# Intervals of the running median: about ten seconds, and odd.
MEDIAN_INTERVALS = 11

# The spread of logarithms of RR intervals, of which it is half as telling that one is early.
IRREGULAR = 0.08


@dataclass(frozen=True)
class RRFeature:
    """A feature of a beat's RR intervals.

    title: what plots and tables call it. before: whether it is of the interval before the beat.
    of: from the previous and the next interval and their running median, each (n_beats,) in
    seconds, and the spread of their logarithms around it, (n_beats,).
    """

    title: str
    before: bool
    of: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


# By the names that `data.wfdb.timing` gives them.
RR_FEATURES = {
    "rr_previous_ratio": RRFeature(
        "previous RR / running median", True, lambda previous, _, median, _spread: previous / median
    ),
    "rr_next_ratio": RRFeature(
        "next RR / running median", False, lambda _, following, median, _spread: following / median
    ),
    "rr_previous": RRFeature(
        "previous RR (s)", True, lambda previous, _next, _median, _spread: previous
    ),
    "log_rr_previous_ratio": RRFeature(
        "log(previous RR / running median)",
        True,
        lambda previous, _, median, _spread: np.log(previous / median),
    ),
    "log_rr_next_ratio": RRFeature(
        "log(next RR / running median)",
        False,
        lambda _, following, median, _spread: np.log(following / median),
    ),
    "log_rr_previous": RRFeature(
        "log(previous RR in s)",
        True,
        lambda previous, _next, _median, _spread: np.log(previous),
    ),
    "log_rr_previous_deviation": RRFeature(
        "log(previous RR / running median), less where the rhythm is irregular",
        True,
        lambda previous, _, median, spread: np.log(previous / median) / (1 + spread / IRREGULAR),
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


def running_spread(rr: np.ndarray) -> np.ndarray:
    """Return how far the RR intervals around each beat lie apart, float32 (n_beats,).

    The median absolute deviation of their logarithms, over the intervals of `running_median`.
    """
    reach = MEDIAN_INTERVALS // 2
    logarithms = np.log(_filled(rr)[:, 0])
    if len(logarithms) < 2:
        return np.zeros(len(logarithms), np.float32)
    padded = np.pad(logarithms, reach, mode="symmetric")
    return spread_of(sliding_window_view(padded, MEDIAN_INTERVALS)).astype(np.float32)


def spread_of(logarithms: np.ndarray) -> np.ndarray:
    """Return the median absolute deviation of windows (n, n_intervals), where NaN is no interval;
    0 where there are none.
    """
    middle = quantile(logarithms, 0.5)[:, None]
    return np.nan_to_num(quantile(np.abs(logarithms - middle), 0.5))


def rr_features(rr: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return features of the RR intervals (n_beats, 2), as float32 (n_beats, n_features).

    names: of RR_FEATURES. Where a record begins or ends, the interval on the other side of the beat
    stands in for the one that is missing; a record of one beat has the features of a regular rhythm
    of one a second.
    """
    median = np.nan_to_num(running_median(rr), nan=1.0)
    spread = running_spread(rr)
    previous, following = np.nan_to_num(_filled(rr), nan=1.0).T
    features = [RR_FEATURES[name].of(previous, following, median, spread) for name in names]
    return np.array(features, np.float32).reshape(len(names), len(rr)).T


def _filled(rr: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(rr), rr[:, ::-1], rr)
