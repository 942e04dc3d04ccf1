"""The leads of a recording as beats are cut out of them: filtered and resampled as they come.

The filters are symmetric and finite, so that waves keep their shape and place, and look ahead by
half their length.
"""

import numpy as np

from ecgad.config.segmentation import FilterConfig
from ecgad.errors import ConfigError
from ecgad.processing.causal.windows import Buffer
from ecgad.processing.filtering import flat_samples, resampling_ratio, shortest_flat

LOW_PASS = 0.1  # s, half the length of the filter against what is faster than a QRS complex
HIGH_PASS = 0.8  # s, half the length of the one against the wander of the baseline


class Continued:
    """Leads without their gaps: a lead that is lost keeps its value, and goes on from it.

    So no filter sees a step, which would look like a QRS complex. Leads begin at 0.
    """

    def __init__(self, n_leads: int) -> None:
        self.last = np.zeros(n_leads)
        self._shift = np.zeros(n_leads)
        self._valid = np.zeros(n_leads, bool)  # whether the last sample was

    def fill(self, leads: np.ndarray) -> np.ndarray:
        """Return the next samples of leads, float64 (n_leads, n), all of them finite."""
        filled = np.empty(leads.shape)
        for index, lead in enumerate(leads):
            valid = np.isfinite(lead)
            edges = np.flatnonzero(np.diff(np.r_[False, valid, False]))
            end = 0
            for start, stop in edges.reshape(-1, 2):
                filled[index, end:start] = self.last[index]
                if start > 0 or not self._valid[index]:
                    self._shift[index] = self.last[index] - lead[start]
                filled[index, start:stop] = lead[start:stop] + self._shift[index]
                self.last[index] = filled[index, stop - 1]
                end = stop
            filled[index, end:] = self.last[index]
            if len(lead):
                self._valid[index] = valid[-1]
        return filled


class CausalLeads:
    """Filters leads and resamples them, a stretch at a time.

    sampling_rate, rate: in Hz, of the recording and of what comes out. Raises ConfigError where the
    filter does not suit them.
    """

    def __init__(
        self, n_leads: int, sampling_rate: float, rate: float, config: FilterConfig
    ) -> None:
        assert config.band is not None
        low, high = config.band
        if high >= min(sampling_rate, rate) / 2:
            raise ConfigError(
                f"filter.band: {high:g} Hz is not below half the sampling rate, which is "
                f"{min(sampling_rate, rate):g} Hz"
            )
        ratio = resampling_ratio(sampling_rate, rate)
        self.up, self.down = ratio.numerator, ratio.denominator
        self._reach = max(1, round(LOW_PASS * sampling_rate))
        around = np.arange(-self._reach, self._reach + 1)
        # Where a sample at the new rate lies between two of the recording, so does the filter.
        self._low_pass = [
            _low_pass(around - phase / self.up, self._reach + 1, high / sampling_rate)
            for phase in range(self.up)
        ]
        self._half = round(HIGH_PASS * rate)
        around = np.arange(-self._half, self._half + 1)
        self._high_pass = (around == 0) - _low_pass(around, self._half + 1, low / rate)
        self._flat_reach = shortest_flat(sampling_rate)
        self._continued = Continued(n_leads)
        self._raw = Buffer(n_leads)
        self._filled = Buffer(n_leads, self._reach)
        self._lowered = Buffer(n_leads, self._half)
        self._n_given = 0

    def push(self, leads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take the next samples, (n_leads, n); return those that are ready, at the new rate.

        These are float32, (n_leads, n_ready), and bool, (n_ready,): where a sample is missing in
        one of the leads, or one is flat.
        """
        self._raw.append(leads)
        self._filled.append(self._continued.fill(leads))
        ready = self._filled.end - self._reach
        self._lower(max(0, -(-ready * self.up // self.down)))
        return self._give(self._lowered.end - self._half)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the samples that are left, as if the last one went on."""
        end = -(-self._raw.end * self.up // self.down)
        self._filled.append(np.repeat(self._continued.last[:, None], self._reach, axis=1))
        self._lower(end)
        last = self._lowered.get(end - 1, end)
        self._lowered.append(np.repeat(last, self._half, axis=1))
        return self._give(end)

    def nothing(self) -> tuple[np.ndarray, np.ndarray]:
        """Return no samples, in the form of `push`."""
        return np.empty((len(self._continued.last), 0), np.float32), np.empty(0, bool)

    def _lower(self, end: int) -> None:
        """Low-pass and resample up to sample `end` of the new rate."""
        first = self._lowered.end
        n_new = max(0, end - first)
        lowered = np.zeros((len(self._continued.last), n_new))
        begin = first * self.down // self.up - self._reach
        streams = self._streams(begin)
        for offset in range(min(self.up, n_new)):
            of_phase = lowered[:, offset :: self.up]
            number = first + offset
            base = number * self.down // self.up - self._reach - begin
            n_samples = of_phase.shape[1]
            # One tap after the other: so the sums are the same however many samples there are.
            total = np.zeros(of_phase.shape)
            for tap, weight in enumerate(self._low_pass[number * self.down % self.up], base):
                row, column = tap % self.down, tap // self.down
                total += weight * streams[row][:, column : column + n_samples]
            of_phase[:] = total
        self._lowered.append(lowered)
        self._filled.forget(self._lowered.end * self.down // self.up - self._reach)

    def _streams(self, begin: int) -> np.ndarray:
        """Return the samples from `begin` on, dealt out to as many rows as make a step of `down`,
        each of which then lies in memory one after the other: (down, n_leads, n).
        """
        samples = self._filled.get(begin, self._filled.end)
        n_columns = -(-samples.shape[1] // self.down)
        padded = np.zeros((len(samples), n_columns * self.down))
        padded[:, : samples.shape[1]] = samples
        dealt = padded.reshape(len(samples), n_columns, self.down)
        return np.ascontiguousarray(dealt.transpose(2, 0, 1))

    def _give(self, end: int) -> tuple[np.ndarray, np.ndarray]:
        """High-pass up to sample `end` of the new rate."""
        first = self._n_given
        if end <= first:
            return self.nothing()
        given = [
            np.convolve(lead, self._high_pass, "valid")
            for lead in self._lowered.get(first - self._half, end + self._half)
        ]
        nearest = np.rint(np.arange(first, end) * (self.down / self.up)).astype(int)
        begin = max(self._raw.first, nearest[0] - self._flat_reach)
        raw = self._raw.get(begin, nearest[-1] + self._flat_reach + 1)
        missing = np.isnan(raw).any(axis=0) | flat_samples(raw, self._flat_reach)
        self._n_given = end
        self._lowered.forget(end - self._half)
        self._raw.forget(int(nearest[-1]) - self._flat_reach)
        nearest = np.minimum(nearest - begin, raw.shape[1] - 1)
        return np.array(given, np.float32), missing[nearest]


def _low_pass(times: np.ndarray, half_length: int, cutoff: float) -> np.ndarray:
    """Return the taps of a low-pass at these times, in samples from its middle.

    half_length: in samples, where a Hamming window ends. cutoff: over the sampling rate.
    """
    window = 0.54 + 0.46 * np.cos(np.pi * times / half_length)
    taps = window * np.sinc(2 * cutoff * times)
    return taps / taps.sum()
