"""Where the R peaks of a raw recording are, and where nothing can be read.

Every lead gives an envelope of its QRS complexes: band-passed to where most of their power lies
(Thakor et al. 1984), rectified and smoothed. Divided by the height of the complexes around, the
envelopes of the leads are averaged, each weighted by how clearly and regularly its complexes stand
out there. Peaks of the average are beats above a threshold that rises with the noise; long gaps
are searched again with a lower one (both after Pan & Tompkins 1985). All measures are relative, so
that neither the unit nor the gain of a recording matters.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

MIN_RATE = 100.0  # Hz
WORKING_RATE = 125.0  # Hz; faster recordings are averaged down towards it
QRS_BAND = (8.0, 25.0)  # Hz: above P and T waves, below muscle and mains
SMOOTHING = 0.1  # s, about one QRS complex
BLOCK = 0.5  # s; quality is measured in blocks
WINDOW = 5  # blocks, 2.5 s: at 30 beats a minute or more, a beat lies in every one
QUALITY_WINDOW = 11  # blocks, 5.5 s
HEIGHT_WINDOW = 41  # blocks, 20.5 s: the height of a lead's complexes drifts more slowly

# A lead is usable where it is finite, moves, keeps off the rails, and its complexes stand out.
MIN_FINITE = 0.8  # of the samples of a block
FLAT = 0.01  # of the range that the lead usually has
CLIPPED = 0.5  # of the samples of a window at a rail
MIN_CONTRAST = 6.0  # of envelope peaks to envelope floor; white noise has 2 to 5, ECG 8 and more
MAX_CONTRAST = 100.0  # beyond it one lead is as good as another
MIN_READABLE = 10  # blocks, 5 s: noise that looks like ECG for less is still noise

# Of the averaged envelope, which is 1 at a usual QRS complex.
THRESHOLD = 0.3
SEARCH_BACK_THRESHOLD = 0.15
LONG_RR = 1.66  # of the median RR interval around: a gap to be searched again
RR_WINDOW = 9  # intervals
NOISE_WINDOW = 7  # blocks, 3.5 s
REFRACTORY = 0.25  # s
T_WAVE = 0.36  # s; no beat is searched for so close to another

PEAK_SEARCH = 0.1  # s, to either side of the middle of a QRS complex
BASELINE = 0.2  # s, to either side
DOWNWARD = 1.5  # how much deeper than its R wave a complex has to be to count as downward
BATCH = 4096  # beats located at a time, which bounds memory


@dataclass(frozen=True)
class RPeaks:
    """The R peaks of a recording.

    samples: int64, (n_peaks,), ascending, at the recording's own rate. unreadable: intervals
    [start, stop), in samples, without a usable lead; no peak lies in them.
    """

    samples: np.ndarray
    unreadable: list[tuple[int, int]]


def find_r_peaks(signals: np.ndarray, sampling_rate: float) -> RPeaks:
    """Find the R peaks of a recording of one or several leads.

    signals: float, (n_leads, n_samples), in mV or any other unit; what is missing is NaN.
    sampling_rate: in Hz, 100 or more.

    A peak is the R peak of the first lead, or its deepest point where the complex is clearly
    downward; where the first lead is unusable, the next usable one's.

    Unreadable, to a block of 0.5 s, is what in every lead is missing, flat for 2.5 s or more,
    stuck at the rails, or noise for 5 s or more. So are pauses of some 5 s, rates beyond some 220
    beats a minute, and most of ventricular flutter, which has no QRS complexes. A recording shorter
    than 2.5 s is unreadable. Time and memory are proportional to the length of the recording.

    Raises ValueError where the signals are not of two dimensions or the rate is too low.
    """
    if signals.ndim != 2 or not len(signals):
        raise ValueError(f"signals must be (n_leads, n_samples), not {signals.shape}")
    if sampling_rate < MIN_RATE:
        raise ValueError(f"the sampling rate must be {MIN_RATE:g} Hz or more, not {sampling_rate}")
    n_samples = signals.shape[1]
    step = max(1, int(sampling_rate // WORKING_RATE))
    rate = sampling_rate / step
    block = round(BLOCK * rate)
    n_blocks = n_samples // (block * step)
    if n_blocks < WINDOW:
        return RPeaks(np.zeros(0, np.int64), [(0, n_samples)] if n_samples else [])

    n_working = n_samples // step
    total, weights = np.zeros(n_working), np.zeros(n_working)
    usable = np.zeros((len(signals), n_blocks), bool)
    for lead, lead_usable in zip(signals, usable, strict=True):
        sound = _sound_blocks(lead, n_blocks, block * step)
        if not sound.any():
            continue
        bridged = _bridged(lead, sound, block * step)[: n_working * step]
        envelope = _envelope(bridged.reshape(n_working, step).mean(axis=1), rate)
        contrast = _contrast(envelope, n_blocks, block)
        lead_usable[:] = sound & ~_noise(sound & (contrast < MIN_CONTRAST))
        if not lead_usable.any():
            continue
        height, regularity = _heights(envelope, lead_usable, block)
        relative = envelope / _interpolated(height, block, n_working)
        weight = _interpolated(lead_usable * contrast * regularity, block, n_working)
        # Capped, so that an artefact in one lead outvotes no other.
        total += weight * np.minimum(relative, 1)
        weights += weight
    average = np.divide(total, weights, out=np.zeros(n_working), where=weights > 0)

    readable = np.logical_or.reduce(usable)
    beats = _beats(average, readable, block, rate)
    middles = ((beats + 0.5) * step).astype(np.int64)
    samples = _locate(signals, middles, usable, block * step, sampling_rate)
    samples = samples[readable[np.minimum(samples // (block * step), n_blocks - 1)]]
    edges = np.flatnonzero(np.diff(np.r_[False, ~readable, False])) * block * step
    edges[edges == n_blocks * block * step] = n_samples
    return RPeaks(samples, [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)])


def _sound_blocks(lead: np.ndarray, n_blocks: int, size: int) -> np.ndarray:
    """Return the blocks, bool (n_blocks,), where a lead is there, moves and keeps off the rails."""
    blocks = lead[: n_blocks * size].reshape(n_blocks, size)
    finite = np.isfinite(blocks)
    missing = finite.mean(axis=1) < MIN_FINITE
    if missing.all():
        return ~missing
    lowest = np.where(finite, blocks, np.inf).min(axis=1)
    highest = np.where(finite, blocks, -np.inf).max(axis=1)
    ranges = ndimage.maximum_filter1d(highest, WINDOW) - ndimage.minimum_filter1d(lowest, WINDOW)
    moving = np.isfinite(ranges) & (ranges > 0)
    if not moving.any():
        return moving
    still = ranges <= FLAT * np.median(ranges[moving])
    flat = ndimage.binary_dilation(still, np.ones(WINDOW))

    floor, ceiling = lowest.min(), highest.max()
    margin = (ceiling - floor) / 1000
    at_rail = ((blocks <= floor + margin) | (blocks >= ceiling - margin)).mean(axis=1)
    clipped = ndimage.uniform_filter1d(at_rail, WINDOW) > CLIPPED
    # Where the lead's own baseline is its lowest or highest value, that is no rail.
    usual = np.nanmedian(lead[:: max(1, size // 32)])
    if not floor + 20 * margin < usual < ceiling - 20 * margin:
        clipped[:] = False
    return ~(missing | flat | clipped)


def _bridged(lead: np.ndarray, sound: np.ndarray, size: int) -> np.ndarray:
    """Draw straight lines over what is missing or unsound in a lead, (n_samples,)."""
    good = np.isfinite(lead)
    good[: len(sound) * size] &= np.repeat(sound, size)
    if good.all():
        return lead
    indices = np.flatnonzero(good)
    return np.interp(np.arange(len(lead)), indices, lead[indices])


def _envelope(lead: np.ndarray, rate: float) -> np.ndarray:
    """Return how strong QRS complexes are in a lead, (n,), at the working rate."""
    band = signal.butter(2, QRS_BAND, "bandpass", fs=rate, output="sos")
    filtered = np.abs(signal.sosfiltfilt(band, lead))
    return ndimage.uniform_filter1d(filtered, round(SMOOTHING * rate))


def _contrast(envelope: np.ndarray, n_blocks: int, block: int) -> np.ndarray:
    """Return how far the peaks of an envelope stand out from its floor, (n_blocks,)."""
    blocks = envelope[: n_blocks * block].reshape(n_blocks, block)
    peaks = ndimage.maximum_filter1d(blocks.max(axis=1), WINDOW)
    # Low quartiles, for fast wide complexes leave little between them.
    floors = ndimage.percentile_filter(np.percentile(blocks, 25, axis=1), 25, size=WINDOW)
    contrast = np.minimum(peaks, MAX_CONTRAST * floors) / np.maximum(floors, np.finfo(float).tiny)
    return ndimage.median_filter(contrast, QUALITY_WINDOW)


def _noise(noise: np.ndarray) -> np.ndarray:
    """Add to blocks of noise their neighbours, and what between or beside them is too short."""
    padded = np.pad(ndimage.binary_dilation(noise), MIN_READABLE, constant_values=noise.any())
    return ndimage.binary_closing(padded, np.ones(MIN_READABLE))[MIN_READABLE:-MIN_READABLE]


def _heights(envelope: np.ndarray, usable: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how high a lead's lower complexes are, and how regular all are (0 to 1), by block."""
    tops = envelope[: len(usable) * block].reshape(len(usable), block).max(axis=1)
    peaks = ndimage.maximum_filter1d(np.where(usable, tops, 0), WINDOW)[usable]
    low, high = (ndimage.percentile_filter(peaks, part, size=HEIGHT_WINDOW) for part in (20, 80))
    # Squared: a lead of artefacts has to fall far behind one of beats.
    indices, every = np.flatnonzero(usable), np.arange(len(usable))
    return np.interp(every, indices, low), np.interp(every, indices, (low / high) ** 2)


