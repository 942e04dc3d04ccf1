"""How early a beat comes, by the intervals that have come before it."""

import math
from collections import deque
from statistics import median

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ecgad.processing.rr_intervals import IRREGULAR

# The usual interval is the median of the latest so many that count: from LEAST to MOST of it, or of
# the median of the latest NEAREST that did. Where none has for so many seconds, it is made anew.
USUAL_INTERVALS, NEAREST = 21, 3
LEAST_USUAL, MOST_USUAL = 0.8, 1.25
USUAL_LASTS = 600.0
# Irregularity is a median over so many intervals, each compared with those up to LAGS before it.
# In bigeminy every second interval is like the one before the last, in atrial fibrillation none.
IRREGULAR_INTERVALS, LAGS = 31, 4
# An irregularity of this size halves how early a beat is.
REGULAR = 0.05
LATEST = 3
# How early beats usually are: this quantile of the latest so many, made anew every so many, once
# there are so many. Those that are early beyond doubt do not count.
USUALLY, USUAL_BEATS, RENEWED, FEWEST, DOUBT = 0.75, 101, 10, 20, 1.5


class UsualInterval:
    """The RR interval that is usual for a patient, as intervals come.

    A run of early beats soon moves the median of the latest intervals, and is early no longer. So
    only intervals count that are near those that counted before: it follows a rate that changes
    beat by beat, and stays where the rate jumps.
    """

    def __init__(self) -> None:
        self._usual = math.nan
        self._accepted: deque[float] = deque(maxlen=USUAL_INTERVALS)
        self._latest: deque[float] = deque(maxlen=USUAL_INTERVALS)
        self._since = 0.0

    def begin(self, intervals: np.ndarray) -> None:
        """Take the first intervals of a recording, float (n,), in seconds, before the others."""
        if len(intervals):
            self._usual = float(np.median(intervals))
            known = [of for of in intervals.tolist() if _near(of, self._usual)]
            self._accepted.extend(known)

    def before(self, intervals: np.ndarray) -> np.ndarray:
        """Return the usual interval before each of these, float (n,) in seconds; they come next.

        NaN where there is no interval, and nothing is known yet.
        """
        found = np.empty(len(intervals))
        for index, interval in enumerate(intervals.tolist()):
            if math.isnan(interval):
                found[index] = self._usual
                continue
            if math.isnan(self._usual):
                self.begin(np.array([interval]))
            found[index] = self._usual
            self._take(interval)
        return found

    def _take(self, interval: float) -> None:
        self._latest.append(interval)
        self._since += interval
        nearest = list(self._accepted)[-NEAREST:]
        if _near(interval, self._usual) or (nearest and _near(interval, median(nearest))):
            self._accepted.append(interval)
        elif self._since > USUAL_LASTS:
            self._accepted = deque(self._latest, USUAL_INTERVALS)
        else:
            return
        self._since = 0.0
        self._usual = median(self._accepted)


def _near(interval: float, other: float) -> bool:
    return LEAST_USUAL <= interval / other <= MOST_USUAL


class Regularity:
    """How irregular the latest intervals are, and what the latest three are like."""

    def __init__(self) -> None:
        self._latest = np.zeros(0)  # logarithms, as many as are needed
        self._n_past = 0
        self._opening: float | None = None

    def begin(self, intervals: np.ndarray) -> None:
        """Take the first intervals of a recording, float (n,), which come again among the others.

        They stand in until as many have come as the irregularity is a median of.
        """
        logs = np.log(intervals)
        apart = [np.abs(logs[lag:] - logs[:-lag]) for lag in range(1, LAGS + 1)]
        medians = [float(np.median(of_lag)) for of_lag in apart if len(of_lag)]
        self._opening = min(medians, default=0.0)

    def before(self, intervals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the irregularity before each interval, and the median of the latest three.

        intervals: float (n,), in seconds, none missing; they come next. Both are float (n,): the
        smallest over the lags of the median difference of logarithms, and the logarithm of an
        interval, that of the first where there was none.
        """
        n, needed = len(intervals), IRREGULAR_INTERVALS + LAGS
        if not n:
            return intervals, intervals
        joined = np.r_[self._latest, np.log(intervals)]
        # Before the first, as if all had been like it.
        padded = np.r_[np.repeat(joined[:1], max(0, needed - len(self._latest))), joined]
        three = np.median(_windows_before(padded, LATEST, n), axis=1)
        found = np.full(n, np.inf)
        for lag in range(1, LAGS + 1):
            apart = np.abs(padded[lag:] - padded[:-lag])
            of_lag = np.median(_windows_before(apart, IRREGULAR_INTERVALS, n), axis=1)
            found = np.minimum(found, of_lag)
        n_past = self._n_past + np.arange(n)
        if self._opening is not None:
            found = np.where(n_past < IRREGULAR_INTERVALS, self._opening, found)
        self._latest = joined[-needed:]
        self._n_past += n
        return found, three


def _windows_before(values: np.ndarray, width: int, n: int) -> np.ndarray:
    """Return the `width` values before each of the last n, (n, width)."""
    return sliding_window_view(values, width)[-n - 1 : -1]


class Rhythm:
    """Evidence of rhythm, as beats come; see `ecgad.processing.evidence`."""

    def __init__(self) -> None:
        self._usual = UsualInterval()
        self._regularity = Regularity()
        self._latest: deque[float] = deque(maxlen=USUAL_BEATS)
        self._level = 0.0
        self._n_beats = 0

    def begin(self, intervals: np.ndarray) -> None:
        """Take the first intervals of a recording, float (n,), which come again among the others.

        None of them is missing.
        """
        self._usual.begin(intervals)
        self._regularity.begin(intervals)

    def before(
        self, previous: np.ndarray, median_rr: np.ndarray, spread: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the usual interval at each beat, (n_beats,), and how early it comes, (n_beats, 3).

        previous: float (n_beats,), the intervals before the beats, NaN where one is missing.
        median_rr, spread: of the latest intervals, (n_beats,). The three numbers are those of
        RHYTHM but for the pause; 0 where there is no interval.
        """
        usual = self._usual.before(previous)
        there = ~np.isnan(previous)
        early = np.zeros((len(previous), 3))
        intervals = previous[there].astype(np.float64)
        irregular, three = self._regularity.before(intervals)
        logs, regular = np.log(intervals), 1 / (REGULAR + irregular)
        early[there, 0] = (np.log(usual[there]) - logs) * regular
        early[there, 1] = (three - logs) * regular
        early[there, 2] = (np.log(median_rr[there]) - logs) / (1 + spread[there] / IRREGULAR)
        return usual, np.maximum(early, 0)

    def usually(self, together: np.ndarray) -> np.ndarray:
        """Return how early beats usually are at each beat, (n_beats,); they come next.

        together: of the beats, (n_beats,), see `ecgad.processing.evidence`.
        """
        found = np.empty(len(together))
        for index, early in enumerate(together.tolist()):
            found[index] = self._level
            if early < DOUBT:
                self._latest.append(early)
            self._n_beats += 1
            if self._n_beats % RENEWED == 0 and len(self._latest) >= FEWEST:
                self._level = float(np.quantile(self._latest, USUALLY))
        return found
