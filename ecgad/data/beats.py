"""Beats: what every source gives and every later stage takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

NORMAL, ANOMALOUS = 0, 1
# Scattered rows read at a time; the system reads tens of kilobytes around each.
ROWS_READ = 256
# The fields of Beats with an entry a beat, but for `in_test`, which no stage after the split needs.
PER_BEAT = (
    "beats",
    "symbols",
    "labels",
    "rows",
    "records",
    "patients",
    "samples",
    "times",
    "annotations",
    "rr",
    "lengths",
)


@dataclass(frozen=True)
class Beats:
    """Beats of one source, with what is known of each.

    beats: float32, (n_beats, n_leads, n_samples), in `unit`.
    symbols: str, (n_beats,): the class, in the source's own words or by a class map.
    labels: int8, (n_beats,): 1 anomalous, 0 normal; None where the source has no labels.
    rows: int64, (n_beats,): where the source has the beat, counted from 0.
    in_test: bool, (n_beats,): the source's own test set; None where it has none.

    The following are None where the source does not know them.

    records, patients: str, (n_beats,): the recording that the beat was cut from, and the person.
    samples: int64, (n_beats,): where the R peak or annotation lies in the recording as published.
    times: float64, (n_beats,): the same in seconds from the recording's start.
    annotations: str, (n_beats,): the annotation's own symbol.
    rr: float32, (n_beats, 2): previous and next RR interval in seconds; NaN at a record's ends.
    lengths: int32, (n_beats,): how many samples are ECG; what follows them is padding.

    class_names: what a symbol means, where the source says so.
    sampling_rate: in Hz; None where a beat has no time axis of its own.
    leads: a name each; timing features are leads as well, with one value throughout a beat.
    n_timing: how many of them, the last ones.
    """

    beats: np.ndarray
    symbols: np.ndarray
    labels: np.ndarray | None
    rows: np.ndarray
    in_test: np.ndarray | None = None
    records: np.ndarray | None = None
    patients: np.ndarray | None = None
    samples: np.ndarray | None = None
    times: np.ndarray | None = None
    annotations: np.ndarray | None = None
    rr: np.ndarray | None = None
    lengths: np.ndarray | None = None
    class_names: dict[str, str] = field(default_factory=dict)
    sampling_rate: float | None = None
    unit: str = "source units"
    leads: tuple[str, ...] = ("lead 1",)
    n_timing: int = 0

    def __len__(self) -> int:
        return len(self.beats)

    @property
    def timing(self) -> tuple[str, ...]:
        """The names of the leads that are timing features."""
        return self.leads[len(self.leads) - self.n_timing :]

    @property
    def per_beat(self) -> dict[str, np.ndarray]:
        """The arrays with an entry a beat that are there, by field."""
        arrays = {name: getattr(self, name) for name in (*PER_BEAT, "in_test")}
        return {name: array for name, array in arrays.items() if array is not None}

    def take(self, places: np.ndarray) -> "Beats":
        """The beats at these places, in this order."""
        return self._with({name: read_rows(array, places) for name, array in self.per_beat.items()})

    @staticmethod
    def concatenate(parts: Sequence["Beats"]) -> "Beats":
        """Beats of one source, one part after the other."""
        arrays = [part.per_beat for part in parts]
        together = {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
        return parts[0]._with(together)

    def _with(self, arrays: dict[str, Any]) -> "Beats":
        return replace(self, **arrays)

    @property
    def normals(self) -> np.ndarray:
        """Places of the beats taken for normal; without labels, all of them."""
        if self.labels is None:
            return np.arange(len(self))
        return np.flatnonzero(self.labels == NORMAL)

    @property
    def class_counts(self) -> dict[str, int]:
        """How many beats each class has, the most common first."""
        symbols, counts = np.unique(self.symbols, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {str(symbols[i]): int(counts[i]) for i in order}


@dataclass(frozen=True)
class Stretch:
    """A few seconds of a record's first lead, to look at.

    ecg: float32, (n_samples,), in `unit`, at `sampling_rate` (Hz). start: where it begins, in
    seconds from the record's start. record_rate: in Hz, of the record as published, in which
    `Beats.samples` are counted.
    """

    record: str
    lead: str
    start: float
    sampling_rate: float
    record_rate: float
    unit: str
    ecg: np.ndarray


@dataclass(frozen=True)
class Part:
    """What a source gives at a time, so that it need not fit into memory: mostly, one record.

    left_out: how much of the source is not among the beats, by reason.
    """

    beats: Beats
    left_out: dict[str, int] = field(default_factory=dict)
    stretch: Stretch | None = None


def read_rows(array: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
    """A copy of rows of an array; of a memory-mapped one, the pages read do not stay in memory."""
    in_file = isinstance(array, np.memmap) and array.filename is not None
    if not in_file or not array.flags.c_contiguous:
        return np.array(array[rows])
    assert isinstance(array, np.memmap)
    assert array.filename is not None
    whole = array
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    file, offset = array.filename, array.offset + array.ctypes.data - whole.ctypes.data

    if isinstance(rows, slice):
        # Twice as fast as by a mapping.
        start, stop, _ = rows.indices(len(array))
        width = int(np.prod(array.shape[1:]))
        at = offset + start * width * array.itemsize
        part = np.fromfile(file, array.dtype, max(0, stop - start) * width, offset=at)
        return part.reshape(-1, *array.shape[1:])
    copied = np.empty((len(rows), *array.shape[1:]), array.dtype)
    for start in range(0, len(rows), ROWS_READ):
        # By a mapping of its own, which ends at once.
        mapped = np.memmap(file, array.dtype, "r", offset, array.shape)
        copied[start : start + ROWS_READ] = mapped[rows[start : start + ROWS_READ]]
        del mapped
    return copied
