"""Tables of any length, a sample a row and a lead a column, a stretch at a time."""

import csv
import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ecgad.errors import ConfigError, FileError
from ecgad.recordings.find import Found
from ecgad.recordings.reader import Reader
from ecgad.recordings.recording import LARGEST, largest

# What columns of times are called, in lower case and without a unit in brackets.
TIMES = {"time", "times", "t", "timestamp", "seconds", "sec", "ms", "elapsed time", "index"}
TIMES |= {"sample", "samples", "sample #"}
# What stands for a sample that is missing, besides nan.
MISSING = {"", "-", "NA", "N/A", "null", "None"}
# Rows that are read at once.
ROWS = 1 << 17
# Bytes that are counted at once.
BYTES = 1 << 22


def open_table(found: Found, sampling_rate: float, to_mv: float) -> Reader:
    """Open a table of samples at this rate, in Hz, whose values times `to_mv` are mV.

    Raises FileError where it is malformed, ConfigError where what reads it is not installed.
    """
    match found.path.suffix.lower():
        case ".csv":
            return CsvReader(found, sampling_rate, to_mv)
        case ".npy":
            return ArrayReader(found, sampling_rate, to_mv)
        case _:
            return ParquetReader(found, sampling_rate, to_mv)


class TableReader(Reader):
    """What the tables have in common."""

    format = "table"

    def __init__(self, found: Found, sampling_rate: float, to_mv: float) -> None:
        self.path = found.path
        self.name = found.name
        self.files = (found.path,)
        self.sampling_rate = sampling_rate
        self.to_mv = to_mv
        self._open()
        if not self.n_samples or not self.lead_names:
            raise FileError(f"{self.path} holds no samples of any lead")

    @abstractmethod
    def _open(self) -> None:
        """Find the names of the leads and the number of samples."""

    @abstractmethod
    def _stretch(self, start: int, stop: int) -> np.ndarray:
        """Read samples start to stop of all leads, float64 (n_samples, n_leads), in their unit."""

    def read(self, leads: Sequence[int], start: int, stop: int) -> np.ndarray:
        values = np.ascontiguousarray(self._stretch(start, stop)[:, list(leads)].T) * self.to_mv
        for row, lead in zip(values, leads, strict=True):
            if not (reached := largest(row)) < LARGEST:
                raise FileError(
                    f"{self.path}: lead {self.lead_names[lead]} reaches {reached:g} mV in samples "
                    f"{start} to {stop}; mend it, or --unit"
                )
        return values


class ArrayReader(TableReader):
    """An array of NumPy, of which the longer axis is time."""

    def _open(self) -> None:
        shape = self._mapped().shape
        self.n_samples = shape[0]
        self.lead_names = tuple(f"lead {lead + 1}" for lead in range(shape[1]))

    def _stretch(self, start: int, stop: int) -> np.ndarray:
        return np.asarray(self._mapped()[start:stop], np.float64)

    def _mapped(self) -> np.ndarray:
        """Map the array, (n_samples, n_leads). Anew each time: pages of a mapped file that were
        read once count as memory in use.
        """
        try:
            array = np.lib.format.open_memmap(self.path, mode="r")
        except (ValueError, OSError, EOFError, SyntaxError) as error:
            raise FileError(f"{self.path} is no whole array of numbers: {_line(error)}") from None
        if array.ndim not in {1, 2} or array.dtype.kind not in "iuf":
            raise FileError(
                f"{self.path} holds an array of {array.dtype} of shape {array.shape}; numbers, "
                f"(n_samples,) or (n_samples, n_leads), are needed"
            )
        if array.ndim == 1:
            return array[:, None]
        return array.T if array.shape[1] > array.shape[0] else array


class RowsReader(TableReader):
    """A table that is read from its start on.

    Rows of the last block are kept, so that blocks may overlap; who goes back further starts anew.
    """

    _rows: Iterator[np.ndarray] | None = None
    _kept: np.ndarray
    _first: int

    @abstractmethod
    def _chunks(self) -> Iterator[np.ndarray]:
        """Read all rows, each time some, float64 (n_rows, n_leads)."""

    def _stretch(self, start: int, stop: int) -> np.ndarray:
        if self._rows is None or start < self._first:
            self._rows, self._first = self._chunks(), 0
            self._kept = np.empty((0, len(self.lead_names)))
        parts, first, end = [self._kept], self._first, self._first + len(self._kept)
        while end < stop:
            chunk = next(self._rows, None)
            if chunk is None:
                raise FileError(
                    f"{self.path} has {end} rows, where {self.n_samples} were counted; mend its "
                    f"ends of lines, or fetch it again"
                )
            if end <= start:
                parts, first = [], end
            parts.append(chunk)
            end += len(chunk)
        # A copy, so that what lies before is let go.
        self._kept = np.concatenate(parts)[start - first :].copy()
        self._first = start
        return self._kept[: stop - start]


