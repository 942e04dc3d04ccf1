"""A detector that has its network at hand: trained here, or read from the file of a run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from ecgad.artifacts import files, runs
from ecgad.artifacts.checkpoint import Checkpoint, restore_model
from ecgad.artifacts.tensors import load_tensors, save_tensors
from ecgad.config.data import ScalingConfig
from ecgad.config.evaluation import EvaluationConfig
from ecgad.config.loading import validated
from ecgad.config.model import ModelConfig
from ecgad.config.training import TrainingConfig
from ecgad.data.beats import BeatFormat, Beats
from ecgad.data.scaling import Scaler
from ecgad.detection.detector import Detector, check_finite, checked_beats
from ecgad.errors import ConfigError, FileError, MismatchError
from ecgad.models import build_model
from ecgad.runtime.devices import pick_device, prepare
from ecgad.scoring import inference
from ecgad.scoring.by_record import adapted_scores, sharded_scores
from ecgad.scoring.levels import Levels
from ecgad.scoring.parts import part_bounds
from ecgad.scoring.reference_beats import ReferenceBeats, choose_reference_beats
from ecgad.scoring.scorer import Scorer
from ecgad.scoring.thresholds import Threshold, choose_threshold
from ecgad.training.fit import fit as train_epochs

FORMAT = 1
# Normal beats that tell where errors usually lie.
MOST_EXPLAINED = 2000
AGAIN = "evaluate again with evaluate_model.py --overwrite"

Settings = Mapping[str, Any]


class TrainedDetector(Detector):
    """Scores raw beats by a network of PyTorch, alone or as an ensemble.

    adaptation_minutes: as in `evaluation`; the threshold was chosen for scores that are made so.
    origin: what the detector was made by, as plain values.
    """

    def __init__(
        self,
        scorer: Scorer,
        scaler: Scaler,
        beat_format: BeatFormat,
        threshold: Threshold | None = None,
        adaptation_minutes: float | None = None,
        levels: Levels | None = None,
        origin: Settings | None = None,
    ) -> None:
        self.scorer = scorer
        self.scaler = scaler
        self.beat_format = beat_format
        self.threshold = threshold
        self.adaptation_minutes = adaptation_minutes
        self.levels = levels
        self.origin = dict(origin or {})
        self.model = scorer.model

    @classmethod
    def of_checkpoint(
        cls, checkpoint: Checkpoint, evaluation: EvaluationConfig, device: str = "cpu"
    ) -> Self:
        """Make the detector of a trained model, which lacks a threshold.

        Raises FileError where the checkpoint lacks what the score needs, and ConfigError where the
        beats do not allow it.
        """
        model = restore_model(checkpoint).to(pick_device(device))
        try:
            scaler = Scaler.from_dict(checkpoint.scaler)
            beat_format = BeatFormat.from_dict(checkpoint.beat_format)
            known = checkpoint.reference
            reference = None if known is None else ReferenceBeats.from_dict(known)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileError(f"{checkpoint.path} cannot be read whole: {error}") from None
        scorer = Scorer(
            model,
            evaluation.components,
            reference,
            evaluation.neighbours,
            beat_format.timing,
            evidence=beat_format.evidence,
        )
        origin = {"checkpoint_sha256": files.sha256(checkpoint.path), **checkpoint.settings}
        return cls(scorer, scaler, beat_format, None, evaluation.adaptation_minutes, None, origin)

    @classmethod
    def fit(
        cls,
        beats: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        lengths: np.ndarray | None = None,
        beat_format: BeatFormat | None = None,
        scaling: Settings | None = None,
        model: Settings | None = None,
        training: Settings | None = None,
        evaluation: Settings | None = None,
        validation: float = 0.2,
        seed: int = 0,
        device: str = "cpu",
    ) -> Self:
        """Train a detector on beats, float32 (n_beats, n_leads, n_samples), without any file.

        labels: (n_beats,), 0 normal, 1 anomalous; None: all are taken for normal, and
        `training={"contamination": 0.05}` says that a twentieth may not be. Anomalous beats are not
        learned from; they help to choose a threshold whose method needs labels. lengths: int,
        (n_beats,), samples before padding. beat_format: what is known of the beats besides.
        scaling, model, training, evaluation: settings as in the sections of a config file, such as
        `model={"kind": "cnn"}`. validation: the share of the beats, drawn at random, that tells the
        best epoch and the threshold. Without `scaling` it is standard, which learns faster than the
        minmax of config files. Returns a new detector. Raises ValueError, in one line, where the
        beats, the labels or the settings cannot be used.
        """
        beats = checked_beats(beats, None)
        if labels is not None:
            labels = _checked_labels(labels, len(beats))
        if not 0 < validation < 1:
            raise ValueError(f"validation: a share between 0 and 1 is needed, not {validation}")
        settings = (
            validated(ScalingConfig, scaling or {"method": "standard"}, "scaling."),
            validated(ModelConfig, model or {}, "model."),
            validated(TrainingConfig, training or {}, "training."),
            validated(EvaluationConfig, evaluation or {}, "evaluation."),
        )
        scaled_by, network, learned_by, judged_by = settings
        if judged_by.adaptation_minutes or judged_by.record_level:
            raise ConfigError(
                "evaluation.adaptation_minutes and record_level need beats of whole records; "
                "train by the scripts, or leave them out"
            )
        known = Beats(
            waveforms=beats,
            symbols=np.full(len(beats), ""),
            labels=labels,
            rows=np.arange(len(beats)),
            lengths=None if lengths is None else np.asarray(lengths, np.int32),
            format=beat_format or BeatFormat(tuple(f"lead {i + 1}" for i in range(beats.shape[1]))),
        )
        train, held_out = _divide(known, validation, seed)
        scaler = Scaler.fit(
            train.waveforms[train.normals],
            scaled_by.method,
            scaled_by.per,
            len(known.format.evidence),
        )
        train, held_out = (scaler.scaled(part) for part in (train, held_out))
        where = pick_device(device)
        prepare(where, seed)
        _, n_leads, n_samples = train.seen.shape
        built = build_model(
            network.kind, n_leads, n_samples, network.parameters, learned_by.members
        ).to(where)
        normals, judged = (
            torch.from_numpy(part.seen[part.normals]).to(where) for part in (train, held_out)
        )
        for state in train_epochs(built, normals, judged, learned_by, seed):
            best = state.best_weights
        built.load_state_dict(best)
        reference = choose_reference_beats(built, train, learned_by, seed)
        scorer = Scorer(
            built,
            judged_by.components,
            reference,
            judged_by.neighbours,
            known.format.timing,
            evidence=known.format.evidence,
        )
        detector = cls(scorer, scaler, known.format, origin={"seed": seed})
        scores = [detector.score_split(part) for part in (train, held_out)]
        detector.calibrate(judged_by, scores[0][train.normals], held_out, scores[1])
        return detector

    def calibrate(
        self,
        config: EvaluationConfig,
        train_scores: np.ndarray,
        held_out: Beats,
        held_out_scores: np.ndarray,
    ) -> None:
        """Choose the threshold, and note where the errors of normal beats lie.

        train_scores: of the normal training beats. held_out: scaled beats with their scores.
        Raises ConfigError as `choose_threshold` does.
        """
        labels, known = held_out.labels, self.beat_format
        self.threshold = choose_threshold(
            config, train_scores, held_out_scores, labels, held_out.patients
        )
        normals = held_out.normals
        some = held_out.take(normals[:: max(1, len(normals) // MOST_EXPLAINED)])
        bounds = part_bounds(known, self.model.n_samples)
        shares = inference.error_shares(
            self.model, some.waveforms, some.lengths, len(known.timing), bounds
        )
        self.usual_shares = tuple(np.median(shares, axis=0).tolist())

    def scores(
        self,
        beats: np.ndarray,
        lengths: np.ndarray | None = None,
        times: np.ndarray | None = None,
        records: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return scores, as `Detector` says."""
        scaled = self._scaled(beats)
        return self._relative(self._scores(scaled, lengths, times, records, adapt=True), records)

    def explained(
        self,
        beats: np.ndarray,
        lengths: np.ndarray | None = None,
        times: np.ndarray | None = None,
        records: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scores, and where the errors lie, as `Detector` says."""
        scaled = self._scaled(beats)
        scores = self._scores(scaled, lengths, times, records, adapt=True)
        return self._relative(scores, records), self._shares(scaled, lengths)

    def of_beats_alone(
        self, beats: np.ndarray, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and where the errors lie, as `Detector` says."""
        scaled = self._scaled(beats)
        scores = self._scores(scaled, lengths, None, None, adapt=False)
        return scores, self._shares(scaled, lengths)

    def _shares(self, scaled: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
        known = self.beat_format
        bounds = part_bounds(known, self.model.n_samples)
        return inference.error_shares(self.model, scaled, lengths, len(known.timing), bounds)

    def score_split(self, beats: Beats, adapt: bool = True) -> np.ndarray:
        """Return scores, float64 (n_beats,), of beats that are scaled already.

        adapt: whether to adapt to records, where the detector does so. They are of the beats alone:
        `follow_records` makes them relative. The ranks share the work. Raises ConfigError where the
        beats are of no records, which that needs.
        """
        if adapt and self.adaptation_minutes and (beats.times is None or beats.records is None):
            raise ConfigError(
                "evaluation.adaptation_minutes: these beats are of no records; leave it out"
            )
        return self._scores(beats.waveforms, beats.lengths, beats.times, beats.records, adapt)

    def follow_records(
        self, power: float, scores: Mapping[str, np.ndarray], splits: Mapping[str, Beats]
    ) -> dict[str, np.ndarray]:
        """Make scores relative to their records from now on, and return these scores so.

        power: as in `Levels`; 0: nothing is done. scores: by split, of all of its beats. Raises
        ConfigError where the beats are of no records.
        """
        if power and splits["train"].records is None:
            raise ConfigError(
                "evaluation.record_level: these beats are of no records; leave it out"
            )
        if power:
            normals = splits["train"].normals
            self.levels = Levels.of_normals(power, scores["train"][normals])
        return {name: self._relative(of, splits[name].records) for name, of in scores.items()}

    def _scaled(self, beats: np.ndarray) -> np.ndarray:
        n_evidence = len(self.beat_format.evidence)
        expected = (self.model.n_leads + n_evidence, self.model.n_samples)
        return self.scaler.transform(checked_beats(beats, expected))

    def _scores(
        self,
        scaled: np.ndarray,
        lengths: np.ndarray | None,
        times: np.ndarray | None,
        records: np.ndarray | None,
        adapt: bool,
    ) -> np.ndarray:
        if adapt and self.adaptation_minutes is not None:
            if times is None:
                raise ValueError(
                    f"this detector adapts to the first {self.adaptation_minutes:g} minutes of a "
                    f"record, and its threshold was chosen so: give times, in seconds from the "
                    f"record's start, of each beat"
                )
            of_one = np.zeros(len(scaled), int) if records is None else records
            minutes = self.adaptation_minutes
            scores = adapted_scores(self.scorer, scaled, lengths, of_one, times, minutes)
        else:
            scores = sharded_scores(self.scorer, scaled, lengths)
        check_finite(scores)
        return scores

    def adapted(self, beats: np.ndarray, lengths: np.ndarray | None = None) -> "TrainedDetector":
        """Return this detector for the patient whose unlabelled beats these are, such as five
        minutes; it adapts to no record any more.

        `evaluation.adaptation_minutes` chooses a threshold for such a detector. Raises ConfigError
        where the score is a reconstruction error alone.
        """
        scaled = self._scaled(beats)
        scorer = self.scorer.adapted(scaled, lengths)
        parts = (scorer, self.scaler, self.beat_format, self.threshold)
        adapted = TrainedDetector(*parts, None, self.levels, self.origin)
        adapted.usual_shares = self.usual_shares
        return adapted

    def reconstruct(self, beats: np.ndarray) -> np.ndarray:
        """Return what the model makes of the beats, float32, in their own unit and shape; without
        evidence, which it does not see.
        """
        scaled = self._scaled(beats)
        return self.scaler.inverse_transform(inference.reconstruct(self.model, scaled))

    def save(self, path: str | Path) -> None:
        """Write the whole detector into one file."""
        scorer, threshold = self.scorer, self.threshold
        assert threshold is not None
        save_tensors(
            Path(path),
            {
                "format": FORMAT,
                "model": self.model.description,
                "weights": {name: w.cpu() for name, w in self.model.state_dict().items()},
                "scaler": self.scaler.to_dict(),
                "beat_format": self.beat_format.to_dict(),
                "score": {
                    "components": scorer.components,
                    "neighbours": scorer.neighbours,
                    "reference": scorer.reference and scorer.reference.to_dict(),
                    "fitted": _converted(scorer.fitted, torch.from_numpy),
                },
                "threshold": vars(threshold),
                "usual_shares": self.usual_shares and list(self.usual_shares),
                "adaptation_minutes": self.adaptation_minutes,
                "levels": self.levels and vars(self.levels),
                "origin": self.origin,
            },
        )

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Self:
        """Read a detector from its file, or from the run dir that holds it.

        Raises FileError where it is missing, malformed or names what this version lacks, and
        MismatchError where it is of another training than the run dir.
        """
        path = Path(path)
        run_dir = path if path.is_dir() else None
        if run_dir is not None:
            path = run_dir / runs.DETECTOR
        if not path.exists():
            raise FileError(f"no detector {path}; evaluate_model.py leaves one in its run dir")
        content = load_tensors(path, "detector", FORMAT, AGAIN)
        try:
            model = build_model(**content["model"])
            model.load_state_dict(content["weights"])
            score, beat_format = content["score"], BeatFormat.from_dict(content["beat_format"])
            reference = score["reference"] and ReferenceBeats.from_dict(score["reference"])
            fitted = _converted(score["fitted"], torch.Tensor.numpy)
            scorer = Scorer(
                model.eval().to(pick_device(device)),
                score["components"],
                reference,
                score["neighbours"],
                beat_format.timing,
                fitted,
                beat_format.evidence,
            )
            detector = cls(
                scorer,
                Scaler.from_dict(content["scaler"]),
                beat_format,
                Threshold(**content["threshold"]),
                content["adaptation_minutes"],
                None,
                content["origin"],
            )
            # What an earlier version wrote has neither.
            if known := content.get("levels"):
                detector.levels = Levels(float(known["power"]), float(known["usual"]))
            usual = content.get("usual_shares")
            detector.usual_shares = usual and tuple(map(float, usual))
        except (FileError, ConfigError):
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise FileError(f"{path} is no whole detector ({reason}); {AGAIN}") from None
        if run_dir is not None:
            detector.check_origin(run_dir)
        return detector

    def threshold_json(self) -> dict[str, Any]:
        """Return `threshold.json`: the threshold, of which score, and of which checkpoint."""
        return {
            **vars(self.threshold),
            "score": self.scorer.components,
            "neighbours": self.scorer.neighbours,
            "adaptation_minutes": self.adaptation_minutes,
            "levels": self.levels and vars(self.levels),
            "checkpoint_sha256": self.origin.get("checkpoint_sha256"),
        }

    def check_origin(self, run_dir: Path) -> None:
        """Raise MismatchError where the run dir was trained again since it got this detector."""
        path, digest = run_dir / runs.BEST, self.origin.get("checkpoint_sha256")
        if digest is not None and path.exists() and files.sha256(path) != digest:
            raise MismatchError(
                f"{run_dir / runs.DETECTOR} is of another training than {path}; run "
                f"evaluate_model.py --overwrite"
            )


def _converted(fitted: Any, convert: Callable[[Any], Any]) -> list[dict[str, dict[str, Any]]]:
    """Return what was fitted, with every array made a tensor, or the other way round."""
    return [
        {name: {key: convert(value) for key, value in of.items()} for name, of in member.items()}
        for member in fitted
    ]


def _checked_labels(labels: np.ndarray, n_beats: int) -> np.ndarray:
    """Return labels as int8. Raises ValueError unless there is a 0 or a 1 for each beat."""
    labels = np.asarray(labels)
    if labels.shape != (n_beats,) or not np.isin(labels, (0, 1)).all():
        found = ", ".join(map(str, np.unique(labels)[:5].tolist()))
        raise ValueError(
            f"labels: 0 (normal) or 1 (anomalous) for each of the {n_beats} beats expected, got an "
            f"array of shape {labels.shape} with {found}"
        )
    return labels.astype(np.int8)


def _divide(beats: Beats, validation: float, seed: int) -> tuple[Beats, Beats]:
    """Hold out a share of the beats of each label. Raises ValueError where none is left."""
    labels = np.zeros(len(beats), np.int8) if beats.labels is None else beats.labels
    order = np.random.default_rng(seed).permutation(len(beats))
    held_out = np.zeros(len(beats), bool)
    for label in np.unique(labels):
        of_label = order[labels[order] == label]
        held_out[of_label[: round(validation * len(of_label))]] = True
    parts = beats.take(np.flatnonzero(~held_out)), beats.take(np.flatnonzero(held_out))
    if not all(len(part.normals) for part in parts):
        raise ValueError(f"{len(beats)} beats are too few to train on and to hold some out")
    return parts
