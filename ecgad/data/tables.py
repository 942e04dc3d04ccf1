"""Tables, one beat a row: every cell checked, what is wrong told with its place."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecgad.data.beats import LARGEST
from ecgad.errors import ConfigError, FileError

# What columns of labels are called.
LABEL_NAMES = {
    "anomalous",
    "anomaly",
    "annotation",
    "category",
    "class",
    "classes",
    "diagnosis",
    "label",
    "labels",
    "outlier",
    "target",
    "y",
}
# Of a column of labels: the most classes that anybody gives numbers to.
MOST_CLASSES = 20

Column = str | int


@dataclass(frozen=True)
class Table:
    """A table as it was read. first: what its first row is called, such as line 2 of a CSV."""

    path: Path
    frame: pd.DataFrame
    first: tuple[str, int]

    def place(self, row: int) -> str:
        """Say where a row is."""
        word, number = self.first
        return f"{self.path}, {word} {number + row}"

    def column(self, column: Column, setting: str) -> Any:
        """Return a column's name in the frame, given its name or number. Raises FileError."""
        names = self.frame.columns
        if column in names:
            return column
        if isinstance(column, int) and 0 <= column < len(names):
            return names[column]
        known = ", ".join(map(str, names[:3])) + ", ..., " + str(names[-1])
        raise FileError(
            f"{self.path}: no column {column!r} among its {len(names)} ({known}); set {setting}, "
            f"and data.csv.header: false for a table without names"
        )


def read_numbers(path: Path) -> np.ndarray:
    """Read a CSV table of numbers alone, float32 (n_rows, n_columns). Raises FileError."""
    return to_numbers(_read_csv(path, header=False))