class CsvReader(RowsReader):
    """A table of comma-separated numbers, with or without names in its first row."""

    def _open(self) -> None:
        first = self._first_row()
        # Without names of their own, pandas numbers columns from 0.
        numbered = [cell for cell in first if cell] == [str(i) for i in range(len(first))]
        numbered |= first[1:] == [str(i) for i in range(len(first) - 1)] and first[0] == ""
        self._n_skipped = 0 if all(map(_is_number, first)) and not numbered else 1
        names = first if self._n_skipped else [f"lead {i}" for i in range(1, len(first) + 1)]
        # A column without a name, beside others, numbers the rows.
        self._columns = [i for i, name in enumerate(names) if name and not _is_time(name)]
        self.lead_names = tuple(names[i] for i in self._columns)
        n_lines, n_commas = self._counts()
        if n_commas != n_lines * (len(first) - 1):
            self._refuse_ragged(len(first))
        self.n_samples = n_lines - self._n_skipped

    def _first_row(self) -> list[str]:
        """Read the cells of the first row. Raises FileError where they are no text."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                line = file.readline(BYTES)
        except UnicodeDecodeError:
            line = "\0"
        if "\0" in line:
            raise FileError(f"{self.path} is no text in UTF-8, so no CSV table")
        return [cell.strip(" '") for cell in next(csv.reader([line.strip()])) or [""]]

    def _counts(self) -> tuple[int, int]:
        """Count lines, empty ones at the end left out, and commas."""
        n_ends, n_commas, n_last, empty = 0, 0, 0, True
        with self.path.open("rb") as file:
            while block := file.read(BYTES):
                rest = block[len(block.rstrip(b"\r\n")) :]
                if len(rest) < len(block):
                    n_last, empty = 0, False
                n_last += rest.count(b"\n")
                n_ends += block.count(b"\n")
                n_commas += block.count(b",")
        return 0 if empty else n_ends - n_last + 1, n_commas

    def _refuse_ragged(self, n_cells: int) -> None:
        """Raise FileError with the first line that has other than so many cells."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if (there := line.count(b",") + 1) != n_cells:
                    raise FileError(
                        f"{self.path}, line {number}: {there} cells where the first line has "
                        f"{n_cells}; mend it, or fetch it again if it is cut short"
                    )

    def _chunks(self) -> Iterator[np.ndarray]:
        import pandas as pd

        n_rows = 0
        try:
            with pd.read_csv(
                self.path,
                header=None,
                skiprows=self._n_skipped,
                usecols=self._columns,
                dtype=np.float64,
                na_values=sorted(MISSING),
                skip_blank_lines=False,
                skipinitialspace=True,
                nrows=self.n_samples,
                chunksize=ROWS,
                encoding_errors="replace",
            ) as frames:
                for frame in frames:
                    yield frame.to_numpy()
                    n_rows += len(frame)
        except ValueError as error:  # pandas tells no line
            self._refuse_words(n_rows + self._n_skipped)
            raise FileError(f"{self.path} cannot be read: {_line(error)}") from None

    def _refuse_words(self, n_lines: int) -> None:
        """Raise FileError with the first cell beyond so many lines that is no number."""
        with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            for number, row in enumerate(islice(csv.reader(file), n_lines, None), n_lines + 1):
                for column in self._columns:
                    if column < len(row) and not _is_number(row[column].strip()):
                        raise FileError(
                            f"{self.path}, line {number}, column {column + 1}: {row[column]!r} is "
                            f"no number; cells are numbers, separated by commas"
                        )


class ParquetReader(RowsReader):
    """A table in Parquet."""

    def _open(self) -> None:
        try:
            import pyarrow
            from pyarrow import parquet, types
        except ImportError:
            raise ConfigError(
                f"{self.path}: to read Parquet, run pip install 'ecgad[parquet]'"
            ) from None
        try:
            with parquet.ParquetFile(self.path) as file:
                self.n_samples, schema = file.metadata.num_rows, file.schema_arrow
        except (OSError, pyarrow.ArrowException) as error:
            raise FileError(f"{self.path} is no whole Parquet table: {_line(error)}") from None
        fields = [field for field in schema if not _is_time(field.name)]
        for field in fields:
            if not types.is_integer(field.type) and not types.is_floating(field.type):
                raise FileError(
                    f"{self.path}: column {field.name} is of {field.type}, not of numbers"
                )
        self.lead_names = tuple(field.name for field in fields)

    def _chunks(self) -> Iterator[np.ndarray]:
        import pyarrow
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=ROWS, columns=list(self.lead_names)):
                    columns = (
                        batch.column(name).cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
                        for name in self.lead_names
                    )
                    yield np.stack(list(columns), axis=1)
        except (OSError, pyarrow.ArrowException) as error:
            raise FileError(f"{self.path} is no whole Parquet table: {_line(error)}") from None


def _is_time(name: str) -> bool:
    """Say whether a column is the time, or the index that pandas writes."""
    plain = re.sub(r"[(\[].*", "", name.casefold()).strip()
    return plain in TIMES or name.startswith("__index_level_")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell in MISSING
    return True


def _line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:150]
