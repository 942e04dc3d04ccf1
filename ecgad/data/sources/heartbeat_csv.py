"""Source `heartbeat_csv`: Kaggle's tables of beats of MIT-BIH and PTB, by Kachuee et al. 2018.

A row is a beat: 187 samples at 125 Hz, scaled to [0, 1], from the R peak over 1.2 median RR
intervals and zeros after that; the class stands last. There is no header line.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ecgad.config.section import Section
from ecgad.data.beats import ANOMALOUS, NORMAL, BeatFormat, Beats, FileRows, Part
from ecgad.data.sources.source import Source
from ecgad.errors import FileError
from ecgad.runtime.console import Console

FILES = {
    "mitbih": ("mitbih_train.csv", "mitbih_test.csv"),
    "ptbdb": ("ptbdb_normal.csv", "ptbdb_abnormal.csv"),
}
# Kaggle asks for an account, so that these are not fetched.
PAGE = "https://www.kaggle.com/datasets/shayanfazeli/heartbeat"
SHA256 = {
    "ptbdb_normal.csv": "033d355e76e9f65f692fa398c5b24e357d004fab328c97db5160591a2eafe48c",
    "ptbdb_abnormal.csv": "27b4a37cd6dbcede0900cde3df02291f21e7538085d54e6b33abb91f4a5cf912",
}
# Names of the classes 0, 1, ...; the first is normal.
CLASSES = {"mitbih": ("N", "S", "V", "F", "Q"), "ptbdb": ("normal", "abnormal")}
N_SAMPLES = 187
SAMPLING_RATE = 125.0


class HeartbeatCsvConfig(Section):
    """Which of the tables."""

    database: Literal["mitbih", "ptbdb"] = "mitbih"


class HeartbeatCsv(Source[HeartbeatCsvConfig]):
    """The two tables of a database, which are downloaded by hand."""

    name = "heartbeat_csv"
    settings_class = HeartbeatCsvConfig

    @classmethod
    def has_test_set(cls, settings: HeartbeatCsvConfig) -> bool:
        return settings.database == "mitbih"

    @classmethod
    def licence(cls, settings: HeartbeatCsvConfig) -> str:
        from ecgad.data.download import physionet

        mitbih = settings.database == "mitbih"
        return (physionet.MITDB if mitbih else physionet.PTBDB).licence

    def find(self, console: Console | None = None) -> None:
        files = [self.folder / name for name in FILES[self.settings.database]]
        if missing := [file.name for file in files if not file.is_file()]:
            raise FileError(
                f"{', '.join(missing)} not found in {self.folder}/; download by hand from {PAGE}, "
                f"with an account, or make beats of this form from records with form: heartbeat"
            )
        self._found(*files)
        self.published = SHA256

    def read(self, jobs: int | None = None) -> Generator[Part]:
        yield Part(read_heartbeat_csv(list(self.files.values()), self.settings.database))


def read_heartbeat_csv(files: Sequence[Path], database: str) -> Beats:
    """Read the beats of both tables of a database; of MIT-BIH, the second is the test set.

    Raises FileError, with the line, where a table is malformed.
    """
    names = CLASSES[database]
    parts = [_read(path, len(names)) for path in files]
    beats = np.concatenate([beats for beats, _ in parts])
    classes = np.concatenate([classes for _, classes in parts])
    if len(set(classes.tolist())) == 1:
        raise FileError(f"{files[0].parent}: both tables hold only beats of class {classes[0]}")
    filled = beats[:, ::-1] != 0
    in_test = np.arange(len(beats)) >= len(parts[0][0])
    return Beats(
        waveforms=beats[:, None, :],
        symbols=np.array(names)[classes],
        labels=np.where(classes == 0, NORMAL, ANOMALOUS).astype(np.int8),
        rows=np.arange(len(beats)),
        in_test=in_test if database == "mitbih" else None,
        # What is zero up to the end is padding; the ECG's own lowest sample, if last, goes with it.
        lengths=(N_SAMPLES - filled.argmax(axis=1)).astype(np.int32),
        format=BeatFormat(
            leads=("MLII" if database == "mitbih" else "ii",),
            sampling_rate=SAMPLING_RATE,
            unit="relative to beat",
            files=(FileRows(files[0].name, 0, 1), FileRows(files[1].name, len(parts[0][0]), 1)),
        ),
    )


def _read(path: Path, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read beats (n_beats, 187) and classes, int (n_beats,), of one table."""
    from ecgad.data.tables import read_numbers

    values = read_numbers(path)
    if values.shape[1] != N_SAMPLES + 1:
        raise FileError(
            f"{path}: {values.shape[1]} columns where a heartbeat table has {N_SAMPLES + 1} "
            f"({N_SAMPLES} samples and the class); a table of another form is read by "
            f"data.source: csv"
        )
    classes = values[:, -1]
    wrong = ~np.isin(classes, range(n_classes))
    if wrong.any():
        line = int(wrong.argmax()) + 1
        raise FileError(
            f"{path}, line {line}: class {classes[line - 1]:g} in the last column; there are "
            f"{', '.join(map(str, range(n_classes)))}"
        )
    empty = ~values[:, :-1].any(axis=1)
    if empty.any():
        raise FileError(f"{path}, line {int(empty.argmax()) + 1}: all samples are zero")
    return values[:, :-1], classes.astype(int)
