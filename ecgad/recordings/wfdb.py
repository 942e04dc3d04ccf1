"""WFDB records as they lie in a folder, to recordings: headers, leads, beat annotations."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from ecgad.errors import FileError
from ecgad.recordings.annotations import read_annotation_file, require_inside, rescaled
from ecgad.recordings.beat_classes import BEATS
from ecgad.recordings.find import files_below
from ecgad.recordings.recording import (
    HIGHEST_RATE,
    LARGEST,
    LOWEST_RATE,
    UNITS,
    BeatAnnotations,
    Recording,
    choose_leads,
    largest,
)

# Samples that are read at once where all are needed for a checksum.
BLOCK = 1 << 20
# Formats of signals, each with the bytes that a sample takes; compressed ones take what they take.
BYTES = {"8": 1, "16": 2, "24": 3, "32": 4, "61": 2, "80": 1, "160": 2, "212": 1.5}
BYTES |= {"310": 4 / 3, "311": 4 / 3, "508": 0, "516": 0, "524": 0}


@dataclass(frozen=True)
class Header:
    """What a record's header says.

    path: without suffix. sampling_rate: in Hz. files: the header and those with the signals, each
    of which has to have `least_bytes`. start: when the first sample was taken, where the header
    says so. formats: of the samples of each lead. stated: of each lead, its first digital value and
    its checksum; None where the header does not say it.
    """

    name: str
    path: Path
    sampling_rate: float
    n_samples: int
    leads: tuple[str, ...]
    units: tuple[str, ...]
    comments: tuple[str, ...]
    files: tuple[Path, ...]
    least_bytes: tuple[int, ...]
    start: datetime | None = None
    formats: tuple[str, ...] = ()
    stated: tuple[tuple[int | None, int | None], ...] = ()


def record_names(folder: Path) -> list[str]:
    """List the names of all records below a folder, relative to it and without suffix.

    Raises FileError where there are none.
    """
    found = [path for path in files_below(folder) if path.name.endswith(".hea")]
    names = sorted(str(path.relative_to(folder).with_suffix("")) for path in found)
    if not names:
        raise FileError(f"no records in {folder}: no file there ends in .hea; set data.raw_dir")
    return names


def read_header(folder: Path, name: str) -> Header:
    """Read the header of a record. Raises FileError where it is missing or malformed, and where it
    is of less than a second.
    """
    header = checked(parse_header(folder, name), name, folder / name)
    if header.n_samples < header.sampling_rate:
        raise FileError(f"record {name} is shorter than a second; leave it out")
    return header


def parse_header(folder: Path, name: str) -> Any:
    """Return what wfdb reads of a header, of one segment or of several. Raises FileError where it
    is missing or malformed.
    """
    path = folder / name
    file = path.with_name(f"{path.name}.hea")
    if not file.exists():
        raise FileError(
            f"no record {name} in {folder}: {file.name} is not there; records are named relative "
            f"to data.raw_dir"
        )
    if not file.is_file():
        raise FileError(f"{file} is no file that a header can be read from")
    # wfdb drops what is not ASCII, and so makes V of µV.
    for line in file.read_bytes().splitlines():
        if not line.startswith(b"#") and not line.isascii():
            raise FileError(f"{file}: only comments may hold other than ASCII; write uV for µV")
    with malformed_header(file):
        return wfdb.rdheader(str(path))


@contextmanager
def malformed_header(file: Path) -> Iterator[None]:
    """Raise FileError for whatever goes wrong with a header."""
    try:
        yield
    except FileError:
        raise
    except Exception as error:  # wfdb raises what it will: syntax, value and index errors
        raise FileError(f"{file} is no WFDB header: {_reason(error)}") from None


def checked(header: Any, name: str, path: Path) -> Header:
    """Return what wfdb has read of a header. Raises FileError where records like it are not read,
    or where it says too little.
    """
    with malformed_header(path.with_name(f"{path.name}.hea")):
        return _checked(header, name, path)


def require_sane_rate(path: Path, sampling_rate: float) -> None:
    """Raise FileError where the header of a record gives a rate that cannot be."""
    if not LOWEST_RATE <= sampling_rate <= HIGHEST_RATE:
        raise FileError(
            f"{path}.hea: a sampling rate of {sampling_rate:g} Hz cannot be right; mend it"
        )


def _checked(header: Any, name: str, path: Path) -> Header:
    n_signals, n_samples = header.n_sig, header.sig_len
    if not isinstance(header, wfdb.Record) or not n_signals or not n_samples:
        raise FileError(f"{path}.hea: a header of signals of known length in one segment is needed")
    require_sane_rate(path, header.fs)
    if header.sig_name is None or len(header.sig_name) != n_signals:
        n_lines = len(header.sig_name or ())
        raise FileError(
            f"{path}.hea promises {n_signals} signals and describes {n_lines}; fetch it again"
        )
    bytes_of: dict[str, float] = {}
    for file, form, per_frame, offset in zip(
        header.file_name, header.fmt, header.samps_per_frame, header.byte_offset, strict=True
    ):
        if form not in BYTES:
            raise FileError(f"{path}.hea: signals of format {form} cannot be read")
        known = bytes_of.get(file, offset or 0)
        bytes_of[file] = known + n_samples * (per_frame or 1) * BYTES[form]
    units = header.units or [None] * n_signals
    return Header(
        name=name,
        path=path,
        sampling_rate=float(header.fs),
        n_samples=int(n_samples),
        leads=tuple(lead or f"lead {i}" for i, lead in enumerate(header.sig_name, 1)),
        units=tuple(unit or "mV" for unit in units),
        comments=tuple(comment.strip() for comment in header.comments),
        files=(path.with_name(f"{path.name}.hea"), *(path.parent / file for file in bytes_of)),
        least_bytes=(0, *map(int, bytes_of.values())),
        start=getattr(header, "base_datetime", None),
        formats=tuple(header.fmt),
        stated=tuple(zip(header.init_value, header.checksum, strict=True)),
    )


def files_of(header: Header, annotator: str | None = None) -> list[Path]:
    """List all files of a record. Raises FileError where one is not there."""
    require_files(header, annotator)
    return [*header.files, *([annotation_file(header, annotator)] if annotator else [])]


def require_files(header: Header, annotator: str | None = None) -> None:
    """Raise FileError where a signal file, or the annotation file, of a record is not there."""
    for file in header.files:
        if not file.is_file():
            raise FileError(
                f"{header.path}.hea names {file.name}, which is not there; put it beside the header"
            )
    if annotator and not annotation_file(header, annotator).is_file():
        raise FileError(
            f"record {header.name} has no annotations: {annotation_file(header, annotator)} is not "
            f"there; fetch it, or leave the record out"
        )


def annotation_file(header: Header, annotator: str) -> Path:
    """Return where the annotations of a record are."""
    return header.path.with_name(f"{header.path.name}.{annotator}")


def read_recording(
    header: Header,
    leads: Sequence[str | Sequence[str]] | None = None,
    annotator: str | None = None,
) -> Recording:
    """Read a record, its leads in mV.

    leads: those wanted, as for `choose_leads`; None: all. annotator: suffix of the file with its
    annotations; None: they are not read. Raises FileError where a file is missing, malformed or of
    another record, and where a lead is not there or holds nothing.
    """
    annotations = None if annotator is None else read_annotations(header, annotator)
    chosen = list(range(len(header.leads)))
    if leads is not None:
        chosen = choose_leads(header.name, header.leads, leads)
    return Recording(
        name=header.name,
        leads=read_leads(header, chosen),
        lead_names=tuple(header.leads[index] for index in chosen),
        sampling_rate=header.sampling_rate,
        start=header.start,
        annotations=annotations,
        comments=header.comments,
    )


def read_leads(header: Header, indices: Sequence[int]) -> np.ndarray:
    """Read leads of a record, float64 (n_leads, n_samples), in mV; NaN where a sample is missing.

    Raises FileError where a signal file is missing or cut short, or a lead holds nothing.
    """
    require_whole_files(header)
    leads = read_stretch(header, indices, 0, header.n_samples)
    for lead, index in zip(leads, indices, strict=True):
        valid = lead[np.isfinite(lead)]
        if not len(valid) or valid.min() == valid.max():
            what = f"flat at {valid[0]:g} mV" if len(valid) else "without a valid sample"
            raise FileError(
                f"record {header.name}: lead {header.leads[index]} is {what}; choose another lead "
                f"or leave the record out"
            )
    return leads


def require_whole_files(header: Header) -> None:
    """Raise FileError where a file of a record is missing or cut short."""
    require_files(header)
    for file, least in zip(header.files, header.least_bytes, strict=True):
        # Before memory is asked for.
        if file.stat().st_size < least:
            raise FileError(
                f"record {header.name}: {file.name} does not hold {_promised(header)}; it may be "
                f"cut short: fetch it again"
            )


def read_stretch(header: Header, indices: Sequence[int], start: int, stop: int) -> np.ndarray:
    """Read samples start to stop of leads, float64 (n_leads, stop - start), in mV; NaN where a
    sample is missing.

    Raises FileError where the signal files do not hold them or are of another record, or a lead is
    no voltage that can be.
    """
    for index in indices:
        if header.units[index].casefold() not in UNITS:
            raise FileError(
                f"record {header.name}: lead {header.leads[index]} is in {header.units[index]}, "
                f"which is no voltage; its header has to say mV, uV or V"
            )
    record = _digital(header, indices, start, stop)
    # Of several samples a frame, wfdb gives the mean, which has another sum.
    single = set(record.samps_per_frame) == {1}
    if single and start == 0:
        _check_against_header(header, indices, record.d_signal[0].tolist())
    # Lead by lead in memory, which is faster from here on.
    record.d_signal = np.asfortranarray(record.d_signal)
    record.dac(inplace=True)
    leads = np.ascontiguousarray(record.p_signal.T)
    if not single:
        # A mean over a frame in which a sample is missing is none.
        frames = _digital(header, indices, start, stop, smooth_frames=False)
        for lead, values in zip(leads, frames.dac(expanded=True), strict=True):
            lead[np.isnan(values).reshape(len(lead), -1).any(axis=1)] = np.nan
    to_mv = np.array([UNITS[header.units[index].casefold()] for index in indices])
    if (to_mv != 1).any():
        leads *= to_mv[:, None]
    for lead, index in zip(leads, indices, strict=True):
        if not (reached := largest(lead)) < LARGEST:
            raise FileError(
                f"record {header.name}: lead {header.leads[index]} reaches {reached:g} mV; mend "
                f"the gain in its header"
            )
    return leads


def _digital(
    header: Header, indices: Sequence[int], start: int, stop: int, smooth_frames: bool = True
) -> Any:
    """Return what wfdb reads of samples start to stop of leads, in digital values. Raises FileError
    where the signal files do not hold them.
    """
    try:
        record: Any = wfdb.rdrecord(
            str(header.path),
            sampfrom=start,
            sampto=stop,
            channels=list(indices),
            physical=False,
            smooth_frames=smooth_frames,
            return_res=32,  # bits, which hold a sample of any format
        )
        n_samples = stop - start if record.d_signal is None else len(record.d_signal)
        reason = "" if n_samples == stop - start else f"{n_samples} samples of {stop - start}"
    except Exception as error:  # wfdb passes on what numpy makes of too few bytes
        reason = _reason(error)
    if reason:
        files = ", ".join(file.name for file in header.files[1:])
        raise FileError(
            f"record {header.name}: {files} does not hold {_promised(header)} ({reason}); it may "
            f"be cut short: fetch it again"
        )
    return record


def _promised(header: Header) -> str:
    return f"the {header.n_samples} samples that the header promises"


def _check_against_header(header: Header, indices: Sequence[int], firsts: Sequence[int]) -> None:
    """Raise FileError where a record's digital signal is not the one that its header was made for.

    firsts: the first value of each lead. Headers are sloppy: it takes the checksum and the first
    value of every lead to tell.
    """
    stated = [header.stated[index] for index in indices]
    if any(None in pair for pair in stated):
        return
    if any(first == is_first for (first, _), is_first in zip(stated, firsts, strict=True)):
        return
    sums = np.zeros(len(indices), np.int64)
    for start in range(0, header.n_samples, BLOCK):
        block = _digital(header, indices, start, min(start + BLOCK, header.n_samples))
        sums += block.d_signal.sum(axis=0)
    checksums = [checksum or 0 for _, checksum in stated]
    if not ((sums - checksums) % 2**16 == 0).any():
        raise FileError(
            f"record {header.name}: neither checksum nor first value of its signal is what the "
            f"header says; fetch it again"
        )


def read_annotations(header: Header, annotator: str) -> BeatAnnotations:
    """Read the annotated beats of a record.

    In some databases the last beat lies at the very end, or a sample past it: that is left out, and
    counted. Raises FileError where the annotation file is missing or malformed, or of another
    record: an annotation lies PAST_END or more beyond the end.
    """
    require_files(header, annotator)
    file, end = annotation_file(header, annotator), header.n_samples
    read = read_annotation_file(file)
    rate = header.sampling_rate
    samples, symbols = rescaled(read.samples, read.sampling_rate or rate, rate), read.symbols
    require_inside(samples, file, header.name, end, rate)
    beats = np.isin(symbols, list(BEATS))
    order = np.argsort(samples[beats], kind="stable")
    samples, symbols = samples[beats][order], symbols[beats][order]
    inside = samples < end
    new = np.r_[True, np.diff(samples) > 0][: len(samples)]
    left_out = {
        "annotation of no beat": int((~beats).sum()),
        "second annotation of a beat": int((inside & ~new).sum()),
        "beat at the record's end": int((~inside).sum()),
    }
    kept = inside & new
    return BeatAnnotations(samples[kept], symbols[kept], left_out)


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:150]
