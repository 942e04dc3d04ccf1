"""`data.processed_dir`: the scaled splits, the scaler, and what is known of the beats.

Of each split there are `beats_<split>.npy` (the waveforms, float32, (n_beats, n_leads,
n_samples)), `labels_<split>.npy` (int8, 1 = anomalous, 0 = normal; of length 0 without labels),
`symbols_<split>.npy` (the classes) and `rows_<split>.npy` (where the source has the beat), and,
where the source knows them, the further fields of `ecgad.data.beats.Beats`: records, patients,
samples, times, annotations, rr, lengths. The first axis is the beat in all of them.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from ecgad.artifacts import arrays, files
from ecgad.data.beats import LARGEST, NORMAL, PER_BEAT, BeatFormat, Beats, Strip
from ecgad.data.scaling import RunningStatistics, Scaler
from ecgad.data.splits import SPLITS, hide_anomalies
from ecgad.errors import FileError

SCALER = "scaler.json"
FORMAT = "beats.json"
STRIPS = "strips.json"  # of test records, to look at; `ecg` is the number of samples
STRIPS_ECG = "strips.npy"  # float32, (n_samples of all strips,), one after the other
# Of records, to look at; some kilobytes each.
MOST_STRIPS = 64
# Read or scaled at a time; some megabytes.
BLOCK_SAMPLES = 1_000_000


def array_file(field: str, split: str) -> str:
    """Return the name of the file with a field of the beats of a split."""
    return f"{'beats' if field == 'waveforms' else field}_{split}.npy"


# All that may be there, whatever the source knows of its beats.
OUTPUTS = (
    *(array_file(field, split) for split in SPLITS for field in PER_BEAT),
    SCALER,
    FORMAT,
    STRIPS,
    STRIPS_ECG,
)


class SplitWriter:
    """Writes the splits part by part, so that they need not fit into memory.

    As a context: the files take their places at its end, once all of them are whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arrays: dict[str, dict[str, arrays.GrowingArray]] = {split: {} for split in SPLITS}
        self.format = BeatFormat()
        self.strips: list[Strip] = []
        self.stack = ExitStack()
        self.outputs: list[str] = []
        self.files: list[IO[bytes]] = []

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a beat: (n_leads, n_samples)."""
        return self.arrays["train"]["waveforms"].shape

    @property
    def labelled(self) -> bool:
        """Whether the source has labels."""
        return bool(self.arrays["train"]["labels"].length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)

    def add(self, split: str, beats: Beats) -> None:
        """Append unscaled beats to a split."""
        self.format = beats.format
        fields = beats.per_beat
        # Without labels the array is there and empty, so that each split has the same files.
        fields.setdefault("labels", np.empty(0, np.int8))
        for name in PER_BEAT:
            if name in fields:
                self._array(split, name).append(fields[name])

    def hide_anomalies(self, share: float, seed: int) -> int:
        """Label anomalous training beats normal, as `hide_anomalies`; return how many are normal.

        To be called once all beats are there: among all of them, the share is exact.
        """
        labels = self.arrays["train"]["labels"]
        labels.finish()
        ((_, known),) = labels.blocks(max(1, labels.length))
        hidden = hide_anomalies(known, share, seed)
        labels.rewrite(lambda _: hidden, labels.length)
        return int((hidden == NORMAL).sum())

    def training_normals(self) -> Iterator[np.ndarray]:
        """Read the unscaled waveforms of normal training beats again, some at a time."""
        train = self.arrays["train"]
        for array in train.values():
            array.finish()
        rows = self._rows(train["waveforms"])
        blocks = zip(train["waveforms"].blocks(rows), train["labels"].blocks(rows), strict=True)
        for (_, waveforms), (_, labels) in blocks:
            yield waveforms[labels == NORMAL]

    def finish(self, scaler: Scaler, statistics: RunningStatistics) -> dict[str, float]:
        """Scale what was written, and describe it.

        Returns the fraction of samples of each split beyond the range of `statistics`. Raises
        FileError where that range is so small that what is beyond it cannot be computed with.
        """
        outside = {}
        for split, of_split in self.arrays.items():
            for array in of_split.values():
                array.finish()
            waveforms = of_split["waveforms"]
            n_outside = 0

            def scale(block: np.ndarray) -> np.ndarray:
                nonlocal n_outside
                n_outside += statistics.n_outside(block)
                return _scaled(scaler, block)

            waveforms.rewrite(scale, self._rows(waveforms))
            outside[split] = n_outside / (waveforms.length * int(np.prod(waveforms.shape)))
        self._json(SCALER, scaler.to_dict())
        self._json(FORMAT, {**self.format.to_dict(), "arrays": list(self.arrays["train"])})
        self._json(STRIPS, [{**vars(strip), "ecg": len(strip.ecg)} for strip in self.strips])
        ecg = np.concatenate([np.empty(0, np.float32), *(strip.ecg for strip in self.strips)])
        np.save(self._file(STRIPS_ECG), ecg, allow_pickle=False)
        # All on disk before the first takes its place.
        for file in self.files:
            file.flush()
            os.fsync(file.fileno())
        return outside

    def add_strip(self, strip: Strip | None) -> None:
        """Keep the strip of a record, where there is one; MOST_STRIPS in all."""
        if strip is not None and len(self.strips) < MOST_STRIPS:
            self.strips.append(strip)

    def _rows(self, waveforms: arrays.GrowingArray) -> int:
        return max(1, BLOCK_SAMPLES // int(np.prod(waveforms.shape)))

    def _array(self, split: str, field: str) -> arrays.GrowingArray:
        if field not in self.arrays[split]:
            name = array_file(field, split)
            file, path = self._file(name), self.folder / name
            self.arrays[split][field] = arrays.GrowingArray(file, path)
        return self.arrays[split][field]

    def _json(self, name: str, content: Any) -> None:
        self._file(name).write(files.json_bytes(content))

    def _file(self, name: str) -> IO[bytes]:
        self.outputs.append(name)
        self.files.append(self.stack.enter_context(files.written(self.folder / name)))
        return self.files[-1]


def _scaled(scaler: Scaler, block: np.ndarray) -> np.ndarray:
    scaled = scaler.transform(block)
    largest = float(np.abs(scaled).max(initial=0))
    if not largest < LARGEST:
        raise FileError(
            f"a beat reaches {largest:g} times the range of the normal training beats, which "
            f"cannot be computed with; look at the units and amplitudes of the beats"
        )
    return scaled


def load_split(folder: Path, split: str) -> Beats:
    """Open the beats of a split, scaled and memory-mapped; their unit is that of the raw beats.

    Raises FileError.
    """
    with _reading(folder / FORMAT):
        known = files.load_json(folder / FORMAT)
        names = [array_file(name, split) for name in known["arrays"]]
        fields: dict[str, Any] = dict(zip(known["arrays"], names, strict=True))
        fields = {name: arrays.load_array(folder / file) for name, file in fields.items()}
        if not len(fields["labels"]):
            fields["labels"] = None
        return Beats(**fields, format=BeatFormat.from_dict(known))


def load_format(folder: Path) -> BeatFormat:
    """Read what the raw beats are like. Raises FileError."""
    with _reading(folder / FORMAT):
        return BeatFormat.from_dict(files.load_json(folder / FORMAT))


def load_strips(folder: Path) -> list[Strip]:
    """Read the strips of records in that folder; none where the source has no records.

    Raises FileError.
    """
    with _reading(folder / STRIPS):
        known = files.load_json(folder / STRIPS)
        ecg = np.asarray(arrays.load_array(folder / STRIPS_ECG))
        ends = np.cumsum([strip["ecg"] for strip in known], dtype=int)
        parts = [ecg[end - strip["ecg"] : end] for strip, end in zip(known, ends, strict=True)]
        return [Strip(**{**strip, "ecg": part}) for strip, part in zip(known, parts, strict=True)]


def load_scaler(folder: Path) -> Scaler:
    """Read the scaler of the splits in that folder. Raises FileError."""
    with _reading(folder / SCALER):
        return Scaler.from_dict(files.load_json(folder / SCALER))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise FileError where what a file says is not of the form that this version writes."""
    try:
        yield
    except FileError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise FileError(
            f"{path} is damaged, or by another version of ecgad ({type(error).__name__}); run "
            f"preprocess_data.py again with --overwrite"
        ) from None
