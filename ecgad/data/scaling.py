"""Scaling of beats, fitted on normal beats of the training split alone."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scaler:
    """scaled = (beat - offset) / scale; values outside the fitted range are not clipped.

    offset, scale: float64, (n_leads, n_samples) for a scaling of each sample position, or
    (n_leads, 1) for one of the whole beat, the same at all positions.
    """

    method: str
    offset: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, beats: np.ndarray, method: str, per: str) -> "Scaler":
        """Fit on beats (n_beats, n_leads, n_samples).

        method: `minmax` maps the range of the beats to [0, 1], `standard` their mean to 0 and
        standard deviation to 1. per: `position` or `lead`. What never varies is only shifted.
        """
        axes = _axes(per)
        if method == "minmax":
            offset = beats.min(axis=axes, keepdims=True)[0].astype(np.float64)
            scale = beats.max(axis=axes, keepdims=True)[0] - offset
        else:
            offset = beats.mean(axis=axes, keepdims=True, dtype=np.float64)[0]
            scale = beats.std(axis=axes, keepdims=True, dtype=np.float64)[0]
        # Equal values can leave a deviation of rounding size, relative to the amplitude.
        varies = scale > 1e-9 * np.maximum(np.abs(offset), np.finfo(np.float32).tiny)
        return cls(method, offset, np.where(varies, scale, 1.0))

    def transform(self, beats: np.ndarray) -> np.ndarray:
        """Scaled beats, float32, of the shape (n_beats, n_leads, n_samples) of `beats`."""
        return ((beats - self.offset) / self.scale).astype(np.float32)

    def inverse_transform(self, beats: np.ndarray) -> np.ndarray:
        """Beats in the source's unit again, float32."""
        return (beats * self.scale + self.offset).astype(np.float32)

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, for JSON."""
        return {
            "method": self.method,
            "offset": self.offset.tolist(),
            "scale": self.scale.tolist(),
        }

    @classmethod
    def from_dict(cls, numbers: dict[str, object]) -> "Scaler":
        """The scaler of `to_dict`."""
        return cls(
            str(numbers["method"]),
            np.asarray(numbers["offset"], np.float64),
            np.asarray(numbers["scale"], np.float64),
        )


def out_of_range(beats: np.ndarray, fitted: np.ndarray, per: str) -> float:
    """Fraction of the samples of `beats` beyond the range of `fitted`, the beats of the scaling.

    Both are (n_beats, n_leads, n_samples), in the same unit. per: `position` or `lead`, as for the
    scaling. Scaling keeps the order of values, so that scaled or not makes no difference.
    """
    low = fitted.min(axis=_axes(per), keepdims=True)
    high = fitted.max(axis=_axes(per), keepdims=True)
    return float(((beats < low) | (beats > high)).mean())


def _axes(per: str) -> tuple[int, ...]:
    return (0,) if per == "position" else (0, 2)
