"""Source `csv`: a user's own table of beats."""

from collections.abc import Generator
from pathlib import Path

import numpy as np
from pydantic import Field

from ecgad.config.section import Folder, Section
from ecgad.data.beats import ANOMALOUS, NORMAL, Beats, Part
from ecgad.data.sources.source import Source
from ecgad.errors import FileError
from ecgad.runtime.console import Console


class CsvConfig(Section):
    """A user's own table, one beat a row, every other column a sample."""

    file: Folder | None = Field(None, description="the table's path, relative to data.raw_dir")
    header: bool = Field(True, description="whether its first line names the columns")
    label_column: str | int | None = Field(
        None, description="name, or number from 0 without a header; null: no labels"
    )
    normal_label: str | int | float | None = Field(None, description="the label of normal beats")


class Csv(Source[CsvConfig]):
    """A CSV table, one beat a row."""

    name = "csv"
    settings_class = CsvConfig

    @classmethod
    def check(cls, settings: CsvConfig) -> None:
        if settings.file is None:
            raise ValueError("source csv needs data.csv.file")
        if (settings.label_column is None) != (settings.normal_label is None):
            raise ValueError(
                "give both data.csv.label_column and data.csv.normal_label, or neither"
            )
        if not settings.header and isinstance(settings.label_column, str):
            raise ValueError("without a header, data.csv.label_column is a number from 0")

    def find(self, console: Console | None = None) -> None:
        assert self.settings.file is not None
        path = self.folder / self.settings.file
        if not path.is_file():
            raise FileError(f"no such table: {path}; set data.raw_dir and data.csv.file")
        self._found(path)

    def read(self, jobs: int | None = None) -> Generator[Part]:
        (path,), settings = self.files.values(), self.settings
        yield Part(read_csv(path, settings.label_column, settings.normal_label, settings.header))


def read_csv(
    path: Path,
    label_column: str | int | None = None,
    normal_label: str | int | float | None = None,
    header: bool = True,
) -> Beats:
    """Read a user's own table, every column but the label's a sample of the beat.

    label_column: the column's name, or its number from 0 (without a header, always its number);
    None: no labels. normal_label: what stands there for a normal beat. Raises FileError, with line
    and column, where the table is malformed or the label is not there.
    """
    from ecgad.data import tables

    frame = tables.read_table(path, header)
    first_line = 2 if header else 1
    symbols, labels = np.full(len(frame), "unlabelled"), None
    if label_column is not None:
        symbols, frame = tables.take_labels(frame, path, label_column, first_line)
        normal = symbols == tables.label_text(normal_label)
        if not normal.any():
            raise FileError(
                f"{path}: no beat has the normal label {normal_label!r} in column {label_column}, "
                f"which holds {', '.join(sorted(set(symbols))[:10])}; set data.csv.normal_label"
            )
        labels = np.where(normal, NORMAL, ANOMALOUS).astype(np.int8)
        counts = {str(normal_label): int(normal.sum()), "other": int((~normal).sum())}
        tables.check_two_classes(path, counts)
    values = tables.to_numbers(frame, path, first_line)
    if values.shape[1] < 2:
        raise FileError(f"{path}: {values.shape[1]} sample columns; a beat has at least 2")
    return Beats(
        waveforms=values[:, None, :], symbols=symbols, labels=labels, rows=np.arange(len(values))
    )
