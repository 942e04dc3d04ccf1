"""Source `synthetic`: an ECG that is made, of normal and four kinds of anomalous beats.

After McSharry et al. 2003 ("A dynamical model for generating synthetic electrocardiogram signals",
IEEE Trans. Biomed. Eng. 50(3)): each beat is a sum of Gaussian P, Q, R, S and T waves placed around
its R peak, the waves spread with the square root of the RR interval, and RR intervals vary at the
two rhythms of heart-rate variability, 0.1 Hz (blood pressure) and 0.25 Hz (breathing). Here the sum
is written out in closed form rather than integrated, so that it can be computed for all beats at
once. Baseline wander and white noise are added to the continuous signal, from which beats are cut,
so that a premature beat shows the end of the one before it.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from ecgad.config.section import Fraction, Section
from ecgad.data.beats import ANOMALOUS, NORMAL, BeatFormat, Beats, Part
from ecgad.data.sources.source import Source
from ecgad.runtime.console import Console

# Beats of one uninterrupted signal; the memory it takes is a few MB whatever the number of beats.
BLOCK = 5000
# Share of a beat's window before its R peak.
BEFORE_R = 0.35
# Beats a minute, and the standard deviation of the noise in mV, unless others are asked for.
HEART_RATE, NOISE = 65.0, 0.02
WAVES = ("P", "Q", "R", "S", "T")


@dataclass(frozen=True)
class _Kind:
    name: str
    share: float  # of the anomalous beats
    amplitude: tuple[float, ...]  # of P, Q, R, S, T, in mV
    width: tuple[float, ...]  # standard deviation, in s at an RR interval of 1 s
    centre: tuple[float, ...]  # after the R peak, in s at an RR interval of 1 s
    rr_before: float = 1.0  # the RR interval before it, over the usual one
    rr_after: float = 1.0


NORMAL_SYMBOL = "N"
# Amplitudes and times are of the usual size in lead II; the anomalous kinds follow the textbook.
KINDS = {
    NORMAL_SYMBOL: _Kind(
        "normal",
        0.0,
        amplitude=(0.12, -0.10, 1.10, -0.25, 0.30),
        width=(0.022, 0.010, 0.012, 0.012, 0.045),
        centre=(-0.170, -0.030, 0.0, 0.030, 0.270),
    ),
    # Early, no P wave, wide QRS, inverted T wave, a full pause after it.
    "V": _Kind(
        "premature ventricular beat",
        0.40,
        amplitude=(0.0, 0.30, 1.25, -0.45, -0.35),
        width=(0.022, 0.025, 0.032, 0.035, 0.060),
        centre=(-0.170, -0.055, 0.0, 0.075, 0.280),
        rr_before=0.68,
        rr_after=1.32,
    ),
    # Early, inverted P wave, shorter PR interval, hardly a pause.
    "A": _Kind(
        "premature atrial beat",
        0.25,
        amplitude=(-0.10, -0.10, 1.05, -0.25, 0.26),
        width=(0.020, 0.010, 0.012, 0.012, 0.045),
        centre=(-0.125, -0.030, 0.0, 0.030, 0.265),
        rr_before=0.72,
        rr_after=1.06,
    ),
    # Wide, notched QRS, inverted T wave.
    "L": _Kind(
        "bundle branch block",
        0.15,
        amplitude=(0.12, 0.35, 0.95, 0.60, -0.22),
        width=(0.022, 0.018, 0.020, 0.022, 0.055),
        centre=(-0.190, -0.040, 0.0, 0.050, 0.290),
    ),
    # The S wave widened into a depressed ST segment, flat T wave.
    "I": _Kind(
        "ischaemia, ST depressed",
        0.20,
        amplitude=(0.12, -0.10, 1.05, -0.24, 0.08),
        width=(0.022, 0.010, 0.012, 0.060, 0.045),
        centre=(-0.170, -0.030, 0.0, 0.110, 0.280),
    ),
}
SYMBOLS = tuple(KINDS)


class SyntheticConfig(Section):
    """How many beats, of which kind."""

    beats: int = Field(4000, ge=10, le=1_000_000_000, description="how many beats")
    anomalous_fraction: Fraction = Field(0.2, description="how many of them are anomalous")
    samples: int = Field(140, ge=16, le=100_000, description="samples a beat")
    sampling_rate: float = Field(160.0, ge=50, le=2000, description="in Hz")
    heart_rate: float = Field(HEART_RATE, ge=30, le=150, description="mean, in beats a minute")
    noise: float = Field(NOISE, ge=0, le=1, description="standard deviation, in mV")


class Synthetic(Source[SyntheticConfig]):
    """Beats that are made when they are read, a part a BLOCK."""

    name = "synthetic"
    settings_class = SyntheticConfig

    @classmethod
    def licence(cls, settings: SyntheticConfig) -> str:
        return "Made from synthetic ECG of ecgad itself, under its MIT licence."

    def find(self, console: Console | None = None) -> None:
        """Find nothing: there are no files."""

    def read(self, jobs: int | None = None) -> Generator[Part]:
        from ecgad.runtime.workers import in_order

        n_beats = self.settings.beats
        sizes = [min(BLOCK, n_beats - start) for start in range(0, n_beats, BLOCK)]
        calls = [(self.settings, self.seed, *block) for block in enumerate(sizes)]
        yield from in_order(_part, calls, jobs)


def _part(config: SyntheticConfig, seed: int, number: int, n_beats: int) -> Part:
    waves = (config.samples, config.sampling_rate, config.heart_rate, config.noise)
    return Part(_block(number, n_beats, config.anomalous_fraction, *waves, seed))


def synthesise(
    n_beats: int,
    anomalous_fraction: float = 0.2,
    n_samples: int = 140,
    sampling_rate: float = 160.0,
    heart_rate: float = HEART_RATE,
    noise: float = NOISE,
    seed: int = 0,
) -> Beats:
    """Make `n_beats` beats of one synthetic lead, in mV, each with its R peak at 35% of the window.

    sampling_rate: in Hz. heart_rate: mean, in beats a minute. noise: standard deviation of the
    white noise, in mV. The same arguments give the same beats.
    """
    waves = (n_samples, sampling_rate, heart_rate, noise)
    sizes = [min(BLOCK, n_beats - start) for start in range(0, n_beats, BLOCK)]
    return Beats.concatenate(
        [_block(i, size, anomalous_fraction, *waves, seed) for i, size in enumerate(sizes)]
    )


def _block(
    number: int,
    n_beats: int,
    anomalous_fraction: float,
    n_samples: int,
    sampling_rate: float,
    heart_rate: float,
    noise: float,
    seed: int,
) -> Beats:
    """Make the beats of one uninterrupted signal, the block of that number; see `synthesise`."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    # Room before the first and after the last beat, for its window and its waves.
    room = 1.0 + n_samples / sampling_rate
    signal, times, kinds = _signal(
        rng, n_beats, anomalous_fraction, sampling_rate, heart_rate, noise, room
    )
    start = np.rint(times * sampling_rate).astype(int) - round(BEFORE_R * n_samples)
    beats = signal[start[:, None] + np.arange(n_samples)].astype(np.float32)
    symbols = np.array(SYMBOLS)[kinds]
    return Beats(
        waveforms=beats[:, None],
        symbols=symbols,
        labels=np.where(symbols == NORMAL_SYMBOL, NORMAL, ANOMALOUS).astype(np.int8),
        rows=number * BLOCK + np.arange(n_beats),
        format=BeatFormat(
            leads=("synthetic",),
            sampling_rate=sampling_rate,
            unit="mV",
            class_names={symbol: kind.name for symbol, kind in KINDS.items()},
        ),
    )


