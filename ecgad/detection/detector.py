"""A detector: all that turns a recording, or an array of beats, into scores and decisions.

What it scores with is a trained network (`ecgad.detection.trained`), or a file that needs no
PyTorch (`ecgad.detection.onnx`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgad.data.beats import BeatFormat
from ecgad.errors import ConfigError
from ecgad.scoring.levels import Levels
from ecgad.scoring.thresholds import Threshold

if TYPE_CHECKING:
    from ecgad.detection.trained import TrainedDetector
    from ecgad.processing.segmentation import Segments
    from ecgad.recordings.recording import Recording

ONNX = ".onnx"


class Detector(ABC):
    """Scores raw beats, float32 (n_beats, n_leads, n_samples), in the unit of the training data.

    Higher scores are more anomalous, as in PyOD and unlike in scikit-learn; labels are 1 for
    anomalous and 0 for normal. beat_format: leads, sampling rate and unit of the beats, and how
    they were cut out of recordings. threshold: with its provenance. usual_shares: of the errors by
    part, as `explained` gives them, in the middle of normal beats; None where not known. levels:
    what scores are made relative to in a record; None where they are of the beat alone. metadata:
    what its file says of how it was made.
    """

    beat_format: BeatFormat
    threshold: Threshold | None
    usual_shares: tuple[float, ...] | None = None
    levels: Levels | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> "Detector":
        """Read a detector from an ONNX file, from its own file, or from the run dir that holds it.

        device: where a network of PyTorch runs. Raises FileError where it is missing, malformed or
        names what this version lacks, and MismatchError where it is of another training than the
        run dir.
        """
        if Path(path).suffix.lower() == ONNX:
            from ecgad.detection.onnx import OnnxDetector

            return OnnxDetector.load(path, device)
        return _trained().load(path, device)

    @classmethod
    def fit(cls, *beats: Any, **settings: Any) -> "TrainedDetector":
        """Train a detector on beats, as `ecgad.detection.trained.TrainedDetector.fit` says."""
        return _trained().fit(*beats, **settings)

    @abstractmethod
    def scores(
        self,
        beats: np.ndarray,
        lengths: np.ndarray | None = None,
        times: np.ndarray | None = None,
        records: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return scores, float64 (n_beats,), higher = more anomalous: PyOD's `decision_function`.

        lengths: int, (n_beats,): how many samples are ECG where beats are padded with zeros. times:
        (n_beats,), in seconds from the start of the record, which a detector that adapts to the
        start of a record needs. records: (n_beats,), the record of each beat; None: all beats are
        of one, in time. Raises ValueError where the beats have another shape or `times` is lacking.
        """

    @abstractmethod
    def explained(
        self,
        beats: np.ndarray,
        lengths: np.ndarray | None = None,
        times: np.ndarray | None = None,
        records: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scores as `scores` does, and where in the beats the errors lie.

        That is float32 (n_beats, 3): the share of a beat's absolute reconstruction error before, at
        and after its QRS complex, as `ecgad.scoring.parts` bounds these.
        """

    @abstractmethod
    def of_beats_alone(
        self, beats: np.ndarray, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what `explained` does, before scores are made relative to a record."""

    def _relative(self, scores: np.ndarray, records: np.ndarray | None) -> np.ndarray:
        """Return scores, (n_beats,), relative to their record, where they are to be."""
        return scores if self.levels is None else self.levels.relative(scores, records)

    def decision_function(
        self,
        beats: np.ndarray,
        lengths: np.ndarray | None = None,
        times: np.ndarray | None = None,
        records: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return `scores`, under PyOD's name for them."""
        return self.scores(beats, lengths, times, records)

    def predict(
        self,
        beats: np.ndarray,
        lengths: np.ndarray | None = None,
        times: np.ndarray | None = None,
        records: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return labels, int8 (n_beats,): 1 anomalous, 0 normal; arguments as for `scores`."""
        assert self.threshold is not None
        return self.threshold.predict(self.scores(beats, lengths, times, records))

    def segment(self, recording: "Recording", peaks: np.ndarray) -> "Segments":
        """Cut the beats of a recording as those were cut that the detector was trained on.

        peaks: int, (n_peaks,), R peaks in samples of the recording, ascending. Raises ValueError
        where it was trained on beats of a table, FileError where a lead is lacking.
        """
        from ecgad.processing.segmentation import segment

        if self.beat_format.segmentation is None:
            raise ValueError(
                "this detector was trained on a table of beats and knows no way to cut them out of "
                "a recording"
            )
        return segment(recording, peaks, self.beat_format.segmentation)


def _trained() -> "type[TrainedDetector]":
    try:
        from ecgad.detection.trained import TrainedDetector
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is not installed, which this detector needs: "
            f"pip install 'ecgad[train]', or take a file of `ecgad export`"
        ) from None
    return TrainedDetector


def checked_beats(beats: np.ndarray, expected: tuple[int, int] | None) -> np.ndarray:
    """Return beats as float32. Raises ValueError unless they have that shape and are finite."""
    beats = np.asarray(beats, np.float32)
    if beats.ndim != 3 or (expected and beats.shape[1:] != expected):
        n_leads, n_samples = expected or ("n_leads", "n_samples")
        raise ValueError(
            f"beats of shape (n_beats, {n_leads}, {n_samples}) expected, got {beats.shape}"
        )
    if not np.isfinite(beats).all():
        raise ValueError("a sample of the beats is missing or not finite")
    return beats


def check_finite(scores: np.ndarray) -> None:
    """Raise ConfigError where a score (n_beats,) is no finite number."""
    if n := int((~np.isfinite(scores)).sum()):
        raise ConfigError(
            f"{n} of {len(scores)} scores are no finite numbers: the beats, or the weights "
            f"that training has come to, are too large to compute with"
        )
