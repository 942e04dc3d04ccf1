"""Beats cut out of leads as they come, normalised and compared by what has come before.

Amplitude, template and the median RR interval are those of the latest beats, and evidence is that
of the beats before. A recording begins with those of its first WARM_UP seconds, which wait for one
another.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ecgad.config.segmentation import SegmentationConfig
from ecgad.processing.causal.r_peaks import Peaks
from ecgad.processing.causal.rhythm import Rhythm
from ecgad.processing.causal.windows import Buffer
from ecgad.processing.evidence import together
from ecgad.processing.quantiles import quantile
from ecgad.processing.rr_intervals import MEDIAN_INTERVALS, RR_FEATURES, spread_of
from ecgad.processing.segmentation import FLAT, typical_span, window_samples
from ecgad.processing.template import TEMPLATE_BEATS, TEMPLATE_STEP

WARM_UP = 20.0  # s from the first beat on
NEXT = 0.85  # s: so far ahead the next beat is waited for
LONGEST_RR = 3.0  # s; beyond it something was missed, and there is no interval
ERRORS = 301  # a beat's difference from the template is compared with those of so many before it
SMALLEST = 1e-3  # of a difference from the template, of which a logarithm is taken

# Why a beat cannot be cut; empty where it can.
KEPT = ""
BEYOND = "window beyond the record"
MISSING = "window with missing samples"
FLAT_WINDOW = "flat window"
REASONS = (BEYOND, MISSING, FLAT_WINDOW)


@dataclass(frozen=True)
class CausalBeats:
    """Beats that are final, and those that could not be cut, in time.

    samples: int64, (n_peaks,), R peaks in samples of the recording. left_out: str, (n_peaks,), why
    a beat could not be cut; empty for the n_cut that could. waveforms: float32, (n_cut, n_leads,
    n_samples), RR features and evidence as the last leads. rr: float32, (n_peaks, 2), the previous
    and the next RR interval in seconds; NaN where there is no previous one, and no more than NEXT
    for the next. usual_rr: float32, (n_peaks,), the interval that is usual for the patient; NaN
    where there is none.
    """

    samples: np.ndarray
    left_out: np.ndarray
    waveforms: np.ndarray
    rr: np.ndarray
    usual_rr: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """Which beats were cut, bool (n_peaks,)."""
        return self.left_out == KEPT

    @staticmethod
    def concatenate(parts: "list[CausalBeats]") -> "CausalBeats":
        """Join what came one after the other."""
        return CausalBeats(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("samples", "left_out", "waveforms", "rr", "usual_rr")
            )
        )


@dataclass
class _Waiting:
    """Beats that are cut and wait for the recording to warm up."""

    samples: list[np.ndarray] = field(default_factory=list)
    left_out: list[np.ndarray] = field(default_factory=list)
    windows: list[np.ndarray] = field(default_factory=list)
    rr: list[np.ndarray] = field(default_factory=list)


class BeatCutter:
    """Cuts beats out of leads, a stretch at a time.

    ratio: samples of the leads to one of the recording. sampling_rate: of the recording, in Hz.
    """

    def __init__(
        self,
        settings: SegmentationConfig,
        n_leads: int,
        sampling_rate: float,
        rate: float,
        ratio: float,
    ) -> None:
        self.settings = settings
        self.sampling_rate = sampling_rate
        self._ratio = ratio
        self._before, self._after = window_samples(settings.window, rate)
        self._shift = round(settings.alignment * rate / 1000)  # samples
        self._leads = Buffer(n_leads, dtype=np.float32)
        self._missing = Buffer(1, dtype=bool)
        self._samples = np.zeros(0, np.int64)  # R peaks that are waited with
        self._after_gap = np.zeros(0, bool)
        self._last: int | None = None  # the R peak of the latest beat that was cut
        self._warm = False
        self._waiting = _Waiting()
        shape = (0, n_leads, self._before + self._after)
        self._latest = np.zeros(shape, np.float32)  # windows, as many as a template is made of
        self._n_since = 0  # beats since the template was made
        self._typical = np.ones((n_leads, 1), np.float32)
        self._template = np.zeros(shape[1:], np.float32)
        self._errors = np.zeros(0)  # logarithms, of the latest beats
        self._usual_error = 0.0
        self._intervals = np.zeros(0)
        self._rhythm = Rhythm()

    def push(
        self, leads: np.ndarray, missing: np.ndarray, peaks: Peaks, ended: bool = False
    ) -> CausalBeats:
        """Take the next samples of the leads, and the R peaks that became known.

        leads: float32, (n_leads, n); missing: bool, (n,). ended: there will be no more of either.
        """
        self._leads.append(leads)
        self._missing.append(missing[None])
        self._samples = np.r_[self._samples, peaks.samples]
        self._after_gap = np.r_[self._after_gap, peaks.after_gap]
        n_ready = self._n_ready(peaks.known_until, ended)
        samples, gaps = self._samples[:n_ready], self._after_gap[:n_ready]
        next_is = slice(n_ready, n_ready + 1)
        rr = self._rr(samples, gaps, self._samples[next_is], self._after_gap[next_is], ended)
        left_out, windows = self._windows(samples)
        self._samples, self._after_gap = self._samples[n_ready:], self._after_gap[n_ready:]
        if n_ready:
            self._last = int(samples[-1])
        self._forget(peaks.known_until)
        if self._warm:
            return self._finished(samples, left_out, windows, rr)
        waiting = self._waiting
        waiting.samples.append(samples)
        waiting.left_out.append(left_out)
        waiting.windows.append(windows)
        waiting.rr.append(rr)
        return self._warm_up(peaks.known_until, ended)

    def _n_ready(self, known_until: int, ended: bool) -> int:
        """Count the beats that nothing to come can change."""
        if ended:
            return len(self._samples)
        cut = self._centres(self._samples) + self._after + self._shift <= self._leads.end
        followed = self._samples + NEXT * self.sampling_rate <= known_until
        followed[:-1] = True
        ready = cut & followed
        return len(ready) if ready.all() else int(ready.argmin())

    def _centres(self, samples: np.ndarray) -> np.ndarray:
        return np.rint(samples * self._ratio).astype(np.int64)

    def _rr(
        self,
        samples: np.ndarray,
        gaps: np.ndarray,
        following: np.ndarray,
        gap_follows: np.ndarray,
        ended: bool,
    ) -> np.ndarray:
        """Return previous and next RR intervals in seconds, float32 (n_beats, 2).

        following: the R peak after these, where it is known, and whether it comes after a gap. The
        next interval is NaN before a gap and at the end of the recording.
        """
        first = [np.nan if self._last is None else self._last]
        previous = np.diff(np.r_[first, samples]) / self.sampling_rate
        previous[gaps | (previous > LONGEST_RR)] = np.nan
        after = np.r_[samples[1:], following if len(following) else np.inf][: len(samples)]
        after = np.minimum((after - samples) / self.sampling_rate, NEXT)
        after[np.r_[gaps[1:], gap_follows if len(following) else False][: len(samples)]] = np.nan
        if ended and not len(following):
            after[-1:] = np.nan
        return np.stack([previous, after], axis=1).astype(np.float32)

    def _windows(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cut windows, float32 (n_cut, n_leads, n_samples), and say why others cannot be.

        At both ends they are longer than a beat by as much as it may be shifted.
        """
        starts = self._centres(samples) - self._before - self._shift
        length = self._before + self._after + 2 * self._shift
        left_out = np.full(len(samples), KEPT, "<U27")
        left_out[(starts < 0) | (starts + length > self._leads.end)] = BEYOND
        first = self._leads.first
        inside = left_out == KEPT
        gaps = np.r_[0, np.cumsum(self._missing.get(first, self._leads.end)[0])]
        at = starts[inside] - first
        left_out[np.flatnonzero(inside)[gaps[at + length] > gaps[at]]] = MISSING
        at = starts[left_out == KEPT] - first
        leads = self._leads.get(first, self._leads.end)
        windows = leads[:, at[:, None] + np.arange(length)].transpose(1, 0, 2)
        return left_out, np.ascontiguousarray(windows)

    def _forget(self, known_until: int) -> None:
        needed = int(self._samples[0]) if len(self._samples) else known_until
        before = round(needed * self._ratio) - self._before - self._shift - 1
        self._leads.forget(min(before, self._leads.end))
        self._missing.forget(min(before, self._leads.end))

    def _warm_up(self, known_until: int, ended: bool) -> CausalBeats:
        """Give the first beats, once there are enough to compare them with."""
        waiting = self._waiting
        samples = np.concatenate(waiting.samples)
        first = samples[:1] if len(samples) else self._samples[:1]
        if not ended:
            end = first + WARM_UP * self.sampling_rate
            warm = len(first) and known_until >= end[0]
            if not warm or (len(self._samples) and self._samples[0] < end[0]):
                return self.nothing()
            n_first = int((samples < end[0]).sum())
        else:
            n_first = len(samples)
        left_out, rr = np.concatenate(waiting.left_out), np.concatenate(waiting.rr)
        windows = np.concatenate(waiting.windows)
        self._warm, self._waiting = True, _Waiting()
        # Beats beyond may have come with them; they are not compared with.
        n_cut = int((left_out[:n_first] == KEPT).sum())
        of_first = self._normalised(windows[:n_cut])
        self._remember(self._middle(of_first))
        self._renew()
        self._errors = self._aligned(of_first)[1][-ERRORS:]
        if len(self._errors):
            self._usual_error = float(np.median(self._errors))
        intervals = rr[:n_first, 0]
        opening = intervals[~np.isnan(intervals)][:MEDIAN_INTERVALS]
        parts = [
            self._finished(
                samples[:n_first], left_out[:n_first], windows[:n_cut], rr[:n_first], opening
            ),
            self._finished(samples[n_first:], left_out[n_first:], windows[n_cut:], rr[n_first:]),
        ]
        return CausalBeats.concatenate(parts)

    def nothing(self) -> CausalBeats:
        """Return no beats, in the form of `push`."""
        none = np.zeros(0, np.int64)
        return self._finished(
            none, none.astype("<U27"), self._no_windows(), np.zeros((0, 2), np.float32)
        )

    def _no_windows(self) -> np.ndarray:
        n_samples = self._before + self._after + 2 * self._shift
        return np.zeros((0, self._latest.shape[1], n_samples), np.float32)

    def _finished(
        self,
        samples: np.ndarray,
        left_out: np.ndarray,
        windows: np.ndarray,
        rr: np.ndarray,
        opening: np.ndarray | None = None,
    ) -> CausalBeats:
        """Normalise windows, compare them with the template, and add RR features and evidence.

        opening: the first intervals of the recording, where these are its first beats; they are
        among the latest beats already.
        """
        left_out = left_out.copy()
        windows = self._normalised(windows)
        cut = np.flatnonzero(left_out == KEPT)
        dressed, evidence, flat = [], [], []
        done = 0
        while done < len(windows):
            n_next = len(windows)
            if opening is None:
                n_next = min(n_next, done + TEMPLATE_STEP - self._n_since)
            part = windows[done:n_next]
            middle = self._middle(part)
            spans = middle.max(axis=2) - middle.min(axis=2)
            moving = (spans > FLAT * self._typical[:, 0]).all(axis=1)
            aligned, errors = self._aligned(part[moving])
            dressed.append(self._dress(aligned))
            evidence.append(np.stack([errors, errors - self._usual_error], axis=1))
            flat.append(~moving)
            if opening is None:
                self._remember(middle[moving])
                self._errors = np.r_[self._errors, errors][-ERRORS:]
                self._n_since += len(part)
                if self._n_since == TEMPLATE_STEP:
                    self._renew()
            done = n_next
        if flat:
            left_out[cut[np.concatenate(flat)]] = FLAT_WINDOW
        kept = left_out == KEPT
        median, spread = self._latest_intervals(rr[:, 0], opening)
        if opening is not None:
            self._rhythm.begin(opening)
        usual, early = self._rhythm.before(rr[:, 0], median, spread)
        beats = np.concatenate([self._dress(self._middle(windows[:0])), *dressed])
        beside = self._features(rr[kept], median[kept], spread[kept])
        if self.settings.evidence:
            rhythm = np.c_[early, self._pause(rr[:, 1], median)]
            rhythm = np.c_[rhythm, self._rhythm.usually(together(rhythm))]
            of_template = np.concatenate([np.zeros((0, 2)), *evidence])
            beside = np.concatenate([beside, rhythm[kept], of_template], axis=1)
        beside = beside.astype(np.float32)
        drawn = np.broadcast_to(beside[:, :, None], (*beside.shape, beats.shape[2]))
        waveforms = np.concatenate([beats, drawn], axis=1)
        rr = np.stack([rr[:, 0], _following(rr)], axis=1)
        return CausalBeats(samples, left_out, waveforms, rr, usual.astype(np.float32))

    def _middle(self, windows: np.ndarray) -> np.ndarray:
        """Return windows without what they are longer by than a beat."""
        return windows[:, :, self._shift : windows.shape[2] - self._shift]

    def _aligned(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shift windows to where they differ least from the template.

        Returns beats, float32 (n_beats, n_leads, n_samples), and the logarithms of their mean
        absolute differences from it, in units of the amplitude of each lead, float64 (n_beats,).
        """
        n_samples = self._before + self._after
        # Of equally good ones the smallest.
        shifts = sorted(range(2 * self._shift + 1), key=lambda start: abs(start - self._shift))
        errors = np.stack(
            [
                np.abs(
                    (windows[:, :, start : start + n_samples] - self._template) / self._typical
                ).mean(axis=(1, 2), dtype=np.float64)
                for start in shifts
            ],
            axis=1,
        )
        starts = np.array(shifts)[errors.argmin(axis=1)]
        at = starts[:, None] + np.arange(n_samples)
        beats = np.take_along_axis(windows, at[:, None], axis=2)
        return beats, np.log(np.maximum(errors.min(axis=1), SMALLEST))

    def _normalised(self, windows: np.ndarray) -> np.ndarray:
        """Scale windows by the beats in them, where the settings say so."""
        if self.settings.normalisation != "beat":
            return windows
        middle = self._middle(windows)
        low = middle.min(axis=2, keepdims=True)
        span = middle.max(axis=2, keepdims=True) - low
        return np.divide(windows - low, span, out=np.zeros_like(windows), where=span > 0)

    def _dress(self, windows: np.ndarray) -> np.ndarray:
        template = self._template
        if self.settings.normalisation == "record":
            windows, template = windows / self._typical, template / self._typical
        if self.settings.template == "none":
            return windows
        added = np.broadcast_to(template, windows.shape)
        if self.settings.template == "difference":
            added = windows - template
        return np.concatenate([windows, added], axis=1)

    def _remember(self, windows: np.ndarray) -> None:
        self._latest = np.concatenate([self._latest, windows])[-TEMPLATE_BEATS:]

    def _renew(self) -> None:
        """Make template, amplitude and usual difference from the template, of the latest beats."""
        self._n_since = 0
        if len(self._errors):
            self._usual_error = float(np.median(self._errors))
        if not len(self._latest):
            return
        spans = self._latest.max(axis=2) - self._latest.min(axis=2)
        self._typical = np.array([[typical_span(of_lead)] for of_lead in spans.T], np.float32)
        if self.settings.template != "none":
            self._template = np.median(self._latest, axis=0)

    def _latest_intervals(
        self, intervals: np.ndarray, opening: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the median of the latest intervals at each beat, and the spread of their
        logarithms, float32 (n_beats,).

        The recording's first beats, before MEDIAN_INTERVALS have been, have those of its opening.
        """
        there = ~np.isnan(intervals)
        joined = np.r_[self._intervals, intervals[there]]
        n_past = len(self._intervals) + np.cumsum(there)
        padded = np.r_[np.full(MEDIAN_INTERVALS, np.nan), joined]
        windows = sliding_window_view(padded, MEDIAN_INTERVALS)[n_past]
        if opening is not None and len(opening):
            first = np.full(MEDIAN_INTERVALS, np.nan)
            first[: len(opening)] = opening
            windows = np.where((n_past < MEDIAN_INTERVALS)[:, None], first, windows)
        self._intervals = joined[-MEDIAN_INTERVALS:]
        median = quantile(windows, 0.5).astype(np.float32)
        return median, spread_of(np.log(windows)).astype(np.float32)

    def _features(self, rr: np.ndarray, median: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Return RR features, float32 (n_beats, n_features); without an interval, as if regular."""
        median = np.nan_to_num(median, nan=1.0)
        previous = np.where(np.isnan(rr[:, 0]), median, rr[:, 0])
        features = []
        for name in self.settings.timing:
            feature = RR_FEATURES[name]
            # The next interval is known as far as NEXT, so the median counts no further.
            usual = median if feature.before else np.minimum(median, np.float32(NEXT))
            features.append(feature.of(previous, _following(rr), usual, spread))
        values = np.array(features, np.float32).reshape(len(features), len(rr)).T
        return self.settings.timing_weight * values

    def _pause(self, following: np.ndarray, median: np.ndarray) -> np.ndarray:
        """Return how much longer the next interval is than the median, as far as it is known; 0
        where it is not.
        """
        usual = np.minimum(np.nan_to_num(median, nan=1.0), np.float32(NEXT))
        return np.nan_to_num(np.maximum(0, np.log(following / usual)))


def _following(rr: np.ndarray) -> np.ndarray:
    """Return the next intervals, (n_beats,); where there is none, as if it were long."""
    return np.nan_to_num(rr[:, 1], nan=NEXT)