def synthesise_recording(
    seconds: float, sampling_rate: float = 250.0, anomalous_fraction: float = 0.05, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make one synthetic lead that is not cut into beats.

    sampling_rate: in Hz. Returns the lead in mV, float64 (n_samples,); the R peaks in samples,
    int64 (n_beats,); and the symbols of their kinds, str (n_beats,).
    """
    n_beats = int(seconds * HEART_RATE / 60) + 1
    rng = np.random.default_rng(seed)
    room = 1.0
    signal, times, kinds = _signal(
        rng, n_beats, anomalous_fraction, sampling_rate, HEART_RATE, NOISE, room
    )
    signal = signal[: round(seconds * sampling_rate)]
    samples = np.rint(times * sampling_rate).astype(np.int64)
    inside = samples < len(signal)
    return signal, samples[inside], np.array(SYMBOLS)[kinds[inside]]


def _signal(
    rng: np.random.Generator,
    n_beats: int,
    anomalous_fraction: float,
    sampling_rate: float,
    heart_rate: float,
    noise: float,
    room: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a lead of so many beats, with `room` (s) before the first and after the last.

    Returns the lead in mV, the times of the R peaks in s, and the kinds as indices of SYMBOLS.
    """
    kinds = _draw_kinds(rng, n_beats, anomalous_fraction)
    times, rr = _r_peaks(rng, kinds, 60.0 / heart_rate)
    times += room
    signal = np.zeros(int((times[-1] + room) * sampling_rate) + 1)
    _add_waves(rng, signal, kinds, times, rr, sampling_rate)
    signal += _wander(rng, len(signal), sampling_rate)
    signal += noise * rng.standard_normal(len(signal))
    return signal, times, kinds


def _draw_kinds(rng: np.random.Generator, n_beats: int, anomalous_fraction: float) -> np.ndarray:
    """Draw the kind of each beat, as an index of SYMBOLS: exact shares in random order."""
    shares = np.array([kind.share for kind in KINDS.values()]) * anomalous_fraction
    shares[0] = 1 - anomalous_fraction
    # The anomalous kinds first, so that rounding favours them in a short signal.
    cuts = np.rint(np.cumsum(shares[::-1]) * n_beats).astype(int)
    kinds = len(SYMBOLS) - 1 - np.searchsorted(cuts, np.arange(n_beats), side="right")
    return rng.permutation(kinds)


def _r_peaks(
    rng: np.random.Generator, kinds: np.ndarray, mean_rr: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the times of the R peaks and the RR interval before each, in s."""
    roughly = np.arange(len(kinds)) * mean_rr

    def rhythm(frequency: float) -> np.ndarray:
        # The phase wanders, which widens the line into the band that is seen in people.
        wandering = np.cumsum(0.15 * rng.standard_normal(len(kinds)))
        return np.sin(2 * np.pi * (frequency * roughly + rng.random()) + wandering)

    variability = 0.025 * rhythm(0.1) + 0.035 * rhythm(0.25)
    rr = mean_rr * (1 + variability + 0.008 * rng.standard_normal(len(kinds)))
    before = np.array([kind.rr_before for kind in KINDS.values()])[kinds]
    after = np.array([kind.rr_after for kind in KINDS.values()])[kinds]
    early = before < 1
    rr *= np.where(early, before * (1 + 0.05 * rng.standard_normal(len(kinds))), 1.0)
    # A pause follows an early beat, unless the next one is early itself.
    rr[1:] *= np.where(early[1:], 1.0, after[:-1])
    return np.cumsum(rr), rr


def _add_waves(
    rng: np.random.Generator,
    signal: np.ndarray,
    kinds: np.ndarray,
    times: np.ndarray,
    rr: np.ndarray,
    sampling_rate: float,
) -> None:
    """Add the waves of all beats to `signal`, in mV, which begins at time 0."""
    n_beats = len(kinds)
    spread = np.sqrt(rr)
    # Breathing moves the heart and with it the height of the waves.
    breath = 1 + 0.05 * np.sin(2 * np.pi * (0.25 * times + rng.random()))
    for wave in range(len(WAVES)):

        def of_kind(attribute: str, wave: int = wave) -> np.ndarray:
            return np.array([getattr(kind, attribute)[wave] for kind in KINDS.values()])[kinds]

        amplitude = of_kind("amplitude") * breath * (1 + 0.06 * rng.standard_normal(n_beats))
        width = of_kind("width") * spread * (1 + 0.04 * rng.standard_normal(n_beats))
        jitter = 0.004 * rng.standard_normal(n_beats) * (WAVES[wave] != "R")
        centre = times + (of_kind("centre") + jitter) * spread
        # Beyond 4.5 standard deviations, 0.05 microvolts are left of each millivolt.
        reach = int(np.ceil(4.5 * width.max() * sampling_rate))
        at = np.rint(centre * sampling_rate).astype(int)[:, None] + np.arange(-reach, reach + 1)
        z = (at / sampling_rate - centre[:, None]) / width[:, None]
        heights = amplitude[:, None] * np.exp(-0.5 * z**2)
        signal += np.bincount(at.ravel(), heights.ravel(), minlength=len(signal))


def _wander(rng: np.random.Generator, n: int, sampling_rate: float) -> np.ndarray:
    """Make baseline wander, in mV: breathing and two slower drifts of the electrodes."""
    time = np.arange(n) / sampling_rate
    wander = np.zeros(n)
    for frequency, amplitude in ((0.25, 0.04), (0.07, 0.04), (0.02, 0.06)):
        wander += amplitude * np.sin(2 * np.pi * (frequency * time + rng.random()))
    return wander
