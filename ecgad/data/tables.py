"""CSV tables, one beat a row: every cell checked, what is wrong told with line and column."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecgad.errors import FileError

# No unit makes a sample of an ECG larger; squares of it would leave the range of float32.
LARGEST = 1e12


def read_numbers(path: Path, header: bool) -> np.ndarray:
    """Read a table of numbers alone, float32 (n_rows, n_columns). Raises FileError."""
    return to_numbers(read_table(path, header), path, first_line=2 if header else 1)


def read_table(path: Path, header: bool) -> pd.DataFrame:
    """Read a CSV table. Raises FileError where it is none, or `header` is wrong of it."""
    try:
        frame = pd.read_csv(path, header=0 if header else None, skip_blank_lines=False)
    except pd.errors.EmptyDataError:
        raise FileError(f"{path}: the table is empty") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        reason = " ".join(str(error).split())
        raise FileError(f"{path}: not a CSV table: {reason}") from None
    if frame.empty:
        raise FileError(f"{path}: the table has no rows")
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
    return frame


def _is_number(text: object) -> bool:
    try:
        float(str(text))
    except ValueError:
        return False
    return True


def _column(frame: pd.DataFrame, path: Path, label_column: str | int) -> Any:
    """Return the name of the label's column in this frame."""
    if label_column in frame.columns:
        return label_column
    if isinstance(label_column, int) and 0 <= label_column < frame.shape[1]:
        return frame.columns[label_column]
    known = ", ".join(map(str, frame.columns[:3])) + ", ..., " + str(frame.columns[-1])
    raise FileError(
        f"{path}: no column {label_column!r} among its {frame.shape[1]} ({known}); set "
        f"data.csv.label_column, and data.csv.header: false for a table without names"
    )


def take_labels(
    frame: pd.DataFrame, path: Path, label_column: str | int, first_line: int
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the labels as text, (n_rows,), and the table without them. Raises FileError."""
    column = _column(frame, path, label_column)
    if frame[column].isna().any():
        line = int(np.flatnonzero(frame[column].isna())[0]) + first_line
        raise FileError(f"{path}, line {line}: no label in column {column}")
    labels = np.array([label_text(label) for label in frame[column]])
    return labels, frame.drop(columns=column)


def label_text(label: object) -> str:
    """Return a label as text, the same for 1, 1.0 and "1"."""
    if not _is_number(label):
        return str(label).strip()
    number = float(str(label))
    return str(int(number)) if number.is_integer() else repr(number)


def to_numbers(frame: pd.DataFrame, path: Path, first_line: int) -> np.ndarray:
    """Return the table as float32 (n_rows, n_columns).

    Raises FileError, with line and column, where a cell is no number of sensible size.
    """
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
    bad = ~(np.abs(values) < LARGEST)
    if bad.any():
        row, column = (int(found[0]) for found in np.nonzero(bad))
        cell: Any = frame.iat[row, column]
        missing = pd.isna(cell)
        if missing and bad[row, column:].all():
            what = f"the row ends after {column} of {frame.shape[1]} samples"
        else:
            what = "a missing value" if missing else f"{str(cell)!r} is no number below {LARGEST:g}"
        raise FileError(
            f"{path}, line {row + first_line}, column {frame.columns[column]}: {what}; mend or "
            f"remove that row or column"
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
