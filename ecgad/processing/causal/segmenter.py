"""All the way from the leads of a recording to beats, as they come."""

from dataclasses import dataclass

import numpy as np

from ecgad.config.segmentation import SegmentationConfig
from ecgad.processing.causal.beats import BeatCutter, CausalBeats
from ecgad.processing.causal.leads import CausalLeads
from ecgad.processing.causal.r_peaks import CausalRPeaks, Peaks
from ecgad.processing.leads import rate_of_beats

# s; samples are worked on in blocks of it, counted from the first.
BLOCK = 0.04
# s; shorter gaps in the leads of annotated beats are not worth a word.
SHORTEST_GAP = 0.5


@dataclass(frozen=True)
class Piece:
    """What became final: beats, unreadable stretches [start, stop) in samples of the recording, and
    the filtered leads, float32 (n_leads, n), with what is missing in them, bool (n,).
    """

    beats: CausalBeats
    unreadable: list[tuple[int, int]]
    leads: np.ndarray
    missing: np.ndarray


class Segmenter:
    """Cuts the beats of a recording, a stretch at a time; chunks make no difference.

    chosen: which leads the beats are cut out of; R peaks are found in all. peaks: int64,
    (n_peaks,), ascending, where the R peaks are known already; unreadable is then where a chosen
    lead is missing or flat. Raises ConfigError where the filter does not suit the sampling rate.
    """

    def __init__(
        self,
        settings: SegmentationConfig,
        n_leads: int,
        chosen: list[int],
        sampling_rate: float,
        peaks: np.ndarray | None = None,
    ) -> None:
        rate = rate_of_beats(sampling_rate, settings)
        self._chosen = chosen
        self._sampling_rate = sampling_rate
        self._leads = CausalLeads(len(chosen), sampling_rate, rate, settings.filter)
        self.ratio = self._leads.up / self._leads.down
        self._finder = None if peaks is not None else CausalRPeaks(n_leads, sampling_rate)
        self._peaks = peaks
        self._cutter = BeatCutter(settings, len(chosen), sampling_rate, rate, self.ratio)
        self._block = max(1, round(BLOCK * sampling_rate))
        self._pending = np.empty((n_leads, 0))
        self._n_samples = 0
        self._n_given = 0
        self._gap_from: int | None = None

    def push(self, leads: np.ndarray) -> Piece:
        """Take the next samples, float64 (n_leads, n), NaN where one is missing."""
        self._pending = np.concatenate([self._pending, leads], axis=1)
        n_whole = self._pending.shape[1] // self._block * self._block
        if not n_whole:
            return Piece(self._cutter.nothing(), [], *self._leads.nothing())
        whole, self._pending = self._pending[:, :n_whole], self._pending[:, n_whole:].copy()
        return self._work(whole)

    def _work(self, leads: np.ndarray) -> Piece:
        first, self._n_samples = self._n_samples, self._n_samples + leads.shape[1]
        filtered, missing = self._leads.push(leads[self._chosen])
        if self._finder is not None:
            peaks = self._finder.push(leads)
        else:
            peaks = self._known(first, self._n_samples)
        beats = self._cutter.push(filtered, missing, peaks)
        return Piece(beats, self._unreadable(peaks, missing), filtered, missing)

    def finish(self) -> Piece:
        """Return what is left at the end of the recording."""
        last = self._work(self._pending)
        filtered, missing = self._leads.finish()
        if self._finder is not None:
            peaks = self._finder.finish()
        else:
            peaks = self._known(self._n_samples, self._n_samples)
        beats = self._cutter.push(filtered, missing, peaks, ended=True)
        unreadable = self._unreadable(peaks, missing)
        if self._finder is None and self._gap_from is not None:
            unreadable += self._gap(self._n_given)
        return Piece(
            CausalBeats.concatenate([last.beats, beats]),
            last.unreadable + unreadable,
            np.concatenate([last.leads, filtered], axis=1),
            np.r_[last.missing, missing],
        )

    def _known(self, start: int, stop: int) -> Peaks:
        assert self._peaks is not None
        first, last = np.searchsorted(self._peaks, (start, stop))
        samples = self._peaks[first:last]
        return Peaks(samples, np.zeros(len(samples), bool), stop, [])

    def _unreadable(self, peaks: Peaks, missing: np.ndarray) -> list[tuple[int, int]]:
        if self._finder is not None:
            return peaks.unreadable
        found = []
        edges = np.flatnonzero(np.diff(np.r_[self._gap_from is not None, missing]))
        for edge in (edges + self._n_given).tolist():
            if self._gap_from is None:
                self._gap_from = edge
            else:
                found += self._gap(edge)
                self._gap_from = None
        self._n_given += len(missing)
        return found

    def _gap(self, stop: int) -> list[tuple[int, int]]:
        assert self._gap_from is not None
        start = round(self._gap_from / self.ratio)
        end = min(round(stop / self.ratio), self._n_samples)
        return [(start, end)] if end - start >= SHORTEST_GAP * self._sampling_rate else []
