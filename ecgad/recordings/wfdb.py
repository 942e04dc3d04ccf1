"""WFDB records as they lie in a folder, to recordings: headers, leads, beat annotations."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from wfdb.io import annotation

from ecgad.errors import FileError
from ecgad.recordings.beat_classes import BEATS
from ecgad.recordings.recording import BeatAnnotations, Recording, choose_leads

# To mV, by the unit in lower case.
UNITS = {"mv": 1.0, "uv": 1e-3, "v": 1e3}
# Hz: beyond it, a header is wrong.
LOWEST_RATE, HIGHEST_RATE = 1.0, 100_000.0
# mV: beyond it, a gain is wrong.
LARGEST = 1e6
# Of notes, in annotation files.
NOTE = 22
# Seconds past a record's end: the last beat may lie there, later ones are of another record.
PAST_END = 1.0
# Formats of signals, each with the bytes that a sample takes; compressed ones take what they take.
BYTES = {"8": 1, "16": 2, "24": 3, "32": 4, "61": 2, "80": 1, "160": 2, "212": 1.5}
BYTES |= {"310": 4 / 3, "311": 4 / 3, "508": 0, "516": 0, "524": 0}


@dataclass(frozen=True)
class Header:
    """What a record's header says.

    path: without suffix. sampling_rate: in Hz. files: the header and those with the signals, each
    of which has to have `least_bytes`. start: when the first sample was taken, where the header
    says so.
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


def record_names(folder: Path) -> list[str]:
    """List the names of all records below a folder, relative to it and without suffix.

    Raises FileError where there are none.
    """
    names, visited = [], set()
    for here, folders, files in os.walk(folder, followlinks=True):
        # Links may lead in a circle.
        real = Path(here).resolve()
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found = [name for name in files if name.endswith(".hea") and not name.startswith(".")]
        names += [str(Path(here, name).relative_to(folder).with_suffix("")) for name in found]
    names.sort()
    if not names:
        raise FileError(f"no records in {folder}: no file there ends in .hea; set data.raw_dir")
    return names


def read_header(folder: Path, name: str) -> Header:
    """Read the header of a record. Raises FileError where it is missing or malformed."""
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
    try:
        header = wfdb.rdheader(str(path))
        return _checked(header, name, path)
    except FileError:
        raise
    except Exception as error:  # wfdb raises what it will: syntax, value and index errors
        raise FileError(f"{file} is no WFDB header: {_reason(error)}") from None


def _checked(header: Any, name: str, path: Path) -> Header:
    """Return what wfdb has read of a header. Raises FileError where records like it are not read,
    and whatever Python raises where the header says too little.
    """
    n_signals, n_samples = header.n_sig, header.sig_len
    if not isinstance(header, wfdb.Record) or not n_signals or not n_samples:
        raise FileError(f"{path}.hea: a header of signals of known length in one segment is needed")
    if not LOWEST_RATE <= header.fs <= HIGHEST_RATE:
        raise FileError(f"{path}.hea: a sampling rate of {header.fs:g} Hz cannot be right; mend it")
    if n_samples < header.fs:
        raise FileError(f"record {name} is shorter than a second; leave it out")
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
    require_files(header)
    promised = f"the {header.n_samples} samples that the header promises"
    for file, least in zip(header.files, header.least_bytes, strict=True):
        # Before memory is asked for.
        if file.stat().st_size < least:
            raise FileError(
                f"record {header.name}: {file.name} does not hold {promised}; it may be cut short: "
                f"fetch it again"
            )
    try:
        record: Any = wfdb.rdrecord(str(header.path), channels=list(indices), physical=False)
        signal = record.dac()
        whole = signal.shape == (header.n_samples, len(indices))
        reason = "" if whole else f"{len(signal)} samples of {header.n_samples}"
    except Exception as error:  # wfdb passes on what numpy makes of too few bytes
        whole, reason = False, _reason(error)
    if not whole:
        files = ", ".join(file.name for file in header.files[1:])
        raise FileError(
            f"record {header.name}: {files} does not hold {promised} ({reason}); it may be cut "
            f"short: fetch it again"
        )
    _check_against_header(header, record)
    for index in indices:
        if header.units[index].casefold() not in UNITS:
            raise FileError(
                f"record {header.name}: lead {header.leads[index]} is in {header.units[index]}, "
                f"which is no voltage; its header has to say mV, uV or V"
            )
    to_mv = np.array([UNITS[header.units[index].casefold()] for index in indices])
    leads = np.ascontiguousarray(signal.T) * to_mv[:, None]
    for lead, index in zip(leads, indices, strict=True):
        valid = lead[np.isfinite(lead)]
        if len(valid) and not np.abs(valid).max() < LARGEST:
            raise FileError(
                f"record {header.name}: lead {header.leads[index]} reaches "
                f"{np.abs(valid).max():g} mV; mend the gain in its header"
            )
        if not len(valid) or valid.min() == valid.max():
            what = f"flat at {valid[0]:g} mV" if len(valid) else "without a valid sample"
            raise FileError(
                f"record {header.name}: lead {header.leads[index]} is {what}; choose another lead "
                f"or leave the record out"
            )
    return leads


