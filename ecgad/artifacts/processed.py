"""`data.processed_dir`: the scaled splits, the scaler, and what is known of the beats.

Of each split there are `beats_<split>.npy` (float32, (n_beats, n_leads, n_samples)),
`labels_<split>.npy` (int8, 1 = anomalous, 0 = normal; of length 0 without labels),
`symbols_<split>.npy` (the classes) and `rows_<split>.npy` (where the source has the beat), and,
where the source knows them, the further fields of `ecgad.data.beats.Beats`: records, patients,
samples, times, annotations, rr, lengths. The first axis is the beat in all of them.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from ecgad.artifacts import files
from ecgad.data.beats import PER_BEAT, Beats, Stretch
from ecgad.data.scaling import Scaler, Spread
from ecgad.data.splits import SPLITS

SCALER = "scaler.json"
DESCRIPTION = "beats.json"
STRETCHES = "stretches.json"  # of test records, to look at; `ecg` is the number of samples
STRETCHES_ECG = "stretches.npy"  # float32, (n_samples of all stretches,), one after the other
# Scaled at a time; some megabytes.
BLOCK_SAMPLES = 1_000_000


class SplitWriter:
    """Writes the splits part by part, so that they need not fit into memory.

    As a context: the files take their places at its end, once all of them are whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arrays: dict[str, dict[str, files.GrowingArray]] = {split: {} for split in SPLITS}
        self.stack = ExitStack()
        self.outputs: list[str] = []
        self.files: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)
        if error[0] is None:
            # Of an earlier source that knew more of its beats.
            for name in {f"{name}_{split}.npy" for name in PER_BEAT for split in SPLITS}:
                if name not in self.outputs:
                    (self.folder / name).unlink(missing_ok=True)

    def add(self, split: str, beats: Beats) -> None:
        """Append unscaled beats to a split."""
        fields = beats.per_beat
        # Without labels the array is there and empty, so that each split has the same files.
        fields.setdefault("labels", np.empty(0, np.int8))
        for name in PER_BEAT:
            if name in fields:
                self._array(split, name).append(fields[name])

    def finish(self, scaler: Scaler, spread: Spread, beats: Beats) -> dict[str, float]:
        """Scale what was written, and describe it; `beats` is one part, to be described by.

        Returns the fraction of samples of each split beyond the range of the beats in `spread`.
        """
        outside = {}
        rows = max(1, BLOCK_SAMPLES // int(np.prod(beats.beats.shape[1:])))
        for split, arrays in self.arrays.items():
            for array in arrays.values():
                array.finish()
            counts: list[int] = []

            def scale(block: np.ndarray, counts: list[int] = counts) -> np.ndarray:
                counts.append(spread.n_outside(block))
                return scaler.transform(block)

            arrays["beats"].rewrite(scale, rows)
            n_samples = arrays["beats"].length * int(np.prod(beats.beats.shape[1:]))
            outside[split] = sum(counts) / n_samples
        self._json(SCALER, scaler.to_dict())
        self._json(
            DESCRIPTION,
            {
                "n_leads": beats.beats.shape[1],
                "n_samples": beats.beats.shape[2],
                "leads": list(beats.leads),
                "n_timing": beats.n_timing,
                "sampling_rate": beats.sampling_rate,
                "unit": beats.unit,
                "class_names": beats.class_names,
                "arrays": list(self.arrays["train"]),
            },
        )
        # All on disk before the first takes its place.
        for file in self.files:
            file.flush()
            os.fsync(file.fileno())
        return outside

    def add_stretches(self, stretches: Sequence[Stretch]) -> None:
        """Write stretches of records; none where the source has no records."""
        known = [{**vars(stretch), "ecg": len(stretch.ecg)} for stretch in stretches]
        self._json(STRETCHES, known)
        ecg = np.concatenate([np.empty(0, np.float32), *(stretch.ecg for stretch in stretches)])
        np.save(self._file(STRETCHES_ECG), ecg, allow_pickle=False)

    def _array(self, split: str, name: str) -> files.GrowingArray:
        if name not in self.arrays[split]:
            file_name = f"{name}_{split}.npy"
            file, path = self._file(file_name), self.folder / file_name
            self.arrays[split][name] = files.GrowingArray(file, path)
        return self.arrays[split][name]

    def _json(self, name: str, content: Any) -> None:
        self._file(name).write(files.json_bytes(content))

    def _file(self, name: str) -> IO[bytes]:
        self.outputs.append(name)
        self.files.append(self.stack.enter_context(files.written(self.folder / name)))
        return self.files[-1]


def load_split(folder: Path, split: str) -> Beats:
    """The beats of a split, scaled and memory-mapped; `unit` is that of the raw beats.

    Raises FileError.
    """
    description = load_description(folder)
    arrays: dict[str, Any] = {
        name: files.load_array(folder / f"{name}_{split}.npy") for name in description["arrays"]
    }
    if not len(arrays["labels"]):
        arrays["labels"] = None
    return Beats(
        **arrays,
        class_names=description["class_names"],
        sampling_rate=description["sampling_rate"],
        unit=description["unit"],
        leads=tuple(description["leads"]),
        n_timing=description["n_timing"],
    )


def load_stretches(folder: Path) -> list[Stretch]:
    """The stretches of records in that folder; none where the source has no records."""
    known = files.load_json(folder / STRETCHES)
    ecg = np.asarray(files.load_array(folder / STRETCHES_ECG))
    ends = np.cumsum([stretch["ecg"] for stretch in known], dtype=int)
    parts = [ecg[end - stretch["ecg"] : end] for stretch, end in zip(known, ends, strict=True)]
    return [Stretch(**{**stretch, "ecg": part}) for stretch, part in zip(known, parts, strict=True)]


def load_description(folder: Path) -> dict[str, Any]:
    """Shape, leads, sampling rate (Hz), unit and class names of the raw beats. Raises FileError."""
    return files.load_json(folder / DESCRIPTION)


def load_scaler(folder: Path) -> Scaler:
    """The scaler of the splits in that folder. Raises FileError."""
    return Scaler.from_dict(files.load_json(folder / SCALER))
