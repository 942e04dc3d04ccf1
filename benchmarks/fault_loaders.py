"""The functions that read files of ecgad, each called as from Python."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ecgad.artifacts import checkpoint, files, manifest, processed, runs
from ecgad.data.splits import SPLITS
from ecgad.detection.trained import TrainedDetector
from ecgad.errors import UserError

Loader = Callable[[Path], None]


def guarded(load: Loader, target: str) -> int:
    """Load the file; a UserError, which is what may be raised, ends as a script would."""
    try:
        load(Path(target))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _array(path: Path) -> None:
    if path.parent.name == "run":
        runs.load_codes(path.parent)
        runs.load_examples(path.parent)
        return
    for split in SPLITS:
        beats = processed.load_split(path.parent, split)
        assert len(np.asarray(beats.waveforms)) == len(beats)
    processed.load_strips(path.parent)


def _json(path: Path) -> None:
    match path.name:
        case processed.SCALER:
            processed.load_scaler(path.parent)
        case runs.EXAMPLES:
            runs.load_examples(path.parent)
        case runs.METRICS | runs.THRESHOLD:
            files.load_json(path)
        case _:
            _array(path)


def _checkpoint(path: Path) -> None:
    checkpoint.restore_model(checkpoint.load_checkpoint(path))


def _detector(path: Path) -> None:
    detector = TrainedDetector.load(path.parent)
    rng = np.random.default_rng(0)
    beats = rng.normal(size=(3, detector.model.n_leads, detector.model.n_samples))
    scores = detector.scores(beats.astype(np.float32))
    assert detector.threshold is not None
    # A detector that flags nothing for want of numbers would be worse than none.
    if not np.isfinite([*scores, detector.threshold.value]).all():
        raise AssertionError("scores or threshold of a detector are not finite")


LOADERS: dict[str, Loader] = {
    **dict.fromkeys(("beats", "labels", "symbols", "rows", "records", "patients"), _array),
    **dict.fromkeys(("samples", "times", "annotations", "rr", "lengths", "strips.npy"), _array),
    **dict.fromkeys(("scores", "baselines", "codes", "encoded", "reconstructions.npy"), _array),
    **dict.fromkeys(("scaler.json", "beats.json", "strips.json"), _json),
    **dict.fromkeys(("metrics.json", "threshold.json", "examples.json"), _json),
    "manifest.json": lambda path: print(manifest.load(path.parent), file=sys.stderr),
    "history.csv": lambda path: print(runs.load_history(path.parent), file=sys.stderr),
    "checkpoint": _checkpoint,
    "detector.pt": _detector,
}
