"""Beats: what every source gives and every later stage takes."""

from dataclasses import dataclass, field

import numpy as np

NORMAL, ANOMALOUS = 0, 1


@dataclass(frozen=True)
class Beats:
    """Beats of one source, with what is known of each.

    beats: float32, (n_beats, n_leads, n_samples), in `unit`.
    symbols: str, (n_beats,): the class in the source's own words.
    labels: int8, (n_beats,): 1 anomalous, 0 normal; None where the source has no labels.
    rows: int64, (n_beats,): where the source has the beat, counted from 0.
    in_test: bool, (n_beats,): the source's own test set; None where it has none.
    class_names: what a symbol means, where the source says so.
    sampling_rate: in Hz; None where a beat has no time axis of its own.
    """

    beats: np.ndarray
    symbols: np.ndarray
    labels: np.ndarray | None
    rows: np.ndarray
    in_test: np.ndarray | None = None
    class_names: dict[str, str] = field(default_factory=dict)
    sampling_rate: float | None = None
    unit: str = "source units"
    leads: tuple[str, ...] = ("lead 1",)

    def __len__(self) -> int:
        return len(self.beats)

    def take(self, places: np.ndarray) -> "Beats":
        """The beats at these places, in this order."""
        return Beats(
            beats=self.beats[places],
            symbols=self.symbols[places],
            labels=None if self.labels is None else self.labels[places],
            rows=self.rows[places],
            in_test=None if self.in_test is None else self.in_test[places],
            class_names=self.class_names,
            sampling_rate=self.sampling_rate,
            unit=self.unit,
            leads=self.leads,
        )

    @property
    def normals(self) -> np.ndarray:
        """Places of the beats taken for normal; without labels, all of them."""
        if self.labels is None:
            return np.arange(len(self))
        return np.flatnonzero(self.labels == NORMAL)

    @property
    def class_counts(self) -> dict[str, int]:
        """How many beats each class has, the most common first."""
        symbols, counts = np.unique(self.symbols, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {str(symbols[i]): int(counts[i]) for i in order}
