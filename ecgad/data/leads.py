"""The leads of a record as beats are cut from them: chosen, filtered, resampled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgad.config.experiment import CuttingConfig
from ecgad.data.beats import Stretch
from ecgad.errors import ConfigError
from ecgad.processing import segmentation as cutting
from ecgad.processing.filtering import (
    fill_gaps,
    filter_leads,
    flat_samples,
    resample,
    resampling_ratio,
)
from ecgad.recordings.wfdb import Header, choose_leads, read_leads

STRETCH_SECONDS = 10.0


@dataclass(frozen=True)
class Leads:
    """Leads of a record: float64, (n_leads, n_samples), in mV, at `sampling_rate` (Hz).

    recorded: as they were read, at the record's own rate, NaN where a sample is missing. missing:
    bool, (n_samples,), where a sample was interpolated, or the lead was flat. name: of the first
    lead. ratio: samples of these leads to one of the record.
    """

    header: Header
    name: str
    recorded: np.ndarray
    values: np.ndarray
    missing: np.ndarray
    sampling_rate: float
    ratio: float

    def places(self, samples: np.ndarray) -> np.ndarray:
        """Where samples of the record, int (n,), are in these leads."""
        return np.rint(samples * self.ratio).astype(int)

    def stretch(self, centres: np.ndarray, interesting: np.ndarray) -> Stretch:
        """The ten seconds with most of the interesting beats.

        centres: int, (n_beats,), in samples, ascending. interesting: bool, (n_beats,).
        """
        width = min(round(STRETCH_SECONDS * self.sampling_rate), self.values.shape[1])
        found = centres[interesting]
        in_reach = np.searchsorted(found, found + width) - np.arange(len(found))
        # It begins a little before the first of them.
        first = found[in_reach.argmax()] - width // 10 if len(found) else 0
        start = int(np.clip(first, 0, self.values.shape[1] - width))
        return Stretch(
            record=self.header.name,
            lead=self.name,
            start=start / self.sampling_rate,
            sampling_rate=self.sampling_rate,
            record_rate=self.header.sampling_rate,
            unit="mV",
            ecg=self.values[0, start : start + width].astype(np.float32),
        )


def prepare_leads(header: Header, config: CuttingConfig) -> Leads:
    """Read, filter and resample the leads that the config names. Raises FileError, ConfigError."""
    places = choose_leads(header, config.leads)
    recorded = read_leads(header, places)
    values, missing = fill_gaps(recorded)
    missing |= flat_samples(values, header.sampling_rate)
    rate = sampling_rate_of(header, config)
    ratio = resampling_ratio(header.sampling_rate, rate)
    values = resample(filter_leads(values, header.sampling_rate, config.filter), ratio)
    if ratio != 1:
        nearest = np.rint(np.arange(values.shape[1]) / float(ratio)).astype(int)
        missing = missing[np.minimum(nearest, len(missing) - 1)]
    return Leads(header, header.leads[places[0]], recorded, values, missing, rate, float(ratio))


def sampling_rate_of(header: Header, config: CuttingConfig) -> float:
    """The sampling rate of the beats of a record, in Hz."""
    if config.form == "heartbeat":
        return cutting.HEARTBEAT_RATE
    return config.sampling_rate or header.sampling_rate


def check_rates(headers: Sequence[Header], config: CuttingConfig) -> None:
    """Raise ConfigError where records would give beats of different sampling rates."""
    rates = {sampling_rate_of(header, config): header.name for header in headers}
    if len(rates) > 1:
        found = " and ".join(f"{name} with {rate:g} Hz" for rate, name in rates.items())
        raise ConfigError(
            f"records of different sampling rates ({found}); set sampling_rate in the section of "
            f"the source, and all are resampled to it"
        )
