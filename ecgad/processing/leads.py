"""The leads of a recording as beats are cut out of them: gaps filled, filtered, resampled."""

from dataclasses import dataclass

import numpy as np

from ecgad.config.segmentation import SegmentationConfig
from ecgad.processing.filtering import (
    fill_gaps,
    filter_leads,
    flat_samples,
    resample,
    resampling_ratio,
    shortest_flat,
)
from ecgad.recordings.recording import Recording, choose_leads

# The form of beats of Kachuee et al. 2018.
HEARTBEAT_RATE = 125.0  # Hz


@dataclass(frozen=True)
class PreparedLeads:
    """Leads of a recording, float64 (n_leads, n_samples), at `sampling_rate` (Hz).

    missing: bool, (n_samples,), where a sample was interpolated, or the lead was flat. name: of the
    first lead. ratio: samples of these leads to one of the recording.
    """

    name: str
    values: np.ndarray
    missing: np.ndarray
    sampling_rate: float
    ratio: float

    def indices(self, samples: np.ndarray) -> np.ndarray:
        """Return where samples of the recording, int (n,), are in these leads."""
        return np.rint(samples * self.ratio).astype(int)


def prepare_leads(recording: Recording, settings: SegmentationConfig) -> PreparedLeads:
    """Choose, filter and resample leads. Raises FileError where one is not there, and ConfigError
    where the filter does not suit the recording's sampling rate.
    """
    chosen = chosen_leads(recording, settings)
    values, missing = fill_gaps(recording.leads[chosen])
    missing |= flat_samples(values, shortest_flat(recording.sampling_rate))
    rate = rate_of_beats(recording.sampling_rate, settings)
    ratio = resampling_ratio(recording.sampling_rate, rate)
    values = resample(filter_leads(values, recording.sampling_rate, settings.filter), ratio)
    if ratio != 1:
        nearest = np.rint(np.arange(values.shape[1]) / float(ratio)).astype(int)
        missing = missing[np.minimum(nearest, len(missing) - 1)]
    name = recording.lead_names[chosen[0]]
    return PreparedLeads(name, values, missing, rate, float(ratio))


def chosen_leads(recording: Recording, settings: SegmentationConfig) -> list[int]:
    """Return the indices of the leads that beats are cut out of. Raises FileError."""
    if settings.leads is None:
        return [0]
    return choose_leads(recording.name, recording.lead_names, settings.leads)


def rate_of_beats(sampling_rate: float, settings: SegmentationConfig) -> float:
    """Return the sampling rate of the beats of a recording, in Hz."""
    if settings.form == "heartbeat":
        return HEARTBEAT_RATE
    return settings.sampling_rate or sampling_rate
