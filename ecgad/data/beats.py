"""Beats: what every source gives and every later stage takes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np

from ecgad.config.segmentation import SegmentationConfig
from ecgad.runtime.reading import read_rows

NORMAL, ANOMALOUS = 0, 1
# No unit makes a sample of an ECG larger; squares of what is would leave the range of float32.
LARGEST = 1e12
# The fields of Beats with an entry a beat, but for `in_test`, which no stage after the split needs.
PER_BEAT = (
    "waveforms",
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


class FileRows(NamedTuple):
    """Where the beats of a file begin among all of a source.

    first: the row of its first beat. number: what the file itself counts that beat as, such as line
    2 of a table with a header.
    """

    name: str
    first: int
    number: int


@dataclass(frozen=True)
class BeatFormat:
    """What the beats of a source are like, whichever of them it is.

    leads: a name each. evidence: which of `ecgad.processing.evidence` the last of them are; they
    are neither scaled nor seen by a network. timing: which RR features those before them are, by
    their names in `data.wfdb.timing`. Both have one value throughout a beat. sampling_rate: in Hz;
    None where a beat has no time axis of its own. class_names: what a symbol means, where the
    source says so. segmentation: how the beats were cut out of recordings; None where the source is
    a table of beats. files: of such a table, in the order of the rows.
    """

    leads: tuple[str, ...] = ("lead 1",)
    timing: tuple[str, ...] = ()
    sampling_rate: float | None = None
    unit: str = "source units"
    class_names: Mapping[str, str] = field(default_factory=dict)
    segmentation: SegmentationConfig | None = None
    files: tuple[FileRows, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def n_seen(self) -> int:
        """How many leads a network sees, the first ones."""
        return len(self.leads) - len(self.evidence)

    def place(self, row: int) -> tuple[str, int]:
        """Return the file that a row of `Beats.rows` is of, and its number there.

        Of beats of no file, an empty name, and a number from 1.
        """
        of_row = FileRows("", 0, 1)
        for file in self.files:
            of_row = file if file.first <= row else of_row
        return of_row.name, row - of_row.first + of_row.number

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON or a checkpoint."""
        segmentation = self.segmentation and self.segmentation.model_dump(mode="json")
        return {
            **asdict(replace(self, segmentation=None)),
            "leads": list(self.leads),
            "timing": list(self.timing),
            "evidence": list(self.evidence),
            "segmentation": segmentation,
            "files": [list(file) for file in self.files],
        }

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Self:
        """Return the format of `to_dict`. Raises ValueError, KeyError or TypeError."""
        segmentation = known["segmentation"]
        return cls(
            leads=tuple(known["leads"]),
            timing=tuple(known["timing"]),
            sampling_rate=known["sampling_rate"],
            unit=known["unit"],
            class_names=dict(known["class_names"]),
            segmentation=segmentation and SegmentationConfig.model_validate(segmentation),
            files=tuple(FileRows(*file) for file in known["files"]),
            # What an earlier version wrote has none.
            evidence=tuple(known.get("evidence", ())),
        )


@dataclass(frozen=True)
class Beats:
    """Beats of one source, with what is known of each.

    waveforms: float32, (n_beats, n_leads, n_samples), in the unit of `format`.
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
    """

    waveforms: np.ndarray
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
    format: BeatFormat = BeatFormat()

    def __len__(self) -> int:
        return len(self.waveforms)

    @property
    def per_beat(self) -> dict[str, np.ndarray]:
        """The arrays with an entry a beat that are there, by field."""
        arrays = {name: getattr(self, name) for name in (*PER_BEAT, "in_test")}
        return {name: array for name, array in arrays.items() if array is not None}

    def take(self, indices: np.ndarray) -> "Beats":
        """Return the beats at these indices, in this order."""
        return self._with({name: read_rows(a, indices) for name, a in self.per_beat.items()})

    @staticmethod
    def concatenate(parts: Sequence["Beats"]) -> "Beats":
        """Join beats of one source, one part after the other."""
        arrays = [part.per_beat for part in parts]
        joined = {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
        return parts[0]._with(joined)

    def _with(self, arrays: dict[str, Any]) -> "Beats":
        return replace(self, **arrays)

    @property
    def seen(self) -> np.ndarray:
        """The leads that a network sees, (n_beats, n_seen, n_samples)."""
        return self.waveforms[:, : self.format.n_seen]

    @property
    def normals(self) -> np.ndarray:
        """Indices of the beats taken for normal; without labels, of all beats."""
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
class Strip:
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
    strip: Strip | None = None
