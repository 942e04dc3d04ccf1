"""A detector at work on a recording as it comes: leads in, judged beats out."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from ecgad.detection.detector import Detector
from ecgad.errors import ConfigError
from ecgad.processing.causal.beats import KEPT, REASONS
from ecgad.processing.causal.segmenter import Piece, Segmenter
from ecgad.scoring.levels import RecordLevel

NOT_JUDGED = -1
LEFT_OUT = (KEPT, *REASONS)


@dataclass(frozen=True)
class JudgedBeats:
    """Beats of a recording, in time.

    samples: int64, (n_beats,), R peaks in samples of the recording. rr, usual_rr: float32,
    (n_beats,), the interval before a beat and the one that is usual for the patient, in seconds;
    NaN where there is none. scores: float64, (n_beats,), NaN where a beat could not be judged.
    verdicts: int8, (n_beats,), 1 anomalous, 0 normal, NOT_JUDGED. shares: float32, (n_beats, 3), of
    the error by the part of the beat. evidence: float32, (n_beats, n_evidence), as
    `ecgad.processing.evidence` has it, where the detector looks at it; NaN where a beat could not
    be judged. left_out: int8, (n_beats,), why that is, as an index of LEFT_OUT.
    """

    samples: np.ndarray
    rr: np.ndarray
    usual_rr: np.ndarray
    scores: np.ndarray
    verdicts: np.ndarray
    shares: np.ndarray
    evidence: np.ndarray
    left_out: np.ndarray

    def __len__(self) -> int:
        return len(self.samples)

    @classmethod
    def concatenate(cls, parts: "list[JudgedBeats]") -> Self:
        """Join what came one after the other."""
        return cls(
            *(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(cls))
        )

    def __getitem__(self, some: slice) -> Self:
        """Return some of the beats."""
        return type(self)(*(getattr(self, field.name)[some] for field in fields(self)))

    def shifted(self, n_samples: int) -> Self:
        """Return the same beats, so many samples later."""
        return replace(self, samples=self.samples + n_samples)


class LiveDetector:
    """Judges the beats of a recording, a stretch at a time; chunks make no difference, but for the
    last digits of scores.

    chosen: which leads the beats are cut out of; R peaks are found in all. peaks: int64,
    (n_peaks,), ascending, where they are known already. Raises ConfigError where the detector is
    of another kind, or its filter does not suit the sampling rate, in Hz.
    """

    def __init__(
        self,
        detector: Detector,
        n_leads: int,
        chosen: list[int],
        sampling_rate: float,
        peaks: np.ndarray | None = None,
    ) -> None:
        check_causal(detector)
        settings = detector.beat_format.segmentation
        assert settings is not None
        self.detector = detector
        self._segmenter = Segmenter(settings, n_leads, chosen, sampling_rate, peaks)
        self._level = None if detector.levels is None else RecordLevel(detector.levels)

    def push(self, leads: np.ndarray) -> tuple[JudgedBeats, list[tuple[int, int]]]:
        """Take the next samples, float64 (n_leads, n), NaN where one is missing.

        Returns the beats that are final, and the unreadable stretches [start, stop), in samples,
        that have ended.
        """
        return self._judged(self._segmenter.push(leads))

    def finish(self) -> tuple[JudgedBeats, list[tuple[int, int]]]:
        """Return what is left at the end of the recording."""
        return self._judged(self._segmenter.finish())

    def _judged(self, piece: Piece) -> tuple[JudgedBeats, list[tuple[int, int]]]:
        beats, kept = piece.beats, piece.beats.kept
        n_beats = len(kept)
        scores = np.full(n_beats, np.nan)
        shares = np.full((n_beats, 3), np.nan, np.float32)
        known = self.detector.beat_format
        evidence = np.full((n_beats, len(known.evidence)), np.nan, np.float32)
        verdicts = np.full(n_beats, NOT_JUDGED, np.int8)
        if kept.any():
            evidence[kept] = beats.waveforms[:, known.n_seen :, 0]
            of_beats, shares[kept] = self.detector.of_beats_alone(beats.waveforms)
            scores[kept] = of_beats if self._level is None else self._level.relative(of_beats)
            assert self.detector.threshold is not None
            verdicts[kept] = self.detector.threshold.predict(scores[kept])
        judged = JudgedBeats(
            samples=beats.samples,
            rr=beats.rr[:, 0],
            usual_rr=beats.usual_rr,
            scores=scores,
            verdicts=verdicts,
            shares=shares,
            evidence=evidence,
            left_out=np.array([LEFT_OUT.index(why) for why in beats.left_out.tolist()], np.int8),
        )
        return judged, piece.unreadable


def check_causal(detector: Detector) -> None:
    """Raise ConfigError where a detector is not one for whole recordings as they come."""
    settings = detector.beat_format.segmentation
    if settings is None:
        raise ConfigError(
            "this detector was trained on a table of beats, and knows no way to cut them out of a "
            "recording; take one that was trained on recordings"
        )
    if not settings.causal:
        raise ConfigError(
            "this detector was trained on beats that are cut with a view of the whole record; "
            "train one with causal: true in the section of its source, as configs/recordings.yaml "
            "does"
        )
    if getattr(detector, "adaptation_minutes", None):
        raise ConfigError(
            "this detector was evaluated with evaluation.adaptation_minutes, which recordings are "
            "not judged by; evaluate again without it"
        )
