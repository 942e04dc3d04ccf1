"""Source `ecg_csv`: TensorFlow's copy of the beats of ECG5000, with two classes."""

from collections.abc import Generator
from pathlib import Path

import numpy as np

from ecgad.config.section import Section
from ecgad.data.beats import ANOMALOUS, NORMAL, BeatFormat, Beats, FileRows, Part
from ecgad.data.download.published import Remote, fetch
from ecgad.data.sources.source import Source
from ecgad.errors import FileError
from ecgad.runtime.console import Console

REMOTE = Remote(
    url="https://storage.googleapis.com/download.tensorflow.org/data/ecg.csv",
    sha256={"ecg.csv": "72ce7b040ca0c6ed36c3368e570c6ac4ddf20100476e47373c63b2395e012df1"},
)


class EcgCsv(Source[Section]):
    """`ecg.csv`, downloaded if missing."""

    name = "ecg_csv"

    @classmethod
    def licence(cls, settings: Section) -> str:
        from ecgad.data.download import physionet

        return physionet.BIDMC_LICENCE

    def find(self, console: Console | None = None) -> None:
        path = self.folder / "ecg.csv"
        if not path.exists():
            fetch(REMOTE, self.folder, console)
        self._found(path)
        self.published = REMOTE.sha256

    def read(self, jobs: int | None = None) -> Generator[Part]:
        yield Part(read_ecg_csv(*self.files.values()))


def read_ecg_csv(path: Path) -> Beats:
    """Read TensorFlow's `ecg.csv`: 140 points a row without a header, the label last, 1 = normal.

    These are beats of ECG5000 (`ecgad.data.sources.ecg5000`), its four anomalous classes made one.
    Raises FileError, with line and column, where the table is malformed.
    """
    from ecgad.data.tables import check_two_classes, read_numbers

    values = read_numbers(path)
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
    check_two_classes(path, {"1 (normal)": int((flag == 1).sum()), "0": int((flag == 0).sum())})
    return Beats(
        waveforms=values[:, None, :-1],
        symbols=np.where(flag == 1, "normal", "anomalous"),
        labels=np.where(flag == 1, NORMAL, ANOMALOUS).astype(np.int8),
        rows=np.arange(len(values)),
        format=BeatFormat(unit="z-score", files=(FileRows(path.name, 0, 1),)),
    )
