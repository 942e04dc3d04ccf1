"""Where the R peaks of a raw recording are, and where nothing can be read, as it comes.

The idea is that of `ecgad.processing.r_peaks`: an envelope of the QRS complexes of every lead, over
the height of the complexes, averaged over leads, and two thresholds. Here all measures are of what
has come before, in blocks that are counted from the first sample; only the first WARM_UP blocks are
measured together. A beat between the thresholds is one where the gap around it would be too long
for the rhythm (after Pan & Tompkins 1985), as far as SEARCH tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ecgad.processing.causal.leads import Continued
from ecgad.processing.causal.windows import Buffer
from ecgad.processing.quantiles import quantile, quantile_of_sorted

MIN_RATE = 100.0  # Hz
WORKING_RATE = 100.0  # Hz; faster recordings are averaged down towards it
QRS_BAND = (8.0, 25.0)  # Hz (Thakor et al. 1984)
HALF_FILTER = 0.15  # s, half the length of the band-pass
SMOOTHING = 0.1  # s, about one QRS complex
BLOCK = 0.25  # s

# Blocks that are looked back over.
WINDOW = 10  # 2.5 s: at 30 beats a minute or more, a beat lies in it
NOISE_WINDOW = 14  # 3.5 s
QUALITY_WINDOW = 22  # 5.5 s
HEIGHT_WINDOW = 82  # 20.5 s: the height of a lead's complexes drifts slowly
RAIL_WINDOW = 4  # 1 s
QUIET_WINDOW = 3  # 0.75 s
WARM_UP = 24  # 6 s

# A lead is usable where it is finite, moves, keeps off the rails, and its complexes stand out.
MIN_FINITE = 0.8  # of the samples of a block
FLAT = 0.01  # of the range that the lead usually has
CLIPPED = 0.5  # of the samples of a window at a rail
MIN_CONTRAST = 6.0  # of envelope peaks to envelope floor; white noise has 2 to 5, ECG 8 and more
NOISY = 0.5  # of the height of complexes: an envelope that stays above it is none of beats
MAX_CONTRAST = 100.0  # beyond it one lead is as good as another

# Of the averaged envelope, which is 1 at a usual QRS complex.
THRESHOLD = 0.3
LOW_THRESHOLD = 0.15
EXCESS = 0.01  # what counts of an envelope beyond 1, so that one lead outvotes no other
LONG_RR = 1.66  # of the median RR interval: a gap that holds another beat
RR_WINDOW = 9  # intervals
SEARCH = 0.5  # s, how far ahead the next clear beat is looked for
REFRACTORY = 0.25  # s
T_WAVE = 0.36  # s; no beat below THRESHOLD so close to another

PEAK_SEARCH = 0.1  # s, to either side of the middle of a QRS complex
BASELINE = 0.2  # s, to either side
DOWNWARD = 1.5  # how much deeper than its R wave a complex has to be to count as downward


@dataclass(frozen=True)
class Peaks:
    """R peaks that have become known.

    samples: int64, (n_peaks,), at the recording's rate, ascending. after_gap: bool, (n_peaks,),
    where there is something unreadable between the beat and the one before it. known_until: all
    peaks before this sample are known. unreadable: stretches [start, stop), in samples, that have
    ended, without a usable lead and without peaks.
    """

    samples: np.ndarray
    after_gap: np.ndarray
    known_until: int
    unreadable: list[tuple[int, int]]


class _Trailing:
    """Windows of the latest `width` values of each lead; the first WARM_UP share one."""

    def __init__(self, n_leads: int, width: int) -> None:
        self._past = np.full((n_leads, width - 1), np.nan)
        self._n_shared = min(width, WARM_UP)
        self._begun = False

    def windows(self, new: np.ndarray) -> np.ndarray:
        """Return a window for each new value, (n_leads, n_new, width); NaN before the first."""
        width = self._past.shape[1] + 1
        joined = np.concatenate([self._past, new], axis=1)
        windows = sliding_window_view(joined, width, axis=1)
        if not self._begun:
            first = min(self._n_shared, new.shape[1]) - 1
            windows = windows[:, np.maximum(np.arange(new.shape[1]), first)]
            self._begun = True
        self._past = joined[:, new.shape[1] :].copy()
        return windows


class CausalRPeaks:
    """Finds the R peaks of one lead or several, a stretch at a time.

    sampling_rate: in Hz, MIN_RATE or more. Time is proportional to the length of the recording,
    memory to that of a stretch.
    """

    def __init__(self, n_leads: int, sampling_rate: float) -> None:
        assert sampling_rate >= MIN_RATE
        self.sampling_rate = sampling_rate
        self._step = max(1, int(sampling_rate // WORKING_RATE))
        self._rate = sampling_rate / self._step
        self._block = round(BLOCK * self._rate)
        self._band_pass = _band_pass(self._rate)
        self._n_smoothed = 2 * round(SMOOTHING * self._rate / 2) + 1
        self._lag = len(self._band_pass) // 2 + self._n_smoothed // 2
        self._search = round(PEAK_SEARCH * sampling_rate)
        self._baseline = round(BASELINE * sampling_rate)

        self._raw = Buffer(n_leads)
        self._working = Buffer(n_leads)
        self._continued = Continued(n_leads)
        self._filled = Buffer(n_leads, self._lag)
        self._n_working = self._n_blocks = 0
        trailing = (_Trailing(n_leads, WINDOW) for _ in range(4))
        self._lowest, self._highest, self._tops, self._floors = trailing
        self._contrasts = _Trailing(n_leads, QUALITY_WINDOW)
        trailing = (_Trailing(n_leads, HEIGHT_WINDOW) for _ in range(5))
        self._ranges, self._levels, self._lows, self._highs, self._heights = trailing
        self._rails = _Trailing(n_leads, RAIL_WINDOW)
        self._quiet = _Trailing(n_leads, QUIET_WINDOW)
        self._noise = _Trailing(1, NOISE_WINDOW)
        self._average = Buffer(1)
        self._clear = Buffer(1)

        self._usable = np.zeros((n_leads, 0), bool)  # of blocks from `_first_block` on
        self._first_block = 0
        self._last_unreadable = -1
        # Maxima of the envelope to decide about: place, clearness, and latest unreadable block.
        self._maxima: list[tuple[int, float, int]] = []
        self._n_searched = 1  # samples of the envelope that maxima were looked for in
        self._last_beat: int | None = None
        self._intervals: list[int] = []
        self._last_sample = -1
        self._unreadable_from: int | None = None
        self._dead_from: int | None = None

    def push(self, leads: np.ndarray) -> Peaks:
        """Take the next samples, (n_leads, n), NaN where one is missing; return what is known."""
        self._take(leads)
        n_blocks = (self._filled.end - self._lag) // self._block
        if self._n_blocks == 0 and n_blocks < WARM_UP:
            return self._peaks([], [], [], 0)
        return self._process(n_blocks, ended=False)

    def finish(self) -> Peaks:
        """Return what is left. A recording shorter than WINDOW is unreadable."""
        n_samples = self._raw.end
        held = np.repeat(self._continued.last[:, None], self._lag, axis=1)
        self._filled.append(held)
        n_blocks = self._n_working // self._block
        if n_blocks < WINDOW:
            return self._peaks([], [], [(0, n_samples)] if n_samples else [], n_samples)
        return self._process(n_blocks, ended=True)

    def _take(self, leads: np.ndarray) -> None:
        self._raw.append(leads)
        end = self._raw.end // self._step
        new = self._raw.get(self._n_working * self._step, end * self._step)
        if self._step > 1:
            # A mean over so short an axis is slow.
            samples = (new[:, offset :: self._step] for offset in range(self._step))
            new = sum(samples, start=np.zeros((len(new), end - self._n_working))) / self._step
        self._n_working = end
        self._working.append(new)
        self._filled.append(self._continued.fill(new))

    def _process(self, n_blocks: int, ended: bool) -> Peaks:
        new = n_blocks - self._n_blocks
        if new:
            first, last = self._n_blocks * self._block, n_blocks * self._block
            working = self._working.get(first, last).reshape(-1, new, self._block)
            envelopes = self._envelopes(first, last).reshape(working.shape)
            usable, weights, heights, dead = self._measure(working, envelopes)
            self._average_leads(envelopes, weights, heights)
            self._usable = np.concatenate([self._usable, usable], axis=1)
            self._n_blocks = n_blocks
            self._working.forget(last)
            self._filled.forget(last - self._lag)
            unreadable = list(self._stretches(_any(usable), dead))
        else:
            unreadable = []
        beats, after_gap, until = self._decide(ended)
        samples, after_gap = self._locate(beats, after_gap)
        if ended:
            n_samples = self._raw.end
            unreadable += self._last_stretch(n_samples)
            return self._peaks(samples, after_gap, unreadable, n_samples)
        return self._peaks(samples, after_gap, unreadable, until)

    def _peaks(
        self,
        samples: list[int],
        after_gap: list[bool],
        unreadable: list[tuple[int, int]],
        known_until: int,
    ) -> Peaks:
        return Peaks(
            np.array(samples, np.int64), np.array(after_gap, bool), known_until, unreadable
        )

    def _envelopes(self, first: int, last: int) -> np.ndarray:
        """Return how strong QRS complexes are in each lead, (n_leads, last - first)."""
        box = np.full(self._n_smoothed, 1 / self._n_smoothed)
        return np.array(
            [
                np.convolve(np.abs(np.convolve(lead, self._band_pass, "valid")), box, "valid")
                for lead in self._filled.get(first - self._lag, last + self._lag)
            ]
        )

    def _measure(
        self, working: np.ndarray, envelopes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Measure new blocks (n_leads, n_blocks, block).

        Returns for each lead where it is usable, its weight and the height of its complexes, each
        (n_leads, n_blocks), and the blocks (n_blocks,) that hold no ECG in any lead.
        """
        ordered = np.sort(working, axis=2)  # what is missing comes last
        n_finite = np.isfinite(working).sum(axis=2)
        missing = n_finite < MIN_FINITE * self._block
        lowest = ordered[:, :, 0]
        highest = np.take_along_axis(ordered, np.maximum(n_finite - 1, 0)[:, :, None], 2)[:, :, 0]
        ranges = np.fmax.reduce(self._highest.windows(highest), axis=2) - np.fmin.reduce(
            self._lowest.windows(lowest), axis=2
        )
        usual = quantile(self._ranges.windows(np.where(ranges > 0, ranges, np.nan)), 0.5)
        moving = ranges > FLAT * usual

        floor = np.fmin.reduce(self._lows.windows(lowest), axis=2)
        ceiling = np.fmax.reduce(self._highs.windows(highest), axis=2)
        margin = (ceiling - floor) / 1000
        low, high = (floor + margin)[:, :, None], (ceiling - margin)[:, :, None]
        at_rail = ((working <= low) | (working >= high)).mean(axis=2)
        clipped = self._rails.windows(at_rail).mean(axis=2) > CLIPPED
        # Where the lead's own baseline is its lowest or highest value, that is no rail.
        level = quantile(self._levels.windows(quantile(working, 0.5)), 0.5)
        between = (floor + 20 * margin < level) & (level < ceiling - 20 * margin)
        clipped &= between

        tops = np.fmax.reduce(self._tops.windows(envelopes.max(axis=2)), axis=2)
        # Low quartiles, for fast wide complexes leave little between them.
        quartiles = quantile(envelopes, 0.25)
        floors = quantile(self._floors.windows(quartiles), 0.25)
        contrast = np.minimum(tops, MAX_CONTRAST * floors)
        contrast /= np.maximum(floors, np.finfo(float).tiny)
        contrast = quantile(self._contrasts.windows(contrast), 0.5)

        usable = moving & ~missing & ~clipped & (contrast >= MIN_CONTRAST)
        windows = self._heights.windows(np.where(usable, tops, np.nan))
        ordered = np.sort(windows, axis=2)
        height, upper = quantile_of_sorted(ordered, 0.2), quantile_of_sorted(ordered, 0.8)
        # Noise is told from ECG by what lies between the peaks, long before a contrast falls.
        usable &= ~(np.fmin.reduce(self._quiet.windows(quartiles), axis=2) > NOISY * height)
        # Squared: a lead of artefacts has to fall far behind one of beats.
        weights = np.where(usable, contrast * (height / upper) ** 2, 0)
        still = highest - lowest <= FLAT * usual
        dead = (missing | still | (between & (at_rail > CLIPPED))).all(axis=0)
        return usable, weights, np.where(usable, height, 1), dead

    def _average_leads(
        self, envelopes: np.ndarray, weights: np.ndarray, heights: np.ndarray
    ) -> None:
        """Append to the average envelope, and to that above the noise."""
        total = np.zeros(envelopes.shape[1:])
        for envelope, weight, height in zip(envelopes, weights, heights, strict=True):
            relative = envelope / height[:, None]
            relative = np.minimum(relative, 1) + EXCESS * np.clip(relative - 1, 0, 10)
            total += weight[:, None] * relative
        sums = np.add.reduce(weights, axis=0)
        average = np.divide(total, sums[:, None], out=np.zeros_like(total), where=sums[:, None] > 0)
        medians = quantile(average[None], 0.5)
        noise = quantile(self._noise.windows(medians), 0.5)[0]
        # Where nothing can be read, nothing is clear.
        clear = np.where(sums[:, None] > 0, average - noise[:, None], -1)
        self._average.append(average.reshape(1, -1))
        self._clear.append(clear.reshape(1, -1))

    def _stretches(self, readable: np.ndarray, dead: np.ndarray) -> Iterator[tuple[int, int]]:
        """Give the unreadable stretches that end in the new blocks.

        A stretch begins where the leads died, which is known some blocks later.
        """
        size = self._block * self._step
        first = self._n_blocks - len(readable)
        for index, (good, none) in enumerate(zip(readable.tolist(), dead.tolist(), strict=True)):
            block = first + index
            if not none:
                self._dead_from = None
            elif self._dead_from is None:
                self._dead_from = block
            if not good and self._unreadable_from is None:
                begin = block if self._dead_from is None else self._dead_from
                self._unreadable_from = max(begin * size, self._last_sample + 1)
            elif good and self._unreadable_from is not None:
                yield self._unreadable_from, block * size
                self._unreadable_from = None

    def _last_stretch(self, n_samples: int) -> list[tuple[int, int]]:
        if self._unreadable_from is None:
            return []
        return [(self._unreadable_from, n_samples)]

    def _decide(self, ended: bool) -> tuple[list[int], list[bool], int]:
        """Decide which maxima are beats, as far as that is known.

        Returns their places in the envelope, whether there is a gap before each, and the sample of
        the recording before which all beats are known.
        """
        end = self._clear.end
        self._find_maxima(end)
        ahead, refractory, after = (
            round(seconds * self._rate) for seconds in (SEARCH, REFRACTORY, T_WAVE)
        )
        known = end if ended else end - 1 - ahead
        beats, gaps = [], []
        n_known = sum(1 for maximum in self._maxima if maximum[0] < known)
        highest = self._highest_around([of[0] for of in self._maxima[:n_known]], refractory)
        for index, (place, clear, unreadable) in enumerate(self._maxima[:n_known]):
            last = self._last_beat
            since = refractory if last is None else place - last
            if since < refractory or not highest[index]:
                continue
            if clear <= THRESHOLD:
                if last is None or since <= after or len(self._intervals) < 3:
                    continue
                following = place + ahead
                for later, its_clear, _ in islice(self._maxima, index + 1, None):
                    if later > place + ahead:
                        break
                    if its_clear > THRESHOLD:
                        following = later
                        break
                usual = sorted(self._intervals)[len(self._intervals) // 2]
                if following - last <= LONG_RR * usual or following - place <= after:
                    continue
            gap = last is not None and unreadable * self._block > last
            if last is not None and not gap:
                self._intervals = [*self._intervals[1 - RR_WINDOW :], since]
            self._last_beat = place
            beats.append(place)
            gaps.append(gap)
        del self._maxima[:n_known]
        return beats, gaps, max(0, known * self._step - self._search)

    def _find_maxima(self, end: int) -> None:
        """Find the maxima of the envelope that may be beats, up to its last sample but one."""
        start = self._n_searched
        average = self._average.get(start - 1, end)[0]
        if len(average) < 3:
            return
        middle, clear = average[1:-1], self._clear.get(start, end - 1)[0]
        found = (middle > average[:-2]) & (middle >= average[2:]) & (clear > LOW_THRESHOLD)
        places = start + np.flatnonzero(found)
        readable = _any(self._usable)
        blocks = np.arange(self._first_block, self._first_block + len(readable))
        unreadable = np.maximum.accumulate(np.where(readable, self._last_unreadable, blocks))
        latest = unreadable[places // self._block - self._first_block]
        clear_at = clear[places - start]
        self._maxima += zip(places.tolist(), clear_at.tolist(), latest.tolist(), strict=True)
        self._n_searched = end - 1

    def _highest_around(self, places: list[int], reach: int) -> list[bool]:
        """Tell of each place whether the envelope is nowhere higher so close to it."""
        if not places:
            return []
        first = places[0] - reach + 1
        average = self._average.get(first, places[-1] + reach)[0]
        # Before the recording, and beyond its end, there is nothing.
        before = max(0, self._average.first - first)
        padded = np.r_[np.zeros(before), average, np.zeros(2 * reach)]
        at = np.array(places) - first
        around = padded[at[:, None] + np.arange(1 - reach, reach)]
        return list((around.max(axis=1) <= padded[at]).tolist())

    def _locate(self, beats: list[int], gaps: list[bool]) -> tuple[list[int], list[bool]]:
        """Find the R peaks near the middles of complexes, in samples of the recording."""
        samples, after_gap = [], []
        if beats:
            middles = ((np.array(beats) + 0.5) * self._step).astype(np.int64)
            lead_of = self._usable[:, np.array(beats) // self._block - self._first_block]
            leads = lead_of.argmax(axis=0)
            around = np.arange(-self._baseline, self._baseline + 1)
            near = np.abs(around) <= self._search
            first = self._raw.first
            raw = self._raw.get(first, self._raw.end)
            indices = np.clip(middles[:, None] + around, first, self._raw.end - 1)
            values = raw[leads[:, None], indices - first]
            heights = values[:, near] - quantile(values, 0.5)[:, None]
            heights = np.nan_to_num(np.maximum(heights, -heights / DOWNWARD))
            highest = heights.argmax(axis=1)
            found = indices[:, near][np.arange(len(indices)), highest]
            for sample, gap in zip(found.tolist(), gaps, strict=True):
                if sample > self._last_sample:
                    samples.append(sample)
                    after_gap.append(gap)
                    self._last_sample = sample
        self._forget()
        return samples, after_gap

    def _forget(self) -> None:
        """Drop what no decision needs any more."""
        needed = self._maxima[0][0] if self._maxima else self._n_searched - 1
        needed -= round(REFRACTORY * self._rate)
        self._average.forget(needed)
        self._clear.forget(needed)
        block = max(0, needed // self._block)
        if block > self._first_block:
            gone = ~self._usable[:, : block - self._first_block].any(axis=0)
            if gone.any():
                self._last_unreadable = self._first_block + int(np.flatnonzero(gone)[-1])
            self._usable = self._usable[:, block - self._first_block :]
            self._first_block = block
        self._raw.forget(min(needed * self._step - self._baseline, self._n_working * self._step))


def _any(usable: np.ndarray) -> np.ndarray:
    return np.logical_or.reduce(usable, axis=0)


def _band_pass(rate: float) -> np.ndarray:
    """Return the taps of the QRS band-pass: a Butterworth filter of order 2, forth and back, cut
    short.
    """
    low, high = QRS_BAND
    n_taps = round(HALF_FILTER * rate)
    frequencies = np.fft.rfftfreq(8192, 1 / rate)
    off = (frequencies**2 - low * high) / np.maximum((high - low) * frequencies, 1e-9)
    response = np.fft.irfft(1 / (1 + off**4))
    window = np.hanning(2 * n_taps + 3)[1:-1]
    taps = np.r_[response[-n_taps:], response[: n_taps + 1]] * window
    # Cut short, it would let some of the level through.
    return taps - window * (taps.sum() / window.sum())
