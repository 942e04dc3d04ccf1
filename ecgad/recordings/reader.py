"""What reads a recording of any length, a stretch at a time."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path

import numpy as np

from ecgad.errors import ConfigError
from ecgad.recordings.recording import BeatAnnotations


class Reader(ABC):
    """A recording on disk, read a stretch at a time.

    name: what outputs are called after; it may hold folders. files: all that it is read from.
    lead_names: the voltage leads alone; channels: their numbers, from 0, among all signals of the
    file; None: there are no others. sampling_rate: in Hz; of a WFDB record its frame rate, of
    an EDF file that of its ECG. start: when the first sample was taken, where the file says so; a
    time alone where it gives no date.
    """

    name: str
    format: str
    files: tuple[Path, ...]
    lead_names: tuple[str, ...]
    channels: tuple[int, ...] | None = None
    sampling_rate: float
    n_samples: int
    start: datetime | time | None = None

    @abstractmethod
    def read(self, leads: Sequence[int], start: int, stop: int) -> np.ndarray:
        """Read samples start to stop of these leads, no lead twice.

        Returns float64 (len(leads), stop - start), in mV; NaN where a sample is missing. Blocks
        are best read in their order. Raises FileError where the file does not hold them.
        """

    def channel(self, lead: int) -> int:
        """Return the number of a lead among all signals of the file, from 0."""
        return lead if self.channels is None else self.channels[lead]

    def annotation_file(self, annotator: str) -> Path:
        """Return where the annotations would be that `annotations` reads."""
        return self.files[0].with_suffix(f".{annotator}")

    def annotations(self, annotator: str) -> BeatAnnotations:
        """Read the annotated beats. Raises ConfigError where such files have none, and FileError
        where they cannot be read.
        """
        raise ConfigError(
            f"{self.name}: only WFDB records have annotations beside them; leave out --annotator"
        )
