"""WFDB records of any length, of one segment or of several, a stretch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from typing import Any

import numpy as np
from wfdb import MultiRecord

from ecgad.errors import FileError
from ecgad.recordings.find import HEADER, Found
from ecgad.recordings.reader import Reader
from ecgad.recordings.recording import UNITS, BeatAnnotations
from ecgad.recordings.wfdb import (
    Header,
    checked,
    malformed_header,
    parse_header,
    read_annotations,
    read_stretch,
    require_sane_rate,
    require_whole_files,
)

# A format of differences: to know one sample, all before it have to be read.
DIFFERENCES = "8"
# Among segments: time in which nothing was recorded.
NOTHING = "~"


@dataclass(frozen=True)
class Segment:
    """A part of a record, in files of its own.

    start, stop: in samples of the record. leads: of each lead of the record, its index among those
    of the segment, None where the segment lacks it.
    """

    start: int
    stop: int
    leads: tuple[int | None, ...]
    header: Header


class WfdbReader(Reader):
    """A WFDB record. Memory is flat, but for the discouraged format 8: such a segment is held."""

    format = "WFDB"

    def __init__(self, found: Found) -> None:
        """Open a record. Raises FileError where a header is malformed, a signal file is missing or
        cut short, or no lead is a voltage.
        """
        path = found.path.with_name(found.path.name.removesuffix(HEADER))
        parsed = parse_header(path.parent, path.name)
        if isinstance(parsed, MultiRecord):
            with malformed_header(found.path):
                header, segments = _of_segments(parsed, found.name, path)
        else:
            header = checked(parsed, found.name, path)
            every = tuple(range(len(header.leads)))
            segments = [Segment(0, header.n_samples, every, header)]
        require_whole_files(header)
        voltages = [i for i, unit in enumerate(header.units) if unit.casefold() in UNITS]
        if not voltages:
            leads = zip(header.leads, header.units, strict=True)
            there = ", ".join(f"{lead} in {unit}" for lead, unit in leads)
            raise FileError(f"record {header.name} has no lead in mV, uV or V, only {there}")
        self.header = header
        self.segments = [
            replace(segment, leads=tuple(segment.leads[index] for index in voltages))
            for segment in segments
        ]
        self.name = header.name
        self.files = header.files
        self.lead_names = tuple(header.leads[index] for index in voltages)
        self.channels = tuple(voltages)
        self.sampling_rate = header.sampling_rate
        self.n_samples = header.n_samples
        self.start: datetime | time | None = parsed.base_datetime or parsed.base_time
        self._held: tuple[Header, Sequence[int], np.ndarray] | None = None

    def read(self, leads: Sequence[int], start: int, stop: int) -> np.ndarray:
        values = None
        for segment in self.segments:
            first, last = max(start, segment.start), min(stop, segment.stop)
            of_segment = [segment.leads[lead] for lead in leads] if first < last else []
            indices = [index for index in of_segment if index is not None]
            if not indices:
                continue
            read = self._read(segment.header, indices, first - segment.start, last - segment.start)
            if read.shape == (len(leads), stop - start):
                return read
            if values is None:
                values = np.full((len(leads), stop - start), np.nan)
            rows = [row for row, index in enumerate(of_segment) if index is not None]
            values[rows, first - start : last - start] = read
        return np.full((len(leads), stop - start), np.nan) if values is None else values

    def annotations(self, annotator: str) -> BeatAnnotations:
        """Read the annotated beats. Raises FileError as `read_annotations` does."""
        return read_annotations(self.header, annotator)

    def _read(self, header: Header, indices: Sequence[int], start: int, stop: int) -> np.ndarray:
        """Read samples start to stop of a segment, float64 (len(indices), stop - start), in mV."""
        if all(header.formats[index] != DIFFERENCES for index in indices):
            return read_stretch(header, indices, start, stop)
        if self._held is None or self._held[:2] != (header, indices):
            self._held = header, indices, read_stretch(header, indices, 0, header.n_samples)
        return self._held[2][:, start:stop].copy()


def _of_segments(parsed: Any, name: str, path: Path) -> tuple[Header, list[Segment]]:
    """Return the header of a record of several segments as if it were of one, and those of its
    segments in which something was recorded.

    Raises FileError where they do not fit together, and whatever Python raises where the header
    says too little.
    """
    require_sane_rate(path, parsed.fs)
    parts = list(zip(parsed.seg_name, parsed.seg_len, strict=True))
    if len(parts) != parsed.n_seg:
        raise FileError(
            f"{path}.hea promises {parsed.n_seg} segments and names {len(parts)}; fetch it again"
        )
    leads: tuple[str, ...] = ()
    files = [path.with_name(f"{path.name}{HEADER}")]
    least_bytes = [0]
    # The first of a variable layout holds no samples, and says which leads may come.
    variable = parsed.layout == "variable"
    if variable:
        (layout, _), *parts = parts
        there = _parsed_segment(path, layout)
        leads = tuple(lead or f"lead {i}" for i, lead in enumerate(there.sig_name, 1))
        units = tuple(unit or "mV" for unit in there.units)
        files.append(path.parent / f"{layout}{HEADER}")
        least_bytes.append(0)
    segments, start = [], 0
    for segment_name, length in parts:
        stop = start + length
        if segment_name == NOTHING:
            start = stop
            continue
        its_path, its_name = path.parent / segment_name, f"{name}, segment {segment_name}"
        header = checked(_parsed_segment(path, segment_name), its_name, its_path)
        if (header.sampling_rate, header.n_samples) != (parsed.fs, length):
            raise FileError(
                f"{path}.hea: segment {segment_name} is of {header.n_samples} samples at "
                f"{header.sampling_rate:g} Hz, not of {length} at {parsed.fs:g} Hz; fetch both "
                f"again"
            )
        if not leads:
            leads, units = header.leads, header.units
        if variable:
            indices = [header.leads.index(lead) if lead in header.leads else None for lead in leads]
        elif len(header.leads) == len(leads):
            indices = list(range(len(leads)))
        else:
            raise FileError(
                f"{path}.hea: segment {segment_name} has {len(header.leads)} leads, those before "
                f"have {len(leads)}; fetch them again"
            )
        segments.append(Segment(start, stop, tuple(indices), header))
        files += header.files
        least_bytes += header.least_bytes
        start = stop
    if not start or not leads or parsed.sig_len not in {None, start}:
        raise FileError(
            f"{path}.hea promises {parsed.sig_len} samples, and its segments {start}; fetch it "
            f"again"
        )
    return (
        Header(
            name=name,
            path=path,
            sampling_rate=float(parsed.fs),
            n_samples=start,
            leads=leads,
            units=units,
            comments=tuple(comment.strip() for comment in parsed.comments),
            files=tuple(files),
            least_bytes=tuple(least_bytes),
            start=parsed.base_datetime,
        ),
        segments,
    )


def _parsed_segment(path: Path, name: str) -> Any:
    """Return what wfdb reads of the header of a segment of a record. Raises FileError."""
    header = path.parent / f"{name}{HEADER}"
    if not header.is_file():
        raise FileError(
            f"{path}.hea names the segment {name}, but {header} is not there; put it beside the "
            f"header"
        )
    return parse_header(path.parent, name)