def _interpolated(values: np.ndarray, block: int, n: int) -> np.ndarray:
    """Interpolate values of blocks to n working samples, linearly between their middles."""
    return np.interp(np.arange(n), np.arange(len(values)) * block + (block - 1) / 2, values)


def _beats(average: np.ndarray, readable: np.ndarray, block: int, rate: float) -> np.ndarray:
    """Find the middles of the QRS complexes, int64 (n_beats,), at the working rate."""
    n_blocks = len(readable)
    peaks, _ = signal.find_peaks(average, distance=round(REFRACTORY * rate))
    peaks = peaks[readable[np.minimum(peaks // block, n_blocks - 1)]]
    medians = np.median(average[: n_blocks * block].reshape(n_blocks, block), axis=1)
    noise = _interpolated(ndimage.median_filter(medians, NOISE_WINDOW), block, len(average))
    clear = average[peaks] - noise[peaks]

    beats = peaks[clear > THRESHOLD]
    if len(beats) < 3:
        return beats
    intervals = np.diff(beats)
    usual = ndimage.median_filter(intervals, RR_WINDOW)
    long = np.r_[False, intervals > LONG_RR * usual, False]
    after = np.searchsorted(beats, peaks, side="right")
    since = peaks - beats[np.maximum(after - 1, 0)]
    until = beats[np.minimum(after, len(beats) - 1)] - peaks
    missed = long[after] & (clear > SEARCH_BACK_THRESHOLD)
    missed &= (since > T_WAVE * rate) & (until > T_WAVE * rate)
    return np.sort(np.r_[beats, peaks[missed]])


def _locate(
    signals: np.ndarray, middles: np.ndarray, usable: np.ndarray, size: int, sampling_rate: float
) -> np.ndarray:
    """Find R peaks, int64 (n_beats,), near the middles of complexes, at the recording's rate."""
    lead_of = usable[:, np.minimum(middles // size, usable.shape[1] - 1)].argmax(axis=0)
    search = round(PEAK_SEARCH * sampling_rate)
    around = np.arange(-round(BASELINE * sampling_rate), round(BASELINE * sampling_rate) + 1)
    near = np.abs(around) <= search
    samples = np.empty(len(middles), np.int64)
    for start in range(0, len(middles), BATCH):
        batch = slice(start, start + BATCH)
        indices = np.clip(middles[batch, None] + around, 0, signals.shape[1] - 1)
        values = signals[lead_of[batch, None], indices]
        heights = values[:, near] - np.nanmedian(values, axis=1, keepdims=True)
        heights = np.nan_to_num(np.maximum(heights, -heights / DOWNWARD))
        highest = heights.argmax(axis=1)[:, None]
        samples[batch] = np.take_along_axis(indices[:, near], highest, axis=1)[:, 0]
    return samples
