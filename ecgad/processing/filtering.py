"""What is done to the leads of a recording before beats are cut."""

from fractions import Fraction

import numpy as np

from ecgad.config.segmentation import FilterConfig
from ecgad.errors import ConfigError

# Of the Butterworth band-pass in one direction; forth and back it is twice that.
ORDER = 2
# Longer than the line between two waves, at the resolution of any recorder.
FLAT_SECONDS = 0.5
# How many times another sampling rate may be higher or lower; no recorders differ as much.
FURTHEST = 200
# Of the notch: centre frequency over bandwidth.
NOTCH_QUALITY = 30.0


def fill_gaps(leads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate missing samples of leads (n_leads, n_samples); return where they were as well.

    Filters would spread a NaN over the whole recording. The second array is bool, (n_samples,).
    """
    missing = np.isnan(leads)
    if missing.any():
        leads = leads.copy()
        indices = np.arange(leads.shape[1])
        for lead, gaps in zip(leads, missing, strict=True):
            lead[gaps] = np.interp(indices[gaps], indices[~gaps], lead[~gaps])
    return leads, missing.any(axis=0)


def shortest_flat(sampling_rate: float) -> int:
    """Return how many samples of one value are no longer a line between two waves."""
    return max(2, round(FLAT_SECONDS * sampling_rate))


def flat_samples(leads: np.ndarray, shortest: int) -> np.ndarray:
    """Return where a lead keeps one value for `shortest` samples or longer, bool (n_samples,).

    Sought before filtering, which leaves ripples there.
    """
    flat = np.zeros(leads.shape[1], bool)
    for lead in leads:
        edges = np.flatnonzero(np.r_[True, lead[1:] != lead[:-1], True])
        for run in np.flatnonzero(np.diff(edges) >= shortest):
            flat[edges[run] : edges[run + 1]] = True
    return flat


def filter_leads(leads: np.ndarray, sampling_rate: float, config: FilterConfig) -> np.ndarray:
    """Apply band-pass and notch with zero phase to leads, float (n_leads, n_samples).

    Raises ConfigError where an edge is not below half the sampling rate (in Hz).
    """
    for name, frequency in (("band", config.band and config.band[1]), ("notch", config.notch)):
        if frequency and frequency >= sampling_rate / 2:
            raise ConfigError(
                f"{name}: {frequency:g} Hz in the filter of the source is not below half the "
                f"sampling rate of the records ({sampling_rate:g} Hz)"
            )
    # Slow to import, and whoever uses a detector needs it not.
    from scipy import signal

    if config.band:
        sections = signal.butter(ORDER, config.band, "bandpass", fs=sampling_rate, output="sos")
        leads = signal.sosfiltfilt(sections, leads)
    if config.notch:
        notch = signal.iirnotch(config.notch, NOTCH_QUALITY, fs=sampling_rate)
        leads = signal.sosfiltfilt(signal.tf2sos(*notch), leads)
    return leads


def resample(leads: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Resample leads (n_leads, n_samples) to `ratio` times their rate, by a polyphase filter."""
    if ratio == 1:
        return leads
    from scipy import signal

    return signal.resample_poly(leads, ratio.numerator, ratio.denominator, axis=1)


def resampling_ratio(sampling_rate: float, wanted: float) -> Fraction:
    """Return the ratio of two sampling rates (Hz), in numbers that suit a polyphase filter.

    Where it is not exact, sample numbers have to be reckoned by it too, or they drift away. Raises
    ConfigError where the rates are too far from one another.
    """
    ratio = Fraction(wanted / sampling_rate).limit_denominator(1000)
    if not 1 / FURTHEST <= ratio <= FURTHEST:
        raise ConfigError(
            f"sampling_rate: recordings at {sampling_rate:g} Hz cannot be resampled to "
            f"{wanted:g} Hz, less than 1/{FURTHEST} or more than {FURTHEST} times theirs"
        )
    return ratio
