"""R peaks of raw recordings: real ones whole and damaged, and synthetic ones with known places."""

from pathlib import Path

import numpy as np
import pytest
import wfdb
from scipy.optimize import linear_sum_assignment
from scipy.signal import resample_poly

from ecgad.evaluation.matching import match_beats
from ecgad.processing.r_peaks import find_r_peaks
from ecgad.recordings.beat_classes import BEATS

RATE = 360  # Hz, of the MIT-BIH database
MINUTE = 60 * RATE


def read(folder: Path, name: str, stop: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Signals (2, n_samples) and annotated beats of a record, or of its beginning."""
    record = wfdb.rdrecord(str(folder / name), sampto=stop)
    annotation = wfdb.rdann(str(folder / name), "atr", sampto=stop)
    return record.p_signal.T, annotation.sample[np.isin(annotation.symbol, list(BEATS))]


def within(samples: np.ndarray, start: int, stop: int) -> np.ndarray:
    return samples[(samples >= start) & (samples < stop)]


def pulses(beats_per_minute: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """A minute of one noisy lead with R and T waves, and where the R waves are, in samples."""
    time = np.arange(round(60 * rate)) / rate
    interval = 60 / beats_per_minute
    places = np.arange(interval / 2, 60, interval)
    since_r = (time - places[0] + interval / 2) % interval - interval / 2
    since_t = (since_r - min(0.28, 0.5 * interval) + interval / 2) % interval - interval / 2
    waves = np.exp(-0.5 * (since_r / 0.012) ** 2) + 0.25 * np.exp(-0.5 * (since_t / 0.04) ** 2)
    noise = np.random.default_rng(0).normal(scale=0.02, size=len(time))
    return (waves + noise)[None], np.rint(places * rate)


# Complexes of two kinds, with both leads and with one; artefacts in one lead; ventricular flutter.
@pytest.mark.parametrize(
    ("name", "leads", "sensitivity", "predictivity"),
    [
        ("208", 2, 0.995, 0.997),
        ("208", 1, 0.98, 0.997),
        ("200", 2, 0.995, 0.99),
        ("207", 2, 0.995, 0.96),
    ],
)
def test_annotated_beats_are_found(
    mitdb: Path, name: str, leads: int, sensitivity: float, predictivity: float
) -> None:
    signals, beats = read(mitdb, name)
    found = find_r_peaks(signals[:leads], RATE).samples
    n_right = len(match_beats(beats, found, 0.15 * RATE))
    assert n_right / len(beats) >= sensitivity
    assert n_right / len(found) >= predictivity


def test_ventricular_flutter_is_unreadable(mitdb: Path) -> None:
    signals, _ = read(mitdb, "207")
    annotation = wfdb.rdann(str(mitdb / "207"), "atr")
    waves = annotation.sample[np.array(annotation.symbol) == "!"]
    stretches = find_r_peaks(signals, RATE).unreadable
    n_unreadable = sum(len(within(waves, start, stop)) for start, stop in stretches)
    assert n_unreadable > 0.7 * len(waves)


@pytest.mark.parametrize("damage", ["flat", "missing", "rail", "clipped", "noise"])
def test_damage_is_reported_and_the_rest_read(mitdb: Path, damage: str) -> None:
    signals, _ = read(mitdb, "100", stop=4 * MINUTE)
    untouched = signals[1].copy()
    whole = find_r_peaks(signals, RATE)
    assert whole.unreadable == []

    start, stop = 2 * MINUTE, 2 * MINUTE + 20 * RATE
    part = signals[:, start:stop]
    part[:] = {
        "flat": part[:, :1],
        "missing": np.full_like(part, np.nan),
        "rail": np.full_like(part, 5.115),
        "clipped": np.clip(500 * part, -5.12, 5.115),
        "noise": np.random.default_rng(0).normal(size=part.shape),
    }[damage]
    damaged = find_r_peaks(signals, RATE)
    [(first, last)] = damaged.unreadable
    tolerance = RATE if damage == "noise" else 0
    assert abs(first - start) <= tolerance
    assert abs(last - stop) <= tolerance
    assert len(within(damaged.samples, start, stop)) == 0
    for before, after in ((0, start - tolerance), (stop + tolerance, 4 * MINUTE)):
        expected = within(whole.samples, before, after)
        np.testing.assert_array_equal(within(damaged.samples, before, after), expected)

    # The other lead will do where one is damaged.
    signals[1] = untouched
    half = find_r_peaks(signals, RATE)
    assert half.unreadable == []
    assert len(match_beats(whole.samples, half.samples, 0.05 * RATE)) == len(whole.samples)


@pytest.mark.parametrize("rate", [100, 360, 1000])
@pytest.mark.parametrize("n_leads", [1, 2])
@pytest.mark.parametrize("kind", ["flat", "missing", "white", "wander", "mains"])
def test_without_any_beat_all_is_unreadable(kind: str, n_leads: int, rate: int) -> None:
    n_samples = 61 * rate + 7
    noise = np.random.default_rng(0).normal(size=(n_leads, n_samples))
    signals = {
        "flat": np.ones_like(noise),
        "missing": np.full_like(noise, np.nan),
        "white": noise,
        "wander": noise.cumsum(axis=1),
        "mains": 100 * np.sin(2 * np.pi * 49.5 * np.arange(n_samples) / rate) + noise,
    }[kind]
    found = find_r_peaks(signals, rate)
    assert len(found.samples) == 0
    assert found.unreadable == [(0, n_samples)]


def test_neither_unit_nor_precision_matters(mitdb: Path) -> None:
    signals, _ = read(mitdb, "208", stop=5 * MINUTE)
    expected = find_r_peaks(signals, RATE)
    for other in (1000 * signals, 1e-3 * signals, signals.astype(np.float32)):
        found = find_r_peaks(other, RATE)
        np.testing.assert_array_equal(found.samples, expected.samples)
        assert found.unreadable == expected.unreadable


@pytest.mark.parametrize(("up", "down"), [(5, 18), (25, 36), (25, 9)])  # 100, 250, 1000 Hz
def test_another_rate_gives_the_same_peaks(mitdb: Path, up: int, down: int) -> None:
    signals, _ = read(mitdb, "100", stop=5 * MINUTE)
    expected = find_r_peaks(signals, RATE).samples
    rate = RATE * up / down
    found = find_r_peaks(resample_poly(signals, up, down, axis=1), rate).samples
    assert len(found) == len(expected)
    assert np.abs(found / rate - expected / RATE).max() <= 0.02


@pytest.mark.parametrize("beats_per_minute", [30, 60, 120, 200])
@pytest.mark.parametrize("rate", [100, 257, 1000])
def test_pulses_are_found_in_place(rate: float, beats_per_minute: float) -> None:
    signals, places = pulses(beats_per_minute, rate)
    found = find_r_peaks(signals, rate)
    assert found.unreadable == []
    assert found.samples.dtype == np.int64
    assert len(found.samples) == len(places)
    assert np.abs(found.samples - places).max() <= 0.02 * rate


@pytest.mark.parametrize("rate", [360, 1000])
def test_missing_samples_here_and_there_do_no_harm(rate: float) -> None:
    signals, places = pulses(70, rate)
    signals[0, ::7] = np.nan
    signals[0, 100] = np.inf
    found = find_r_peaks(signals, rate).samples
    assert len(found) == len(match_beats(places, found, 0.02 * rate)) == len(places)


def test_short_recordings() -> None:
    signals, places = pulses(60, 360)
    five_seconds = find_r_peaks(signals[:, :1800], 360)
    assert five_seconds.unreadable == []
    assert len(match_beats(places[:5], five_seconds.samples, 7)) == len(five_seconds.samples) == 5
    for n_samples in (0, 1, 360):
        found = find_r_peaks(signals[:, :n_samples], 360)
        assert len(found.samples) == 0
        assert found.unreadable == ([(0, n_samples)] if n_samples else [])


def test_what_is_no_recording_is_refused() -> None:
    with pytest.raises(ValueError, match="n_leads"):
        find_r_peaks(np.zeros(1000), 360)
    with pytest.raises(ValueError, match="100 Hz"):
        find_r_peaks(np.zeros((1, 1000)), 50)


def test_matching_finds_as_many_pairs_as_there_can_be() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        reference, found = (np.unique(random.integers(0, 99, random.integers(9))) for _ in "12")
        pairs = match_beats(reference, found, 8)
        near = np.abs(reference[:, None] - found) <= 8
        assert near[pairs[:, 0], pairs[:, 1]].all()
        assert (np.diff(pairs, axis=0) > 0).all()
        assert len(pairs) == near[linear_sum_assignment(near, maximize=True)].sum()
