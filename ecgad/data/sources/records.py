"""What the sources of records share: one chain from a record to beats.

They differ in where the R peaks and the labels come from.
"""

from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import Field, model_validator

from ecgad.config.section import RecordName, RecordNames
from ecgad.config.segmentation import SegmentationConfig
from ecgad.data.beats import BeatFormat, Beats, Part, Strip
from ecgad.data.sources.source import Record, Source
from ecgad.errors import ConfigError, FileError
from ecgad.runtime.console import Console

if TYPE_CHECKING:
    from ecgad.processing.leads import PreparedLeads
    from ecgad.processing.segmentation import Segments
    from ecgad.recordings.recording import Recording
    from ecgad.recordings.wfdb import Header

STRIP_SECONDS = 10.0


class RecordsConfig(SegmentationConfig):
    """A folder of WFDB records."""

    records: RecordNames | None = Field(
        None, description="names relative to data.raw_dir, without suffix; null: all"
    )
    skip_records: list[RecordName] = Field(
        [], description="names of records to leave out, such as one that cannot be read"
    )

    @model_validator(mode="after")
    def _once(self) -> "RecordsConfig":
        if self.records is not None and len(set(self.records)) < len(self.records):
            raise ValueError("records: a record is named twice")
        return self

    @property
    def segmentation(self) -> SegmentationConfig:
        """How beats are cut, without what else a source has settings for."""
        names = SegmentationConfig.model_fields
        return SegmentationConfig(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class LabelledPeaks:
    """R peaks of a record, each with its class.

    samples: int64, (n_peaks,), ascending. symbols: str, (n_peaks,), the classes. labels: int8,
    (n_peaks,). wanted: bool, (n_peaks,), whether the class is among the beats. annotations: str,
    (n_peaks,), None where there are none. class_names: what the symbols mean. left_out: what is not
    among the peaks, by reason.
    """

    samples: np.ndarray
    symbols: np.ndarray
    labels: np.ndarray
    wanted: np.ndarray
    annotations: np.ndarray | None
    class_names: dict[str, str]
    left_out: dict[str, int]


R = TypeVar("R", bound=RecordsConfig)


class RecordSource(Source[R]):
    """Records of a folder, each of which is a part.

    label: finds the R peaks of a recording and their classes, by the source's settings. Header by
    header, `record_of` says whose record it is, and `wanted` which are read at all.
    """

    of_records = True
    label: "Callable[[Recording, Any], LabelledPeaks]"

    @property
    @abstractmethod
    def database(self) -> str | None:
        """The database of PhysioNet that lacking records are fetched from; several, joined by +."""

    @property
    def annotator(self) -> str | None:
        """The suffix of the annotation files, where the source has some."""
        return None

    @abstractmethod
    def record_of(self, header: "Header") -> Record:
        """Return the record's patient, and what patients are stratified by."""

    def wanted(self, headers: "list[Header]") -> "list[Header]":
        """Return the headers of the records to read."""
        return headers

    def find(self, console: Console | None = None) -> None:
        from ecgad.data.download import physionet
        from ecgad.recordings import wfdb

        folder, names = self.folder, self.names or self.settings.records
        if names is not None:
            names = self._without_skipped(names)
        physionet.fetch_databases(self.database, folder, names, console)
        if names is None:
            names = self._without_skipped(wfdb.record_names(folder))
        found = [wfdb.read_header(folder, name) for name in names]
        self.headers = self.wanted(found)
        self.records = [self.record_of(header) for header in self.headers]
        for header in self.headers:
            self.files |= self._files_of(header)
        self.published = physionet.published_checksums(self.database, folder)

    def _files_of(self, header: "Header") -> dict[str, Path]:
        from ecgad.recordings import wfdb

        paths = wfdb.files_of(header, self.annotator)
        return {str(path.relative_to(self.folder)): path for path in paths}

    def files_of(self, name: str) -> dict[str, Path]:
        """Return the files of a record by the names of a manifest; nothing is fetched.

        Raises FileError where one is missing, or the header is malformed.
        """
        from ecgad.recordings import wfdb

        return self._files_of(wfdb.read_header(self.folder, name))

    def strips(self, name: str, samples: Sequence[int]) -> list[Strip]:
        """Read a record again: ten seconds around each of these samples of it, as beats are cut.

        Raises FileError where the record is missing or malformed.
        """
        from ecgad.recordings import wfdb

        header = wfdb.read_header(self.folder, name)
        recording, _, segments = _cut(header, self.annotator, type(self).label, self.settings)
        width = _strip_width(segments.leads)
        starts = segments.leads.indices(np.array(samples)) - width // 2
        return [_strip(recording, segments.leads, start) for start in starts.tolist()]

    def _without_skipped(self, names: Sequence[str]) -> list[str]:
        """Return the names but for those to skip. Raises ConfigError where one is not there."""
        for name in self.settings.skip_records:
            if name not in names:
                near = ", ".join(get_close_matches(name, names, cutoff=0.4))
                raise ConfigError(
                    f"data.{self.name}.skip_records: there is no record {name}"
                    + (f"; the nearest are {near}" if near else "")
                )
        left = [name for name in names if name not in self.settings.skip_records]
        if not left:
            raise ConfigError(f"data.{self.name}.skip_records: no record is left to read")
        return left

    def read(self, jobs: int | None = None, share: slice = slice(None)) -> Generator[Part]:
        """Read the records, as all sources. share: which of them; all others are left."""
        from ecgad.runtime.workers import in_order

        check_rates(self.headers, self.settings)
        names = [name for record in self.records for name in (record.name, record.patient)]
        width = max(map(len, names))
        calls = [
            (header, record, self.annotator, type(self).label, self.settings, width)
            for header, record in zip(self.headers[share], self.records[share], strict=True)
        ]
        yield from in_order(read_record, calls, jobs)


def read_record(
    header: "Header",
    record: Record,
    annotator: str | None,
    label: "Callable[[Recording, Any], LabelledPeaks]",
    settings: RecordsConfig,
    name_width: int,
) -> Part:
    """Read the beats of one record.

    name_width: characters of the arrays of names, which all records have to share. Raises FileError
    where the record is malformed.
    """
    from ecgad.processing.evidence import EVIDENCE
    from ecgad.processing.segmentation import lead_names, unit_of

    recording, peaks, segments = _cut(header, annotator, label, settings)
    rows = np.flatnonzero(segments.kept & peaks.wanted)
    of_wanted = peaks.wanted[segments.kept]
    beats = Beats(
        waveforms=segments.waveforms[of_wanted],
        symbols=peaks.symbols[rows],
        labels=peaks.labels[rows],
        rows=rows,
        records=np.full(len(rows), record.name, f"<U{name_width}"),
        patients=np.full(len(rows), record.patient, f"<U{name_width}"),
        samples=peaks.samples[rows],
        times=peaks.samples[rows] / recording.sampling_rate,
        annotations=None if peaks.annotations is None else peaks.annotations[rows],
        rr=segments.rr[rows],
        lengths=None if segments.lengths is None else segments.lengths[of_wanted],
        format=BeatFormat(
            leads=lead_names(settings),
            timing=tuple(settings.timing),
            evidence=tuple(EVIDENCE) if settings.evidence else (),
            sampling_rate=segments.leads.sampling_rate,
            unit=unit_of(settings),
            class_names=peaks.class_names,
            segmentation=settings.segmentation,
        ),
    )
    left_out = {
        **peaks.left_out,
        **segments.left_out,
        "beat of a class that is left out": int((segments.kept & ~peaks.wanted).sum()),
    }
    centres = segments.leads.indices(peaks.samples)
    start = _most_anomalous(segments.leads, centres[peaks.labels == 1])
    return Part(beats, left_out, _strip(recording, segments.leads, start))


def _cut(
    header: "Header",
    annotator: str | None,
    label: "Callable[[Recording, Any], LabelledPeaks]",
    settings: RecordsConfig,
) -> "tuple[Recording, LabelledPeaks, Segments]":
    """Read a record, label its R peaks and cut it. Raises FileError where it is malformed."""
    from ecgad.processing.segmentation import segment
    from ecgad.recordings.wfdb import read_recording

    try:
        recording = read_recording(header, settings.leads or header.leads[:1], annotator)
        peaks = label(recording, settings)
    except FileError as error:
        raise FileError(f"{error}; to go on without it: skip_records: [{header.name}]") from None
    return recording, peaks, segment(recording, peaks.samples, settings)


def _strip_width(leads: "PreparedLeads") -> int:
    return min(round(STRIP_SECONDS * leads.sampling_rate), leads.values.shape[1])


def _most_anomalous(leads: "PreparedLeads", anomalous: np.ndarray) -> int:
    """Return where the ten seconds with most of the anomalous beats begin.

    anomalous: int (n,), ascending samples.
    """
    if not len(anomalous):
        return 0
    width = _strip_width(leads)
    in_reach = np.searchsorted(anomalous, anomalous + width) - np.arange(len(anomalous))
    # It begins a little before the first of them.
    return int(anomalous[in_reach.argmax()]) - width // 10


def _strip(recording: "Recording", leads: "PreparedLeads", start: int) -> Strip:
    """Return the ten seconds that begin at a sample, or as near to it as the recording allows."""
    width = _strip_width(leads)
    start = min(max(start, 0), leads.values.shape[1] - width)
    return Strip(
        record=recording.name,
        lead=leads.name,
        start=start / leads.sampling_rate,
        sampling_rate=leads.sampling_rate,
        record_rate=recording.sampling_rate,
        unit=recording.unit,
        ecg=leads.values[0, start : start + width].astype(np.float32),
    )


def check_rates(headers: "Sequence[Header]", settings: SegmentationConfig) -> None:
    """Raise ConfigError where records would give beats of different sampling rates."""
    from ecgad.processing.leads import rate_of_beats

    rates = {rate_of_beats(header.sampling_rate, settings): header.name for header in headers}
    if len(rates) > 1:
        found = " and ".join(f"{name} with {rate:g} Hz" for rate, name in rates.items())
        raise ConfigError(
            f"records of different sampling rates ({found}); set sampling_rate in the section of "
            f"the source, and all are resampled to it"
        )
