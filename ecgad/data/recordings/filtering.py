"""What is done to the leads of a recording before beats are cut."""

from fractions import Fraction

import numpy as np
from scipy import signal

from ecgad.config import FilterConfig
from ecgad.errors import ConfigError

# Of the Butterworth band-pass in one direction; forth and back it is twice that.
ORDER = 2
# Of the notch: centre frequency over bandwidth.
NOTCH_QUALITY = 30.0


def fill_gaps(leads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leads (n_leads, n_samples) with missing samples interpolated, and where they were missing.

    Filters would spread a NaN over the whole recording. The second array is bool, (n_samples,).
    """
    missing = np.isnan(leads)
    if missing.any():
        places = np.arange(leads.shape[1])
        for lead, gaps in zip(leads, missing, strict=True):
            lead[gaps] = np.interp(places[gaps], places[~gaps], lead[~gaps])
    return leads, missing.any(axis=0)


def filter_leads(leads: np.ndarray, sampling_rate: float, config: FilterConfig) -> np.ndarray:
    """Band-pass and notch with zero phase: leads float (n_leads, n_samples), in and out.

    Raises ConfigError where an edge is not below half the sampling rate (in Hz).
    """
    for name, frequency in (("band", config.band and config.band[1]), ("notch", config.notch)):
        if frequency and frequency >= sampling_rate / 2:
            raise ConfigError(
                f"filter.{name}: {frequency:g} Hz is not below half the sampling rate of the "
                f"records ({sampling_rate:g} Hz)"
            )
    if config.band:
        sections = signal.butter(ORDER, config.band, "bandpass", fs=sampling_rate, output="sos")
        leads = signal.sosfiltfilt(sections, leads)
    if config.notch:
        notch = signal.iirnotch(config.notch, NOTCH_QUALITY, fs=sampling_rate)
        leads = signal.sosfiltfilt(signal.tf2sos(*notch), leads)
    return leads


def resample(leads: np.ndarray, sampling_rate: float, wanted: float) -> np.ndarray:
    """Leads (n_leads, n_samples) at another sampling rate, by a polyphase filter."""
    if wanted == sampling_rate:
        return leads
    ratio = Fraction(wanted / sampling_rate).limit_denominator(1000)
    return signal.resample_poly(leads, ratio.numerator, ratio.denominator, axis=1)
