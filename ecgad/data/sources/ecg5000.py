"""Source `ecg5000`: 5,000 beats of one patient in five classes, as the UCR archive publishes them.

Chen et al. 2015 cut them from record chf07 of the BIDMC Congestive Heart Failure Database
(Goldberger et al. 2000), stretched each to 140 points and standardised it (z-score), so that a
point is neither a time nor a voltage.
"""

from collections.abc import Generator
from pathlib import Path

import numpy as np

from ecgad.config.section import Section
from ecgad.data.beats import ANOMALOUS, LARGEST, NORMAL, BeatFormat, Beats, FileRows, Part
from ecgad.data.download.published import Remote, fetch
from ecgad.data.sources.source import Source
from ecgad.errors import FileError
from ecgad.runtime.console import Console

REMOTE = Remote(
    url="https://www.timeseriesclassification.com/aeon-toolkit/ECG5000.zip",
    sha256={
        "ECG5000_TRAIN.ts": "1935be5cc08203aa7c0de288fbceb48997d475f43ee610fa373fd6f4a0d66775",
        "ECG5000_TEST.ts": "2343d4f750e3b2b4b0f470d985afadc590dbc69695597db6bb4888ef01c015ce",
        "ECG5000_TRAIN.txt": "0d96aff193311a6dc6111bf0dbd2f7d2313987fbf7a1da4a383d92563876057b",
        "ECG5000_TEST.txt": "baf4ad57d28daa5e79050edd4185968181762bc83d45a757753015b4ba8ab295",
    },
)
CLASS_NAMES = {
    "1": "normal",
    "2": "R-on-T premature ventricular beat",
    "3": "premature ventricular beat",
    "4": "supraventricular premature beat",
    "5": "unclassified beat",
}
NORMAL_CLASS = "1"


class Ecg5000(Source[Section]):
    """The archive's training and test file, as `.ts` or else as `.txt`; downloaded if missing."""

    name = "ecg5000"

    @classmethod
    def has_test_set(cls, settings: Section) -> bool:
        return True

    @classmethod
    def licence(cls, settings: Section) -> str:
        from ecgad.data.download import physionet

        return physionet.BIDMC_LICENCE

    def find(self, console: Console | None = None) -> None:
        self.published = REMOTE.sha256
        forms = [
            [self.folder / f"ECG5000_{part}{suffix}" for part in ("TRAIN", "TEST")]
            for suffix in (".ts", ".txt")
        ]
        there = [files for files in forms if all(file.exists() for file in files)]
        if not there:
            fetch(REMOTE, self.folder, console)
        self._found(*(there or forms)[0])

    def read(self, jobs: int | None = None) -> Generator[Part]:
        yield Part(read_ecg5000(*self.files.values()))


def read_ecg5000(train: Path, test: Path) -> Beats:
    """Read ECG5000 from its training and its test file; class 1 is normal.

    Raises FileError, with the line, where a file is malformed.
    """
    parts = [read_ts(path) if path.suffix == ".ts" else read_txt(path) for path in (train, test)]
    (train_values, _), (test_values, _) = parts
    if train_values.shape[1] != test_values.shape[1]:
        raise FileError(
            f"{train.name} has beats of {train_values.shape[1]} points, {test.name} of "
            f"{test_values.shape[1]}; both must come from the same archive"
        )
    beats = np.concatenate([values for values, _ in parts])
    symbols = np.concatenate([symbols for _, symbols in parts])
    return Beats(
        waveforms=beats[:, None, :],
        symbols=symbols,
        labels=np.where(symbols == NORMAL_CLASS, NORMAL, ANOMALOUS).astype(np.int8),
        rows=np.arange(len(beats)),
        in_test=np.arange(len(beats)) >= len(train_values),
        format=BeatFormat(
            unit="z-score",
            class_names=CLASS_NAMES,
            files=(FileRows(train.name, 0, 1), FileRows(test.name, len(train_values), 1)),
        ),
    )


def read_ts(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read series (n, length), float32, and class symbols (n,) of a `.ts` of equal lengths."""
    lines = _lines(path)
    starts = [number for number, line in enumerate(lines) if line.strip().lower() == "@data"]
    if not starts:
        raise FileError(f"{path}: no @data line; not a .ts file of the UCR archive")
    rows, symbols = [], []
    for number, line in enumerate(lines[starts[0] + 1 :], starts[0] + 2):
        if not line.strip():
            continue
        values, colon, symbol = line.strip().rpartition(":")
        if not colon or not symbol:
            raise FileError(f"{path}, line {number}: no class at its end; is the file cut short?")
        rows.append((number, values.split(",")))
        symbols.append(_known_class(path, number, symbol))
    return _table(path, rows), np.array(symbols)


def read_txt(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read series (n, length), float32, and class symbols (n,) of a `.txt`, the class first."""
    rows = [(n, line.split()) for n, line in enumerate(_lines(path), 1) if line.strip()]
    table = _table(path, rows)
    symbols = [
        _known_class(path, number, f"{symbol:g}")
        for (number, _), symbol in zip(rows, table[:, 0], strict=True)
    ]
    return table[:, 1:], np.array(symbols)


def _known_class(path: Path, line: int, symbol: str) -> str:
    if symbol not in CLASS_NAMES:
        raise FileError(
            f"{path}, line {line}: class {symbol[:20]!r}; ECG5000 has {', '.join(CLASS_NAMES)}"
        )
    return symbol


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot read {path}: {error}") from None


def _table(path: Path, rows: list[tuple[int, list[str]]]) -> np.ndarray:
    """Make a float32 table of rows of words, each with its line number."""
    if not rows:
        raise FileError(f"{path}: no beats in it; is the file cut short?")
    width = len(rows[0][1])
    table = np.empty((len(rows), width), np.float32)
    for row, (number, words) in enumerate(rows):
        if len(words) != width:
            raise FileError(
                f"{path}, line {number}: {len(words)} values where line {rows[0][0]} has {width}; "
                f"is the file cut short?"
            )
        try:
            table[row] = words
        except ValueError as error:
            raise FileError(f"{path}, line {number}: {error}") from None
        if not (np.abs(table[row]) < LARGEST).all():
            raise FileError(f"{path}, line {number}: a value is missing, or not below {LARGEST:g}")
    return table
