"""How high scores usually are in a record, as beats come, and scores relative to that."""

from collections import deque
from dataclasses import dataclass

import numpy as np

# The level is this quantile of the latest so many scores, made anew every so many.
LEVEL, LATEST, RENEWED = 0.75, 301, 10
# A score beyond so many times the median does not count: where most beats are anomalous, the level
# would soon be theirs.
MOST = 2.2
# Before so many beats have been, the level is that of the training normals.
FIRST = 20
# After so many beats in a row that do not count, some 20 minutes, it is begun anew.
LONGEST = 1500
SMALLEST = 1e-12


@dataclass(frozen=True)
class Levels:
    """What scores are made relative to: a score is divided by (level / usual) ** power.

    power: 0.5 halves, on a logarithmic scale, how far records lie apart. usual: the level of the
    training normals.
    """

    power: float
    usual: float

    @classmethod
    def of_normals(cls, power: float, scores: np.ndarray) -> "Levels":
        """Take the usual level from the scores (n_beats,) of training normals."""
        return cls(power, max(float(np.quantile(scores, LEVEL)), SMALLEST))

    def relative(self, scores: np.ndarray, records: np.ndarray | None) -> np.ndarray:
        """Return scores relative to their record, (n_beats,).

        scores, records: (n_beats,), beats of a record in time; without records all are of one.
        """
        found = np.empty_like(scores)
        order, edges = np.arange(len(scores)), np.zeros(0, int)
        if records is not None:
            _, of_beat = np.unique(records, return_inverse=True)
            order = np.argsort(of_beat, kind="stable")
            edges = np.flatnonzero(np.diff(of_beat[order])) + 1
        for indices in np.split(order, edges):
            found[indices] = RecordLevel(self).relative(scores[indices])
        return found


class RecordLevel:
    """The level of one record, beat by beat; chunks make no difference."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._level = levels.usual
        self._latest: deque[float] = deque(maxlen=LATEST)
        self._median: float | None = None
        self._since = self._refused = 0

    def relative(self, scores: np.ndarray) -> np.ndarray:
        """Return the next scores, (n_beats,), relative to what has come before each of them."""
        before = np.empty(len(scores))
        for index, score in enumerate(scores.tolist()):
            before[index] = self._level
            self._take(score)
        return scores * (self._levels.usual / before) ** self._levels.power

    def _take(self, score: float) -> None:
        if self._median is None:
            self._latest.append(score)
            if len(self._latest) == FIRST:
                most = MOST * float(np.median(self._latest))
                self._latest = deque([of for of in self._latest if of <= most], LATEST)
                self._renew()
        elif score <= MOST * self._median:
            self._latest.append(score)
            self._since += 1
            self._refused = 0
            if self._since == RENEWED:
                self._renew()
        else:
            self._refused += 1
            if self._refused == LONGEST:
                self._latest.clear()
                self._median, self._refused = None, 0

    def _renew(self) -> None:
        self._since = 0
        latest = np.array(self._latest)
        self._median = float(np.median(latest))
        self._level = max(float(np.quantile(latest, LEVEL)), SMALLEST)