def _check_against_header(header: Header, record: Any) -> None:
    """Raise FileError where a record's digital signal is not the one that its header was made for.

    Headers are sloppy: it takes the checksum and the first value of every lead to tell.
    """
    # Of several samples a frame, wfdb gives the mean, which has another sum.
    if None in [*record.checksum, *record.init_value] or set(record.samps_per_frame) != {1}:
        return
    sums = zip(record.checksum, record.calc_checksum(), strict=True)
    firsts = zip(record.init_value, record.d_signal[0], strict=True)
    if not any((a - b) % 2**16 == 0 for a, b in sums) and not any(a == b for a, b in firsts):
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
    path = header.path
    require_files(header, annotator)
    try:
        if not annotation_file(header, annotator).read_bytes().endswith(b"\0\0"):
            raise ValueError("its end is missing")
        samples, symbols = _annotations(path, annotator, header.sampling_rate)
    except Exception as error:
        raise FileError(
            f"{path}.{annotator} holds no annotations that can be read ({_reason(error)}); it may "
            f"be cut short: fetch it again"
        ) from None
    end = header.n_samples
    latest = end + PAST_END * header.sampling_rate
    if len(samples) and (samples.max() >= latest or samples.min() < 0):
        wrong = samples.max() if samples.max() >= latest else samples.min()
        raise FileError(
            f"record {header.name}: an annotation at sample {wrong} lies beyond the record's "
            f"{end} samples; does {path.name}.{annotator} belong to it?"
        )
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


def _annotations(path: Path, annotator: str, sampling_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Read samples, int64 (n,), and symbols (n,) of all annotations.

    By the functions that `wfdb.rdann` is made of: itself, it never returns from a file whose first
    notes begin with ## and define nothing. Samples may be counted at another rate than the
    record's, which is then among these notes.
    """
    stored = annotation.load_byte_pairs(str(path), annotator, None)
    samples, codes, _, _, _, notes = annotation.proc_ann_bytes(stored, None)
    samples, codes = np.asarray(samples, np.int64), np.asarray(codes, np.int64)
    about = np.array([note.startswith("## ") for note in notes], bool) & (codes == NOTE)
    for index in np.flatnonzero(about):
        if rate := re.fullmatch(r"## time resolution: ([\d.]+)", notes[index].strip()):
            samples = np.rint(samples * (sampling_rate / float(rate[1]))).astype(np.int64)
    kept = (codes != 0) & ~about
    symbol_of = {label.label_store: label.symbol for label in annotation.ann_labels}
    symbols = np.array([symbol_of.get(code, " ") for code in codes[kept].tolist()], "<U1")
    return samples[kept], symbols


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:150]
