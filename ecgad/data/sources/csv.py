"""Source `csv`: a user's own table of beats, as CSV or in another form of `tables.FORMATS`."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from ecgad.config.section import Folder, Section
from ecgad.data.beats import ANOMALOUS, NORMAL, BeatFormat, Beats, FileRows, Part
from ecgad.data.sources.source import Source
from ecgad.errors import FileError
from ecgad.runtime.console import Console


class CsvConfig(Section):
    """A user's own table, one beat a row, every other column a sample."""

    file: Folder | None = Field(
        None, description="the table's path, relative to data.raw_dir; .csv, .txt, .npy or .parquet"
    )
    test_file: Folder | None = Field(
        None, description="a second table, of the test beats; with data.split.method source"
    )
    header: bool = Field(True, description="whether its first line names the columns")
    label_column: str | int | None = Field(
        None, description="name, or number from 0 without a header; null: no labels"
    )
    normal_label: str | int | Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        None, description="the label of normal beats"
    )
    sample_columns: list[str | int] = Field(
        [], description="columns that look like labels, and are samples"
    )


class Csv(Source[CsvConfig]):
    """A table, one beat a row, or two: the second holds the test beats."""

    name = "csv"
    settings_class = CsvConfig

    @classmethod
    def check(cls, settings: CsvConfig, split_method: str) -> None:
        if settings.file is None:
            raise ValueError("source csv needs data.csv.file")
        if (settings.label_column is None) != (settings.normal_label is None):
            raise ValueError(
                "give both data.csv.label_column and data.csv.normal_label, or neither"
            )
        if not settings.header and isinstance(settings.label_column, str):
            raise ValueError("without a header, data.csv.label_column is a number from 0")
        if settings.test_file == settings.file:
            raise ValueError("data.csv.test_file is data.csv.file; test beats are other beats")
        if settings.test_file is not None and split_method != "source":
            raise ValueError(
                "data.csv.test_file is kept as the test set by data.split.method: source; set that"
            )

    @classmethod
    def has_test_set(cls, settings: CsvConfig) -> bool:
        return settings.test_file is not None

    def find(self, console: Console | None = None) -> None:
        for key in ("file", "test_file"):
            name = getattr(self.settings, key)
            if name is None:
                continue
            path = self.folder / name
            if not path.is_file():
                raise FileError(f"no such table: {path}; set data.raw_dir and data.csv.{key}")
            self.files[name] = path

    def read(self, jobs: int | None = None) -> Generator[Part]:
        yield Part(read_tables(list(self.files.values()), self.settings))


def read_tables(paths: Sequence[Path], settings: CsvConfig) -> Beats:
    """Read a user's own table, or two, of which the second holds the test beats.

    Every column but the label's is a sample of the beat. Raises FileError, with line and column,
    where a table is malformed or the label is not there, and ConfigError where another column looks
    like labels.
    """
    from ecgad.data import tables

    values: list[np.ndarray] = []
    symbols: list[np.ndarray] = []
    files: list[FileRows] = []
    for path in paths:
        table = tables.read_table(path, settings.header)
        of_table = np.full(len(table.frame), "unlabelled")
        if settings.label_column is not None:
            of_table, table = tables.take_labels(table, settings.label_column)
        numbers = tables.to_numbers(table)
        tables.check_no_labels(table, numbers, settings.sample_columns)
        if numbers.shape[1] < 2:
            raise FileError(f"{path}: {numbers.shape[1]} sample columns; a beat has at least 2")
        if values and numbers.shape[1] != values[0].shape[1]:
            raise FileError(
                f"{path}: {numbers.shape[1]} samples a beat, where {paths[0]} has "
                f"{values[0].shape[1]}"
            )
        files.append(FileRows(path.name, sum(map(len, values)), table.first[1]))
        values.append(numbers)
        symbols.append(of_table)
    waveforms, classes = np.concatenate(values)[:, None, :], np.concatenate(symbols)
    labels = None
    if settings.label_column is not None:
        labels = _labels(paths[0], classes, settings)
    return Beats(
        waveforms=waveforms,
        symbols=classes,
        labels=labels,
        rows=np.arange(len(waveforms)),
        in_test=np.arange(len(waveforms)) >= len(values[0]) if len(paths) > 1 else None,
        format=BeatFormat(files=tuple(files)),
    )


def _labels(path: Path, classes: np.ndarray, settings: CsvConfig) -> np.ndarray:
    """Return labels, int8 (n_beats,). Raises FileError where not both are there."""
    from ecgad.data import tables

    normal = classes == tables.label_text(settings.normal_label)
    if not normal.any():
        raise FileError(
            f"{path}: no beat has the normal label {settings.normal_label!r} in column "
            f"{settings.label_column}, which holds {', '.join(sorted(set(classes))[:10])}; set "
            f"data.csv.normal_label"
        )
    counts = {str(settings.normal_label): int(normal.sum()), "other": int((~normal).sum())}
    tables.check_two_classes(path, counts)
    return np.where(normal, NORMAL, ANOMALOUS).astype(np.int8)