def read_table(path: Path, header: bool) -> Table:
    """Read a table of one of the FORMATS, by the suffix of its name.

    header: whether the first line of a CSV table names the columns. Raises FileError where it is no
    such table, or `header` is wrong of it, ConfigError where a package is lacking.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise FileError(
            f"{path}: tables of beats are read from files ending in {known}, not {suffix or path}; "
            f"unpack or convert it, or see data.source"
        )
    table = FORMATS[suffix](path, header)
    if table.frame.empty:
        raise FileError(f"{path}: the table has no rows")
    return table


def _read_csv(path: Path, header: bool) -> Table:
    try:
        frame = pd.read_csv(
            path, header=0 if header else None, skip_blank_lines=False, compression=None
        )
    except pd.errors.EmptyDataError:
        raise FileError(f"{path}: the table is empty") from None
    except pd.errors.ParserError as error:
        ragged = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if ragged:
            expected, line, found = ragged.groups()
            raise FileError(
                f"{path}, line {line}: {found} values where the lines before have {expected}"
            ) from None
        raise FileError(f"{path}: not a CSV table, or cut short") from None
    except (OSError, ValueError, OverflowError) as error:
        raise FileError(f"{path}: not a CSV table: {_reason(error)}") from None
    if not isinstance(frame.index, pd.RangeIndex):
        # pandas takes surplus cells for row names.
        raise FileError(f"{path}, line 2: more values than the first line has names")
    if frame.shape[1] == 1:
        raise FileError(f"{path}: one column only; values are to be separated by commas")
    # Names such as 0, 1, 2 are common; 0.25 is a sample.
    if header and any(_is_number(name) and not str(name).isdigit() for name in frame.columns):
        raise FileError(
            f"{path}: the first line holds numbers, not names of columns; set "
            f"data.csv.header: false"
        )
    return Table(path, frame, ("line", 2 if header else 1))


def _read_npy(path: Path, _header: bool) -> Table:
    try:
        values = np.load(path, allow_pickle=False)
    except Exception as error:  # of a damaged header NumPy raises what Python's parser does
        raise FileError(f"{path}: not a NumPy array: {_reason(error)}") from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "iuf":
        what = getattr(values, "shape", "several arrays"), getattr(values, "dtype", "")
        raise FileError(
            f"{path}: an array of numbers (n_beats, n_columns) is needed, not {what[0]} {what[1]}"
        )
    return Table(path, pd.DataFrame(values), ("row", 1))


def _read_parquet(path: Path, _header: bool) -> Table:
    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise ConfigError(f"{path}: to read Parquet, run pip install 'ecgad[parquet]'") from None
    except Exception as error:  # of a damaged file the reader raises what it will
        raise FileError(f"{path}: not a Parquet table: {_reason(error)}") from None
    return Table(path, frame.reset_index(drop=True), ("row", 1))


FORMATS: dict[str, Callable[[Path, bool], Table]] = {
    ".csv": _read_csv,
    ".txt": _read_csv,
    ".npy": _read_npy,
    ".parquet": _read_parquet,
}


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:150]


def _is_number(text: object) -> bool:
    try:
        float(str(text))
    except ValueError:
        return False
    return True


def take_labels(table: Table, label_column: Column) -> tuple[np.ndarray, Table]:
    """Return the labels as text, (n_rows,), and the table without them. Raises FileError."""
    column = table.column(label_column, "data.csv.label_column")
    of_rows = table.frame[column]
    if of_rows.isna().any():
        place = table.place(int(np.flatnonzero(of_rows.isna())[0]))
        raise FileError(f"{place}: no label in column {column}")
    labels = np.array([label_text(label) for label in of_rows])
    return labels, replace(table, frame=table.frame.drop(columns=column))


def label_text(label: object) -> str:
    """Return a label as text, the same for 1, 1.0 and "1"."""
    if not _is_number(label):
        return str(label).strip()
    number = float(str(label))
    return str(int(number)) if number.is_integer() else repr(number)


def check_no_labels(table: Table, values: np.ndarray, samples: Collection[Column]) -> None:
    """Raise ConfigError where a column looks like labels rather than samples.

    By its name, or because it holds few different whole numbers while most columns do not. values:
    float32, (n_rows, n_columns), of the table. samples: columns that are known to be samples.
    """
    known = {table.column(column, "data.csv.sample_columns") for column in samples}
    whole = (values == np.rint(values)).all(axis=0)
    for index, column in enumerate(table.frame.columns):
        if column in known:
            continue
        classes = np.unique(values[:, index]) if whole[index] else values[:0, 0]
        few = 2 <= len(classes) <= min(MOST_CLASSES, len(values) // 2) and whole.mean() < 0.5
        if few or str(column).strip().casefold() in LABEL_NAMES:
            found = ", ".join(f"{value:g}" for value in classes[:5])
            holds = f"; it holds {found}" if found else ""
            raise ConfigError(
                f"{table.path}: column {column} looks like labels{holds}. If it is, set "
                f"data.csv.label_column: {column} and data.csv.normal_label; if it is a sample, "
                f"data.csv.sample_columns: [{column}]"
            )


def to_numbers(table: Table) -> np.ndarray:
    """Return the table as float32 (n_rows, n_columns).

    Raises FileError, with line and column, where a cell is no number of sensible size.
    """
    frame = table.frame
    with np.errstate(over="ignore"):
        values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
    bad = ~(np.abs(values) < LARGEST)
    if bad.any():
        row, column = (int(found[0]) for found in np.nonzero(bad))
        cell: Any = frame.iat[row, column]
        missing = pd.isna(cell) is True
        if missing and bad[row, column:].all():
            what = f"the row ends after {column} of {frame.shape[1]} samples"
        else:
            shown = repr(str(cell)[:40])
            what = "a missing value" if missing else f"{shown} is no number below {LARGEST:g}"
        raise FileError(
            f"{table.place(row)}, column {frame.columns[column]}: {what}; mend or remove that row "
            f"or column"
        )
    return values


def check_two_classes(path: Path, counts: dict[str, int]) -> None:
    """Raise FileError where a table holds beats of one class alone."""
    if 0 in counts.values():
        found = ", ".join(f"{n} beats of class {name}" for name, n in counts.items())
        raise FileError(
            f"{path}: only one class ({found}); evaluation needs normal and anomalous beats. A "
            f"table without labels is read by data.source: csv with no data.csv.label_column"
        )
