"""EDF and EDF+ files of any length, a stretch at a time."""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecgad.errors import ConfigError, FileError
from ecgad.recordings.find import Found
from ecgad.recordings.lead_names import is_ecg
from ecgad.recordings.reader import Reader
from ecgad.recordings.recording import HIGHEST_RATE, LARGEST, LOWEST_RATE, UNITS, largest

if TYPE_CHECKING:
    import edfio

# Bytes of a header: of its part on the whole file, and as many on each signal.
HEADER_BYTES = 256
# What the standard writes for a date that is not to be known.
ANONYMOUS = date(1985, 1, 1)


class EdfReader(Reader):
    """The ECG of an EDF file: the voltages at the rate that most of the ECG leads have."""

    format = "EDF"

    def __init__(self, found: Found) -> None:
        """Open a file. Raises FileError where it is malformed, cut short, has gaps or holds no
        voltage, ConfigError where edfio is not installed.
        """
        self.path = path = found.path
        with _one_line(path):
            _check_header(path)
            edf = _opened(path)
            if edf.reserved.startswith("EDF+D") and not edf.is_continuous:
                raise FileError(f"{path} has gaps (EDF+D), which are not read; make it EDF+C")
            if not edf.signals:
                raise FileError(f"{path} holds annotations alone, no signal")
            chosen, self.sampling_rate = _chosen(path, edf)
            signals = [edf.signals[index] for index in chosen]
            self.lead_names = tuple(
                signal.label.strip() or f"lead {i}" for i, signal in enumerate(signals, 1)
            )
            self.n_samples = edf.num_data_records * signals[0].samples_per_data_record
            self.start = _start(edf)
        self._chosen = list(chosen.items())
        self.channels = tuple(chosen)
        self.name = found.name
        self.files = (path,)

    def read(self, leads: Sequence[int], start: int, stop: int) -> np.ndarray:
        values = np.empty((len(leads), stop - start))
        with _one_line(self.path):
            # Anew each time: pages of a mapped file that were read once count as memory in use.
            signals = _opened(self.path).signals
            for row, lead in zip(values, leads, strict=True):
                index, to_mv = self._chosen[lead]
                seconds = start / self.sampling_rate, stop / self.sampling_rate
                row[:] = signals[index].get_data_slice(*seconds) * to_mv
        for row, lead in zip(values, leads, strict=True):
            if not (reached := largest(row)) < LARGEST:
                raise FileError(
                    f"{self.path}: lead {self.lead_names[lead]} reaches {reached:g} mV; mend its "
                    f"physical minimum and maximum"
                )
        return values


def _opened(path: Path) -> "edfio.Edf":
    """Open a file, whose samples are read where they are asked for. Raises ConfigError."""
    try:
        import edfio
    except ImportError:
        raise ConfigError(f"{path}: to read EDF, run pip install 'ecgad[edf]'") from None
    # As many write µV, which is no ASCII.
    return edfio.read_edf(path, lazy_load_data=True, header_encoding="latin-1")


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Raise FileError for whatever goes wrong with a file."""
    try:
        with warnings.catch_warnings():
            # Of what is checked here, and of dates that differ.
            warnings.simplefilter("ignore")
            yield
    except (FileError, ConfigError):
        raise
    except Exception as error:  # edfio passes on what Python makes of malformed numbers
        reason = " ".join((str(error) or type(error).__name__).split())[:150]
        raise FileError(f"{path} is no EDF file that can be read: {reason}") from None


def _check_header(path: Path) -> None:
    """Raise FileError unless a file begins as EDF does, and is as long as its header says; whatever
    Python raises where the header is no EDF.
    """
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
        if header.startswith(b"\xffBIOSEMI"):
            raise FileError(f"{path} is a BDF file, which is not read; convert it to EDF")
        if len(header) < HEADER_BYTES or header[:8].strip() != b"0":
            raise FileError(f"{path} is no EDF file: its first bytes are of something else")
        n_records, n_signals = int(header[236:244]), int(header[252:256])
        # Of each signal, all fields before its samples a record take 216 bytes.
        file.seek(HEADER_BYTES + 216 * n_signals)
        samples = [int(file.read(8)) for _ in range(n_signals)]
    size, promised = path.stat().st_size, HEADER_BYTES * (n_signals + 1)
    if min(samples, default=1) < 1 or n_records == 0:
        raise FileError(f"{path} holds no samples, by its header")
    record = 2 * sum(samples)
    # While it is recorded, nobody knows their number.
    promised += record * (n_records if n_records > 0 else (size - promised) // max(record, 1))
    if size != promised:
        what = "it may be cut short: fetch it again" if size < promised else "mend the header"
        raise FileError(f"{path} is of {size} bytes, and its header promises {promised}; {what}")


def _chosen(path: Path, edf: "edfio.Edf") -> tuple[dict[int, float], float]:
    """Choose the leads: of each its index among the signals, and what makes mV of its values; and
    their rate in Hz. Raises FileError where there are none.
    """
    units = [_unit(signal) for signal in edf.signals]
    voltages = [index for index, unit in enumerate(units) if unit in UNITS]
    if not voltages:
        there = ", ".join(f"{s.label.strip()} in {s.physical_dimension!r}" for s in edf.signals)
        raise FileError(f"{path} has no signal in mV, uV or V, only {there}")
    ecg = [index for index in voltages if is_ecg(edf.signals[index].label.strip())]
    rates = Counter(edf.signals[index].sampling_frequency for index in ecg or voltages)
    # The higher one, where two are as common.
    rate = max(rates, key=lambda rate: (rates[rate], rate))
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise FileError(f"{path}: a sampling rate of {rate:g} Hz cannot be right; mend its header")
    chosen = [index for index in voltages if edf.signals[index].sampling_frequency == rate]
    for signal in (edf.signals[index] for index in chosen):
        if signal.physical_min == signal.physical_max or signal.digital_min >= signal.digital_max:
            raise FileError(
                f"{path}: the physical or digital minimum of {signal.label.strip()} is its maximum "
                f"as well; mend its header"
            )
    return {index: UNITS[units[index]] for index in chosen}, rate


def _unit(signal: "edfio.EdfSignal") -> str:
    """Return the unit of a signal in lower case, its micro written as u."""
    # There are two signs for it, and the first may be in UTF-8, which is none of EDF.
    return re.sub("\u00c2?\u00b5|\u03bc", "u", signal.physical_dimension.strip()).casefold()


def _start(edf: "edfio.Edf") -> datetime | time | None:
    """Return when the first sample was taken: a time alone where the date is not to be known, None
    where the file does not say.
    """
    try:
        moment = edf.starttime
    except (ValueError, IndexError):  # malformed
        return None
    try:
        day = edf.startdate
    except (ValueError, IndexError):  # as the standard has it, not to be known
        day = ANONYMOUS
    if day != ANONYMOUS:
        return datetime.combine(day, moment)
    return moment if moment != time() else None
