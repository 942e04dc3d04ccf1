"""Scaling of beats, fitted on normal beats of the training split alone."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ecgad.data.beats import Beats


@dataclass(frozen=True)
class Scaler:
    """scaled = (beat - offset) / scale; values outside the fitted range are not clipped.

    offset, scale: float64, (n_leads, n_samples) for a scaling of each sample position, (n_leads, 1)
    for one of each lead, the same at all positions, or (1, 1) for one of all leads. Evidence is
    left as it is: its leads have the offset 0 and the scale 1.
    """

    method: str
    offset: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, beats: np.ndarray, method: str, per: str, n_evidence: int = 0) -> "Scaler":
        """Fit on beats (n_beats, n_leads, n_samples), as `RunningStatistics` does on parts."""
        return RunningStatistics(per).add(beats, n_evidence).scaler(method)

    def transform(self, beats: np.ndarray) -> np.ndarray:
        """Return scaled beats, float32, of the shape (n_beats, n_leads, n_samples) of `beats`."""
        with np.errstate(over="ignore"):  # becomes infinite, as it should
            return ((beats - self.offset) / self.scale).astype(np.float32)

    def scaled(self, beats: Beats) -> Beats:
        """Return the beats, their waveforms scaled."""
        return replace(beats, waveforms=self.transform(beats.waveforms))

    def unscaled(self, beats: Beats) -> Beats:
        """Return scaled beats in the source's unit again."""
        return replace(beats, waveforms=self.inverse_transform(beats.waveforms))

    def inverse_transform(self, beats: np.ndarray) -> np.ndarray:
        """Return beats in the source's unit again, float32."""
        # What a network makes has the leads that it has seen.
        n_leads = beats.shape[1]
        return (beats * self.scale[:n_leads] + self.offset[:n_leads]).astype(np.float32)

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers, for JSON."""
        return {
            "method": self.method,
            "offset": self.offset.tolist(),
            "scale": self.scale.tolist(),
        }

    @classmethod
    def from_dict(cls, numbers: dict[str, object]) -> "Scaler":
        """Return the scaler of `to_dict`."""
        return cls(
            str(numbers["method"]),
            np.asarray(numbers["offset"], np.float64),
            np.asarray(numbers["scale"], np.float64),
        )


class RunningStatistics:
    """Range, mean and variance of beats that come in parts.

    per: `position` keeps numbers for each sample position, `lead` one for all samples of a lead,
    `all` one for all samples of all leads.
    """

    def __init__(self, per: str) -> None:
        self.axes = {"position": (0,), "lead": (0, 2), "all": (0, 1, 2)}[per]
        self.n = 0
        self.n_seen, self.n_evidence = 0, 0
        self.low = np.array(np.inf)
        self.high = np.array(-np.inf)
        self.mean = np.array(0.0)
        self.squares = np.array(0.0)  # sum of squared differences from the mean

    def add(self, beats: np.ndarray, n_evidence: int = 0) -> Self:
        """Take in beats (n_beats, n_leads, n_samples); parts are merged as in Chan et al. 1983.

        n_evidence: how many of the last leads are evidence, which does not count.
        """
        if not len(beats):
            return self
        self.n_evidence, self.n_seen = n_evidence, beats.shape[1] - n_evidence
        beats = beats[:, : self.n_seen]
        self.low = np.minimum(self.low, beats.min(axis=self.axes, keepdims=True)[0])
        self.high = np.maximum(self.high, beats.max(axis=self.axes, keepdims=True)[0])
        n = int(np.prod([beats.shape[axis] for axis in self.axes]))
        mean = beats.mean(axis=self.axes, keepdims=True, dtype=np.float64)[0]
        variance = beats.var(axis=self.axes, keepdims=True, dtype=np.float64)[0]
        apart = mean - self.mean
        total = self.n + n
        self.squares = self.squares + n * variance + apart**2 * (self.n * n / total)
        self.mean = self.mean + apart * (n / total)
        self.n = total
        return self

    def scaler(self, method: str) -> Scaler:
        """Return the scaler of these beats.

        method: `minmax` maps their range to [0, 1], `standard` their mean to 0 and standard
        deviation to 1. What never varies is only shifted.
        """
        if method == "minmax":
            offset, scale = self.low, self.high - self.low
        else:
            offset, scale = self.mean, np.sqrt(self.squares / self.n)
        # Equal values can leave a deviation of rounding size, relative to the amplitude.
        varies = scale > 1e-9 * np.maximum(np.abs(offset), np.finfo(np.float32).tiny)
        scale = np.where(varies, scale, 1.0)
        if self.n_evidence:
            offset, scale = (
                np.concatenate(
                    [
                        np.broadcast_to(of_seen, (self.n_seen, of_seen.shape[1])),
                        np.full((self.n_evidence, of_seen.shape[1]), neutral),
                    ]
                )
                for of_seen, neutral in ((offset, 0.0), (scale, 1.0))
            )
        return Scaler(method, offset, scale)

    def n_outside(self, beats: np.ndarray) -> int:
        """Count the samples of beats (n_beats, n_leads, n_samples) beyond the range."""
        seen = beats[:, : self.n_seen]
        return int(((seen < self.low) | (seen > self.high)).sum())
