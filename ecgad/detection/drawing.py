"""The ECG of a recording as its page draws it: which stretches, in how many samples and bytes."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ecgad.detection.findings import Findings
from ecgad.detection.whole import STRETCH
from ecgad.recordings.reader import Reader

# s; up to here the whole ECG is on the page, beyond it the strips of events.
CONTINUOUS = 3600.0
STRIP = 10.0
# What the ECG is drawn from: steps in mV, and about so many samples a second.
VOLTAGE_STEP, DRAWN_RATE = 0.005, 250.0
MISSING = -(2**15)
# Bytes of a page that a sample of ECG takes, in base64, and a beat that is drawn.
BYTES_A_SAMPLE, BYTES_A_BEAT = 0.8, 30
BEATS_A_SECOND = 1.5
# s; stretches that are nearer are read together, which is faster than to read them apart.
NEAR = 120.0
# The usual beat: seconds around the R peak, and of how many normal beats it is the middle, of which
# so many come in a row.
BEFORE_R, AFTER_R = 0.3, 0.4
N_USUAL, IN_A_ROW = 200, 8
USUAL_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class UsualBeat:
    """The middle of a patient's normal beats, each less its own median: the baseline wanders.

    before: where the R peak lies in it, in seconds. n_beats: of how many it is. low, middle, high:
    float64, (n_leads, n_samples), in mV; between low and high lie 90% of them.
    """

    before: float
    n_beats: int
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray


class Drawing:
    """The ECG as it is drawn: fewer samples, whole steps of voltage."""

    def __init__(self, findings: Findings, reader: Reader, leads: Sequence[int]) -> None:
        self.findings, self.reader, self.leads = findings, reader, list(leads)
        # Means of so many samples.
        self.every = max(1, round(findings.sampling_rate / DRAWN_RATE))
        self.rate = findings.sampling_rate / self.every
        self.first, self.stop = findings.first, findings.first + findings.n_samples
        self._offsets: np.ndarray | None = None
        self.continuous = findings.n_samples <= CONTINUOUS * findings.sampling_rate

    def length(self, start: int, stop: int) -> int:
        """Return how many samples are drawn of a stretch."""
        return (stop - start) // self.every

    def stretches(self, centres: np.ndarray, most_bytes: float) -> list[tuple[int, int]]:
        """Return the stretches that are drawn, in samples: all of a recording of `CONTINUOUS` or
        less, else as many strips as fit into about so many bytes.

        centres: of the strips, in samples, the first first.
        """
        if self.continuous:
            return [(self.first, self.stop)]
        a_second = len(self.leads) * self.rate * BYTES_A_SAMPLE + BEATS_A_SECOND * BYTES_A_BEAT
        n_centres = len(centres)
        while True:
            found = self._strips(centres[:n_centres])
            n_bytes = sum(self.length(*of) for of in found) / self.rate * a_second
            if n_bytes <= most_bytes:
                return found
            n_centres = int(n_centres * most_bytes / n_bytes * 0.98)

    def _strips(self, centres: np.ndarray) -> list[tuple[int, int]]:
        """Return the strips around these samples in time, joined where they overlap."""
        width = round(STRIP * self.findings.sampling_rate) // self.every * self.every
        found: list[tuple[int, int]] = []
        for start in np.clip(np.sort(centres) - width // 2, self.first, self.stop - width).tolist():
            # All on one grid, so that joined ones are.
            begin = start - (start - self.first) % self.every
            if found and begin <= found[-1][1]:
                found[-1] = found[-1][0], begin + width
            else:
                found.append((begin, begin + width))
        return found

    def deflated(self, stretches: Sequence[tuple[int, int]]) -> bytes:
        """Return the ECG of stretches, lead after lead, in half a byte a sample or so.

        Each lead less its middle where it was first read: electrodes have an offset.

        Differences from sample to sample, modulo 2**16, with their sign in the lowest bit; first
        the lower bytes of all, then the upper ones. So prepared, runs and Huffman codes alone are
        smaller than the usual search for repeats, which takes ten times as long.
        """
        ecg = [
            np.diff(values, axis=1, prepend=np.int16(0)).ravel() for values in self._read(stretches)
        ]
        differences = np.concatenate([np.empty(0, np.int16), *ecg])
        codes = ((differences << 1) ^ (differences >> 15)).view(np.uint16)
        planes = np.stack([codes & 0xFF, codes >> 8]).astype(np.uint8)
        deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
        return deflate.compress(planes.tobytes()) + deflate.flush()

    def _read(self, stretches: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        """Give stretches as they are drawn, int16 (n_leads, n_samples), MISSING without a sample.

        stretches: ascending; they may overlap. Near ones are read together, long ones in parts.
        """
        rate = self.findings.sampling_rate
        near, longest = round(NEAR * rate), round(STRETCH * rate)
        begin, end, values = 0, 0, np.empty((len(self.leads), 0))
        for index, (start, stop) in enumerate(stretches):
            parts = []
            for at in range(start, stop, longest // self.every * self.every):
                last = min(at + longest // self.every * self.every, stop)
                if last > end:
                    begin, end = at, last
                    for _, further in stretches[index + 1 :] if last == stop else ():
                        if further - begin > longest or further - end > near:
                            break
                        end = max(end, further)
                    values = self.reader.read(self.leads, begin, end)
                parts.append(self._drawn(values[:, at - begin : last - begin]))
            yield np.concatenate(parts, axis=1)

    def _drawn(self, values: np.ndarray) -> np.ndarray:
        n_samples = values.shape[1] // self.every
        of_means = values[:, : n_samples * self.every].reshape(len(values), n_samples, self.every)
        means = of_means.mean(axis=2)
        if self._offsets is None:
            there = ~np.isnan(means)
            middle = [
                np.median(of[known]) if known.any() else 0.0
                for of, known in zip(means, there, strict=True)
            ]
            self._offsets = np.array(middle)[:, np.newaxis]
        steps = np.rint((means - self._offsets) / VOLTAGE_STEP)
        # What is further off is no ECG.
        drawable = np.abs(steps) < -MISSING
        return np.where(drawable, steps, MISSING).astype(np.int16)

    def usual_beat(self) -> UsualBeat | None:
        """Return the patient's usual beat in each lead; None where there is no normal one."""
        beats = self.findings.beats
        before = round(BEFORE_R * self.rate) * self.every
        after = round(AFTER_R * self.rate) * self.every
        within = (beats.samples - before >= self.first) & (beats.samples + after <= self.stop)
        samples = beats.samples[(beats.verdicts == 0) & within]
        if not len(samples):
            return None
        starts = np.linspace(0, max(0, len(samples) - IN_A_ROW), N_USUAL // IN_A_ROW).astype(int)
        some = np.unique(starts[:, np.newaxis] + np.arange(min(IN_A_ROW, len(samples))))
        around = [(at - before, at + after) for at in samples[some].tolist()]
        steps = np.stack(list(self._read(around)))
        values = np.where(steps == MISSING, np.nan, steps * VOLTAGE_STEP)
        complete = ~np.isnan(values).any(axis=(1, 2))
        if not complete.any():
            return None
        values = values[complete]
        values -= np.median(values, axis=2, keepdims=True)
        low, middle, high = np.quantile(values, USUAL_QUANTILES, axis=0)
        return UsualBeat(before / self.findings.sampling_rate, len(values), low, middle, high)
