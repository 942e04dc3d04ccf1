"""R peaks of a recording without annotations."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RPeaks:
    """samples: int64, (n_peaks,), ascending. unreadable: stretches without a usable lead."""

    samples: np.ndarray
    unreadable: list[tuple[int, int]]


def find_r_peaks(signals: np.ndarray, sampling_rate: float) -> RPeaks:
    """R peaks of leads (n_leads, n_samples), by the first of them."""
    from sleepecg import detect_heartbeats

    peaks = detect_heartbeats(np.nan_to_num(signals[0]), sampling_rate)
    return RPeaks(peaks.astype(np.int64), [])
