"""Scaler, model, score and threshold as one thing, which scores raw beats anywhere."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ecgad.artifacts import files, runs
from ecgad.artifacts.runs import Checkpoint
from ecgad.data.scaling import Scaler
from ecgad.errors import FileError, MismatchError
from ecgad.models import Autoencoder, build_model
from ecgad.scoring import scorer as scoring
from ecgad.scoring import thresholds
from ecgad.scoring.scorer import Coreset, Scorer
from ecgad.scoring.thresholds import Threshold


class Detector:
    """Scores raw beats, float32 (n_beats, n_leads, n_samples), in the unit of the training data."""

    def __init__(
        self,
        scorer: Scorer,
        scaler: Scaler,
        threshold: Threshold,
        running_beats: int | None = None,
    ) -> None:
        """running_beats: as in `evaluation`; beats scored together are one record then, in time."""
        self.model = scorer.model
        self.scorer = scorer
        self.scaler = scaler
        self.threshold = threshold
        self.running_beats = running_beats

    @classmethod
    def load(cls, run_dir: str | Path, device: str = "cpu") -> "Detector":
        """The detector of an evaluated run.

        Raises FileError where the checkpoint or the threshold is missing or malformed, or names a
        component of the score that this version lacks, and
        MismatchError where the threshold was chosen for another checkpoint.
        """
        run_dir = Path(run_dir)
        path = run_dir / runs.BEST
        checkpoint = runs.load_checkpoint(path)
        stored = files.load_json(run_dir / runs.THRESHOLD)
        try:
            components, neighbours = dict(stored.pop("score")), stored.pop("neighbours")
            running_beats, digest = stored.pop("running_beats"), stored.pop("checkpoint_sha256")
            threshold = Threshold(**stored)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileError(f"{run_dir / runs.THRESHOLD} is malformed: {error}") from None
        if digest != files.sha256(path):
            raise MismatchError(
                f"{run_dir / runs.THRESHOLD} was chosen for another checkpoint than {path}; "
                f"run evaluate_model.py --overwrite"
            )
        model = restore_model(checkpoint, path).to(device)
        try:
            scaler = Scaler.from_dict(checkpoint.scaler)
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(f"{path} holds no scaling that can be read: {error}") from None
        scorer = restore_scorer(model, checkpoint, path, components, neighbours)
        return cls(scorer, scaler, threshold, running_beats)

    def scores(self, beats: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Scores, float64 (n_beats,), higher = more anomalous.

        lengths: int, (n_beats,): how many samples are ECG where beats are padded with zeros.
        """
        scores = self.scorer.scores(self._scaled(beats), lengths)
        if self.running_beats is None:
            return scores
        return thresholds.relative_to_record(scores, None, self.running_beats)

    def predict(self, beats: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Labels, int8 (n_beats,): 1 anomalous, 0 normal."""
        return self.threshold.predict(self.scores(beats, lengths))

    def adapted(self, beats: np.ndarray, lengths: np.ndarray | None = None) -> "Detector":
        """This detector for the patient whose unlabelled beats these are, such as five minutes.

        `evaluation.adaptation_minutes` chooses a threshold for such a detector. Raises ConfigError
        where the score is a reconstruction error alone.
        """
        scorer = self.scorer.adapted(self._scaled(beats), lengths)
        return Detector(scorer, self.scaler, self.threshold, self.running_beats)

    def reconstruct(self, beats: np.ndarray) -> np.ndarray:
        """What the model makes of the beats, float32, in their own unit and shape."""
        return self.scaler.inverse_transform(scoring.reconstruct(self.model, self._scaled(beats)))

    def _scaled(self, beats: np.ndarray) -> np.ndarray:
        beats = np.asarray(beats, np.float32)
        expected = (self.model.n_leads, self.model.n_samples)
        if beats.ndim != 3 or beats.shape[1:] != expected:
            raise ValueError(
                f"beats of shape (n_beats, {expected[0]}, {expected[1]}) expected, "
                f"got {beats.shape}"
            )
        if not np.isfinite(beats).all():
            raise ValueError("a sample of the beats is missing or not finite")
        return self.scaler.transform(beats)


def restore_scorer(
    model: Autoencoder,
    checkpoint: Checkpoint,
    path: Path,
    components: Mapping[str, float],
    neighbours: int,
) -> Scorer:
    """The score of these components, from a checkpoint alone.

    Raises FileError where the checkpoint lacks what they need, or this version of ecgad does, and
    ConfigError where the beats or the coreset do not allow them.
    """
    try:
        coreset = None if checkpoint.coreset is None else Coreset.from_dict(checkpoint.coreset)
        leads, n_timing = checkpoint.beats["leads"], checkpoint.beats["n_timing"]
        timing = leads[len(leads) - n_timing :]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(f"{path} holds no coreset that can be read: {error}") from None
    return Scorer(model, components, coreset, neighbours, timing)


def restore_model(checkpoint: Checkpoint, path: Path) -> Autoencoder:
    """The trained model of a checkpoint. Raises FileError where its parts do not fit."""
    try:
        model = build_model(**checkpoint.model)
        model.load_state_dict(checkpoint.weights)
    except (RuntimeError, TypeError, KeyError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise FileError(f"{path} holds no model that fits its description: {reason}") from None
    return model.eval()
