"""Quantiles of values of which some may be missing."""

import numpy as np


def quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Return the quantile along the last axis, of what is no NaN; NaN where there is nothing."""
    return quantile_of_sorted(np.sort(values, axis=-1), share)


def quantile_of_sorted(ordered: np.ndarray, share: float) -> np.ndarray:
    """Return the quantile along the last axis of values that are sorted, NaN last."""
    last = np.maximum((~np.isnan(ordered)).sum(axis=-1) - 1, 0)
    place = share * last
    low = np.floor(place).astype(int)
    below, above = (
        np.take_along_axis(ordered, index[..., None], -1)[..., 0]
        for index in (low, np.minimum(low + 1, last))
    )
    return below + (above - below) * (place - low)
