"""Beats from CSV tables, one beat a row: TensorFlow's `ecg.csv` and a user's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecgad.data.beats import ANOMALOUS, NORMAL, Beats
from ecgad.data.download.remote import Remote, fetch
from ecgad.errors import FileError

ECG_CSV = Remote(
    url="https://storage.googleapis.com/download.tensorflow.org/data/ecg.csv",
    sha256={"ecg.csv": "72ce7b040ca0c6ed36c3368e570c6ac4ddf20100476e47373c63b2395e012df1"},
)

# No unit makes a sample of an ECG larger; squares of it would leave the range of float32.
LARGEST = 1e12


def ecg_csv_file(folder: Path) -> Path:
    """`ecg.csv` in that folder; downloaded if missing. Raises FileError where that fails."""
    path = folder / "ecg.csv"
    if not path.exists():
        fetch(ECG_CSV, folder)
    return path


def read_ecg_csv(path: Path) -> Beats:
    """TensorFlow's `ecg.csv`: 140 points a row without a header, the label last, 1 = normal.

    These are beats of ECG5000 (`ecgad.data.sources.ecg5000`), its four anomalous classes made one.
    Raises FileError, with line and column, where the table is malformed.
    """
    values = read_numbers(path, header=False)
    if values.shape[1] != 141:
        raise FileError(
            f"{path}: {values.shape[1]} columns where ecg.csv has 141 (140 points and the label); "
            f"a table of another form is read by data.source: csv"
        )
    flag = values[:, -1]
    if wrong := sorted(set(flag.tolist()) - {0.0, 1.0}):
        line = int(np.flatnonzero(flag == wrong[0])[0]) + 1
        raise FileError(
            f"{path}, line {line}: label {wrong[0]:g} in the last column, where 1 is normal and "
            f"0 anomalous"
        )
    _two_classes(path, {"1 (normal)": int((flag == 1).sum()), "0": int((flag == 0).sum())})
    return Beats(
        beats=values[:, None, :-1],
        symbols=np.where(flag == 1, "normal", "anomalous"),
        labels=np.where(flag == 1, NORMAL, ANOMALOUS).astype(np.int8),
        rows=np.arange(len(values)),
        unit="z-score",
    )


def own_csv_file(folder: Path, file: str) -> Path:
    """A user's table in that folder. Raises FileError where it is not there."""
    path = folder / file
    if not path.is_file():
        raise FileError(f"no such table: {path}; set data.raw_dir and data.csv.file")
    return path


def read_csv(
    path: Path,
    label_column: str | int | None = None,
    normal_label: str | int | float | None = None,
    header: bool = True,
) -> Beats:
    """A user's own table, every column but the label's a sample of the beat.

    label_column: the column's name, or its number from 0 (without a header, always its number);
    None: no labels. normal_label: what stands there for a normal beat. Raises FileError, with line
    and column, where the table is malformed or the label is not there.
    """
    frame = _read(path, header)
    first_line = 2 if header else 1
    symbols, labels = np.full(len(frame), "unlabelled"), None
    if label_column is not None:
        column = _column(frame, path, label_column)
        if frame[column].isna().any():
            line = int(np.flatnonzero(frame[column].isna())[0]) + first_line
            raise FileError(f"{path}, line {line}: no label in column {column}")
        symbols = np.array([_symbol(label) for label in frame[column]])
        frame = frame.drop(columns=column)
        normal = symbols == _symbol(normal_label)
        if not normal.any():
            raise FileError(
                f"{path}: no beat has the normal label {normal_label!r} in column {column}, which "
                f"holds {', '.join(sorted(set(symbols))[:10])}; set data.csv.normal_label"
            )
        labels = np.where(normal, NORMAL, ANOMALOUS).astype(np.int8)
        _two_classes(path, {str(normal_label): int(normal.sum()), "other": int((~normal).sum())})
    values = _numbers(frame, path, first_line)
    if values.shape[1] < 2:
        raise FileError(f"{path}: {values.shape[1]} sample columns; a beat has at least 2")
    return Beats(
        beats=values[:, None, :], symbols=symbols, labels=labels, rows=np.arange(len(values))
    )


def read_numbers(path: Path, header: bool) -> np.ndarray:
    """A table of numbers alone, float32 (n_rows, n_columns). Raises FileError, with the line."""
    return _numbers(_read(path, header), path, first_line=2 if header else 1)


def _read(path: Path, header: bool) -> pd.DataFrame:
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
    """The name of the label's column in this frame."""
    if label_column in frame.columns:
        return label_column
    if isinstance(label_column, int) and 0 <= label_column < frame.shape[1]:
        return frame.columns[label_column]
    known = ", ".join(map(str, frame.columns[:3])) + ", ..., " + str(frame.columns[-1])
    raise FileError(
        f"{path}: no column {label_column!r} among its {frame.shape[1]} ({known}); set "
        f"data.csv.label_column, and data.csv.header: false for a table without names"
    )


def _symbol(label: object) -> str:
    """A label as text, the same for 1, 1.0 and "1"."""
    if not _is_number(label):
        return str(label).strip()
    number = float(str(label))
    return str(int(number)) if number.is_integer() else repr(number)


def _numbers(frame: pd.DataFrame, path: Path, first_line: int) -> np.ndarray:
    """The table as float32 (n_rows, n_columns); every cell must be a number of sensible size."""
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
    bad = ~(np.abs(values) < LARGEST)
    if bad.any():
        row, column = (int(place[0]) for place in np.nonzero(bad))
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


def _two_classes(path: Path, counts: dict[str, int]) -> None:
    if 0 in counts.values():
        found = ", ".join(f"{n} beats of class {name}" for name, n in counts.items())
        raise FileError(
            f"{path}: only one class ({found}); evaluation needs normal and anomalous beats. A "
            f"table without labels is read by data.source: csv with no data.csv.label_column"
        )
