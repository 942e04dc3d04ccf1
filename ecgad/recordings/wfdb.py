"""WFDB records as they lie in a folder: headers, leads and beat annotations, all checked."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from ecgad.errors import FileError
from ecgad.recordings.beat_classes import BEATS

# To mV, by the unit in lower case.
UNITS = {"mv": 1.0, "uv": 1e-3, "v": 1e3}
# Hz: beyond it, a header is wrong.
LOWEST_RATE, HIGHEST_RATE = 1.0, 100_000.0
# mV: beyond it, a gain is wrong.
LARGEST = 1e6


@dataclass(frozen=True)
class Header:
    """What a record's header says.

    path: without suffix. sampling_rate: in Hz. files: those with the signals, in its folder.
    """

    name: str
    path: Path
    sampling_rate: float
    n_samples: int
    leads: tuple[str, ...]
    units: tuple[str, ...]
    comments: tuple[str, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class BeatAnnotations:
    """The beats of a record, in time: samples, int64 (n_beats,), and symbols, str (n_beats,).

    n_others: how many annotations are of something else, such as rhythm or noise. n_repeated: how
    many beats were annotated before at the very sample.
    """

    samples: np.ndarray
    symbols: np.ndarray
    n_others: int
    n_repeated: int


def record_names(folder: Path) -> list[str]:
    """Names of all records below a folder, relative to it and without suffix.

    Raises FileError where there are none.
    """
    names, visited = [], set()
    for place, folders, files in os.walk(folder, followlinks=True):
        # Links may lead in a circle.
        real = Path(place).resolve()
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found = [name for name in files if name.endswith(".hea") and not name.startswith(".")]
        names += [str(Path(place, name).relative_to(folder).with_suffix("")) for name in found]
    names.sort()
    if not names:
        raise FileError(f"no records in {folder}: no file there ends in .hea; set data.raw_dir")
    return names


def read_header(folder: Path, name: str) -> Header:
    """The header of a record. Raises FileError where it is missing or malformed."""
    path = folder / name
    try:
        header = wfdb.rdheader(str(path))
    except FileNotFoundError:
        raise FileError(
            f"no record {name} in {folder}: {path.name}.hea is not there; records are named "
            f"relative to data.raw_dir"
        ) from None
    except Exception as error:  # wfdb raises what it will: syntax, value and index errors
        raise FileError(f"{path}.hea is no WFDB header: {_reason(error)}") from None
    if not isinstance(header, wfdb.Record) or not header.n_sig or not header.sig_len:
        raise FileError(f"{path}.hea: a header of signals of known length in one segment is needed")
    if not LOWEST_RATE <= header.fs <= HIGHEST_RATE:
        raise FileError(f"{path}.hea: a sampling rate of {header.fs:g} Hz cannot be right; mend it")
    if header.sig_len < header.fs:
        raise FileError(f"record {name} is shorter than a second; leave it out")
    # wfdb drops what is not ASCII, and so makes V of µV.
    for line in Path(f"{path}.hea").read_bytes().splitlines():
        if not line.startswith(b"#") and not line.isascii():
            raise FileError(f"{path}.hea: only comments may hold other than ASCII; write uV for µV")
    leads = tuple(lead or f"lead {i}" for i, lead in enumerate(header.sig_name, 1))
    units = tuple(unit or "mV" for unit in header.units or [None] * header.n_sig)
    return Header(
        name=name,
        path=path,
        sampling_rate=float(header.fs),
        n_samples=int(header.sig_len),
        leads=leads,
        units=units,
        comments=tuple(comment.strip() for comment in header.comments),
        files=(
            path.with_name(f"{path.name}.hea"),
            *(path.parent / file for file in dict.fromkeys(header.file_name)),
        ),
    )


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
    """Where the annotations of a record are."""
    return header.path.with_name(f"{header.path.name}.{annotator}")


def choose_leads(header: Header, wanted: Sequence[str | Sequence[str]] | None) -> list[int]:
    """Places of the leads that are wanted: each a name, or several in order of preference.

    None: the first. Case does not matter. Raises FileError, with the leads that there are.
    """
    if wanted is None:
        return [0]
    there = [lead.casefold() for lead in header.leads]
    chosen: list[int] = []
    for names in wanted:
        preferred = [names] if isinstance(names, str) else names
        places = [there.index(n.casefold()) for n in preferred if n.casefold() in there]
        places = [place for place in places if place not in chosen]
        if not places:
            raise FileError(
                f"record {header.name} has no lead {' or '.join(preferred)}, only "
                f"{', '.join(header.leads)}; name another as well, in order of preference, or "
                f"leave the record out"
            )
        chosen.append(places[0])
    return chosen


def read_leads(header: Header, places: Sequence[int]) -> np.ndarray:
    """Leads of a record, float64 (n_leads, n_samples), in mV; NaN where a sample is missing.

    Raises FileError where a signal file is missing or cut short, or a lead holds nothing.
    """
    require_files(header)
    try:
        record: Any = wfdb.rdrecord(str(header.path), channels=list(places), physical=False)
        signal = record.dac()
        whole = signal.shape == (header.n_samples, len(places))
        reason = "" if whole else f"{len(signal)} samples of {header.n_samples}"
    except Exception as error:  # wfdb passes on what numpy makes of too few bytes
        whole, reason = False, _reason(error)
    if not whole:
        files = ", ".join(file.name for file in header.files[1:])
        raise FileError(
            f"record {header.name}: {files} does not hold the {header.n_samples} samples that the "
            f"header promises ({reason}); it may be cut short: fetch it again"
        )
    _check_against_header(header, record)
    for place in places:
        if header.units[place].casefold() not in UNITS:
            raise FileError(
                f"record {header.name}: lead {header.leads[place]} is in {header.units[place]}, "
                f"which is no voltage; its header has to say mV, uV or V"
            )
    to_mv = np.array([UNITS[header.units[place].casefold()] for place in places])
    leads = np.ascontiguousarray(signal.T) * to_mv[:, None]
    for lead, place in zip(leads, places, strict=True):
        valid = lead[np.isfinite(lead)]
        if len(valid) and not np.abs(valid).max() < LARGEST:
            raise FileError(
                f"record {header.name}: lead {header.leads[place]} reaches "
                f"{np.abs(valid).max():g} mV; mend the gain in its header"
            )
        if not len(valid) or valid.min() == valid.max():
            what = f"flat at {valid[0]:g} mV" if len(valid) else "without a valid sample"
            raise FileError(
                f"record {header.name}: lead {header.leads[place]} is {what}; choose another lead "
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
    """The annotated beats of a record.

    Raises FileError where the annotation file is missing, malformed or of another record.
    """
    path = header.path
    require_files(header, annotator)
    try:
        if not annotation_file(header, annotator).read_bytes().endswith(b"\0\0"):
            raise ValueError("its end is missing")
        annotation: Any = wfdb.rdann(str(path), annotator)
    except Exception as error:
        raise FileError(
            f"{path}.{annotator} holds no annotations that can be read ({_reason(error)}); it may "
            f"be cut short: fetch it again"
        ) from None
    samples = np.asarray(annotation.sample, np.int64)
    symbols = np.asarray(annotation.symbol, "<U1")
    if len(samples) and (samples.max() >= header.n_samples or samples.min() < 0):
        raise FileError(
            f"record {header.name}: an annotation at sample {samples.max()} lies beyond the "
            f"record's end ({header.n_samples} samples); does {path.name}.{annotator} belong to it?"
        )
    beats = np.isin(symbols, list(BEATS))
    n_others = int((~beats).sum())
    order = np.argsort(samples[beats], kind="stable")
    samples, symbols = samples[beats][order], symbols[beats][order]
    new = np.r_[True, np.diff(samples) > 0][: len(samples)]
    return BeatAnnotations(samples[new], symbols[new], n_others, int((~new).sum()))


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:150]
