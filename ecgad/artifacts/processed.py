"""`data.processed_dir`: the scaled splits, the scaler, and what is known of the beats.

Of each split there are `beats_<split>.npy` (float32, (n_beats, n_leads, n_samples)),
`labels_<split>.npy` (int8, 1 = anomalous, 0 = normal; of length 0 without labels),
`symbols_<split>.npy` (the source's own classes) and `rows_<split>.npy` (where the source has the
beat); the first axis is the beat in all of them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ecgad.artifacts import files
from ecgad.data.beats import Beats
from ecgad.data.scaling import Scaler
from ecgad.data.splits import SPLITS

ARRAYS = ("beats", "labels", "symbols", "rows")
SCALER = "scaler.json"
DESCRIPTION = "beats.json"
OUTPUTS = [f"{array}_{split}.npy" for split in SPLITS for array in ARRAYS] + [SCALER, DESCRIPTION]


def save_splits(folder: Path, beats: Beats, splits: dict[str, np.ndarray], scaler: Scaler) -> None:
    """Write the scaled beats of each split, what identifies them, the scaler and a description."""
    for split, places in splits.items():
        part = beats.take(places)
        files.save_array(folder / f"beats_{split}.npy", scaler.transform(part.beats))
        # Without labels the array is there and empty, so that each split has the same files.
        labels = np.empty(0, np.int8) if part.labels is None else part.labels
        files.save_array(folder / f"labels_{split}.npy", labels)
        files.save_array(folder / f"symbols_{split}.npy", part.symbols)
        files.save_array(folder / f"rows_{split}.npy", part.rows)
    files.save_json(folder / SCALER, scaler.to_dict())
    files.save_json(
        folder / DESCRIPTION,
        {
            "n_leads": beats.beats.shape[1],
            "n_samples": beats.beats.shape[2],
            "leads": list(beats.leads),
            "sampling_rate": beats.sampling_rate,
            "unit": beats.unit,
            "class_names": beats.class_names,
        },
    )


def load_split(folder: Path, split: str) -> Beats:
    """The beats of a split, scaled and memory-mapped; `unit` is that of the raw beats.

    Raises FileError.
    """
    arrays = {name: files.load_array(folder / f"{name}_{split}.npy") for name in ARRAYS}
    description = load_description(folder)
    return Beats(
        beats=arrays["beats"],
        symbols=arrays["symbols"],
        labels=arrays["labels"] if len(arrays["labels"]) else None,
        rows=arrays["rows"],
        class_names=description["class_names"],
        sampling_rate=description["sampling_rate"],
        unit=description["unit"],
        leads=tuple(description["leads"]),
    )


def load_description(folder: Path) -> dict[str, Any]:
    """Shape, leads, sampling rate (Hz), unit and class names of the raw beats. Raises FileError."""
    return files.load_json(folder / DESCRIPTION)


def load_scaler(folder: Path) -> Scaler:
    """The scaler of the splits in that folder. Raises FileError."""
    return Scaler.from_dict(files.load_json(folder / SCALER))
