"""Beats of a recording as they come: chunks make no difference, what was given stays, and what is
given comes within 2 s.
"""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecgad.config.segmentation import FilterConfig, SegmentationConfig, WindowConfig
from ecgad.errors import ConfigError
from ecgad.evaluation.matching import match_beats
from ecgad.processing.causal import LOOK_AHEAD
from ecgad.processing.causal.beats import NEXT, WARM_UP, BeatCutter, CausalBeats
from ecgad.processing.causal.leads import CausalLeads
from ecgad.processing.causal.rhythm import Regularity, Rhythm, UsualInterval
from ecgad.processing.causal.segmenter import Piece, Segmenter
from ecgad.processing.evidence import EVIDENCE
from ecgad.processing.rr_intervals import MEDIAN_INTERVALS
from ecgad.processing.template import TEMPLATE_BEATS, TEMPLATE_STEP
from ecgad.recordings.beat_classes import BEATS
from tests.helpers import PERIOD, RATE, easy_recording

SETTINGS = SegmentationConfig.model_validate(
    {
        "causal": True,
        "filter": {"band": [1, 40]},
        "sampling_rate": 125,
        "template": "difference",
        "timing": ["log_rr_previous_ratio", "log_rr_next_ratio", "log_rr_previous_deviation"],
    }
)
BAND = FilterConfig(band=(1, 40))
SHIFT = 2  # samples of beats that are aligned
WITH_EVIDENCE = SETTINGS.model_copy(update={"alignment": 16.0, "evidence": True})


def read(folder: Path, name: str, seconds: float) -> tuple[np.ndarray, float, np.ndarray]:
    """Leads, sampling rate and annotated beats of the beginning of a record."""
    rate = wfdb.rdheader(str(folder / name)).fs
    stop = round(seconds * rate)
    record = wfdb.rdrecord(str(folder / name), sampto=stop)
    annotation = wfdb.rdann(str(folder / name), "atr", sampto=stop)
    beats = annotation.sample[np.isin(annotation.symbol, list(BEATS))]
    return np.ascontiguousarray(record.p_signal.T), float(rate), beats.astype(np.int64)


def pieces_of(
    leads: np.ndarray,
    rate: float,
    sizes: Iterable[int] = (),
    peaks: np.ndarray | None = None,
    settings: SegmentationConfig = SETTINGS,
) -> list[Piece]:
    """What comes out where the samples come in chunks of these sizes, and then the rest."""
    segmenter = Segmenter(settings, len(leads), [0], rate, peaks)
    found, start = [], 0
    for size in sizes:
        found.append(segmenter.push(leads[:, start : start + size]))
        start += size
    found += [segmenter.push(leads[:, start:]), segmenter.finish()]
    return found


def joined(pieces: list[Piece]) -> tuple[CausalBeats, list[tuple[int, int]]]:
    beats = CausalBeats.concatenate([piece.beats for piece in pieces])
    return beats, [stretch for piece in pieces for stretch in piece.unreadable]


def assert_same(found: CausalBeats, expected: CausalBeats) -> None:
    for field in fields(CausalBeats):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), field.name


@pytest.fixture(scope="module")
def damaged(svdb: Path) -> tuple[np.ndarray, float, np.ndarray]:
    """The beginning of a real record at 128 Hz, with a gap, and a flat stretch in a lead."""
    leads, rate, beats = read(svdb, "812", 48)
    leads[:, 3100:3500] = np.nan
    leads[0, 4700:5200] = leads[0, 4700]
    return leads, rate, beats


@pytest.mark.parametrize("found", [True, False], ids=["found", "annotated"])
def test_chunks_make_no_difference(
    damaged: tuple[np.ndarray, float, np.ndarray], found: bool
) -> None:
    """Nor do they to evidence."""
    leads, rate, beats = damaged
    peaks = None if found else beats
    expected, stretches = joined(pieces_of(leads, rate, (), peaks, WITH_EVIDENCE))
    assert len(expected.samples) > 30
    assert expected.waveforms.shape[1] == 5 + len(EVIDENCE)
    assert stretches
    drawn = np.random.default_rng(0).integers(0, 2000, 20).tolist()
    for sizes in ([1] * leads.shape[1], [7] * 877, [250] * 24, drawn):
        same, its_stretches = joined(pieces_of(leads, rate, sizes, peaks, WITH_EVIDENCE))
        assert_same(same, expected)
        assert its_stretches == stretches


@pytest.mark.parametrize("rate", [100, 250, 257, 1000, 10_000])
def test_chunks_make_no_difference_at_other_rates(rate: float) -> None:
    time = np.arange(round(40 * rate)) / rate
    since = time % 0.8 - 0.4
    leads = np.exp(-0.5 * (since / 0.02) ** 2)[None] + 0.1 * np.sin(time)
    expected, _ = joined(pieces_of(leads, rate))
    assert np.abs(np.diff(expected.samples) - 0.8 * rate).max() <= 1 + rate / 125
    assert len(expected.samples) in (49, 50)
    same, _ = joined(pieces_of(leads, rate, [round(0.97 * rate)] * 30))
    assert_same(same, expected)


def test_a_beat_that_was_given_stays_and_comes_in_time(
    damaged: tuple[np.ndarray, float, np.ndarray],
) -> None:
    leads, rate, _ = damaged
    n_samples = leads.shape[1]
    whole, _ = joined(pieces_of(leads, rate, settings=WITH_EVIDENCE))
    pieces = pieces_of(leads, rate, [25] * (n_samples // 25), settings=WITH_EVIDENCE)
    warm = whole.samples[0] + WARM_UP * rate
    given = 0
    for number, piece in enumerate(pieces[:-2], 1):
        given += len(piece.beats.samples)
        seen = 25 * number
        due = (whole.samples > warm) & (whole.samples <= seen - LOOK_AHEAD * rate)
        if due.any():
            assert given > np.flatnonzero(due)[-1]
    for stop in (n_samples - 2223, n_samples - 1000):
        before = pieces_of(leads[:, :stop], rate, settings=WITH_EVIDENCE)[0].beats
        n_given = len(before.samples)
        assert n_given
        assert np.array_equal(before.samples, whole.samples[:n_given])
        assert np.array_equal(before.waveforms, whole.waveforms[: before.kept.sum()])
        assert np.array_equal(before.usual_rr, whole.usual_rr[:n_given])


def test_the_first_beats_come_once_there_is_a_past() -> None:
    ecg, samples, _ = easy_recording(60)
    pieces = pieces_of(ecg[None], RATE, [100] * (len(ecg) // 100), samples)
    first = next(n for n, piece in enumerate(pieces) if len(piece.beats.samples))
    assert samples[0] / RATE + WARM_UP <= 100 * (first + 1) / RATE <= 30
    assert len(pieces[first].beats.samples) >= 24
    # Of a recording that ends before, they come at its end.
    short, _ = joined(pieces_of(ecg[None, :1000], RATE, [100] * 10, samples[samples < 1000]))
    assert np.array_equal(short.samples, samples[samples < 1000])


def test_amplitude_template_and_rhythm_are_of_the_latest_beats() -> None:
    rng = np.random.default_rng(0)
    ecg, _, _ = easy_recording(200)
    ecg *= np.linspace(1, 3, len(ecg))
    samples = PERIOD * (1 + np.arange(200)) + rng.integers(-20, 21, 200)
    plain = SETTINGS.model_copy(update={"normalisation": "none", "template": "none"})
    windows = joined(pieces_of(ecg[None], RATE, peaks=samples, settings=plain))[0].waveforms[:, 0]
    beats, _ = joined(pieces_of(ecg[None], RATE, peaks=samples))
    assert beats.kept.all()
    rr = np.r_[np.nan, np.diff(samples) / RATE]
    n_first = int((samples < samples[0] + WARM_UP * RATE).sum())
    for beat in (3, n_first, n_first + TEMPLATE_STEP, 199):
        past = max(n_first, beat - (beat - n_first) % TEMPLATE_STEP)
        latest = windows[max(0, past - TEMPLATE_BEATS) : past]
        typical = np.median(np.ptp(latest, axis=1))
        assert beats.waveforms[beat, 0] == pytest.approx(windows[beat] / typical, rel=1e-5)
        apart = (windows[beat] - np.median(latest, axis=0)) / typical
        assert beats.waveforms[beat, 1] == pytest.approx(apart, rel=1e-4, abs=1e-6)
        known = rr[1 : beat + 1][-MEDIAN_INTERVALS:]
        if len(known) < MEDIAN_INTERVALS:
            known = rr[1 : MEDIAN_INTERVALS + 1]
        median = np.median(known)
        following = NEXT if beat == 199 else min(rr[beat + 1], NEXT)
        ratio = np.log(rr[beat] / median)
        logarithms = np.log(known)
        spread = np.median(np.abs(logarithms - np.median(logarithms)))
        expected = [ratio, np.log(following / min(median, NEXT)), ratio / (1 + spread / 0.08)]
        assert beats.waveforms[beat, 2:, 0] == pytest.approx(expected, rel=1e-4, abs=1e-6)


# Intervals in seconds: regular with early beats, a run of early ones, regular, and bigeminy.
PARTS = {"early": [0.8, 0.8, 0.8, 0.5, 1.1] * 8, "run": [0.45] * 14, "regular": [0.8] * 40}
PARTS |= {"bigeminy": [0.5, 1.1] * 30, "again": [0.8] * 40}
PLACES = {
    name: slice(stop - len(intervals), stop)
    for (name, intervals), stop in zip(
        PARTS.items(), np.cumsum([len(part) for part in PARTS.values()]) + 1, strict=True
    )
}


def rhythm_recording() -> tuple[np.ndarray, np.ndarray]:
    """ECG (n_samples,) and its R peaks, up to 3 samples beside the beats; early ones inverted."""
    rng = np.random.default_rng(0)
    intervals = np.concatenate(list(PARTS.values()))
    beats = 200 + np.round(RATE * np.cumsum(np.r_[0, intervals])).astype(np.int64)
    ecg = 0.01 * np.sin(np.arange(beats[-1] + 200) / 7)
    pulse = np.exp(-0.5 * (np.arange(-20, 21) / 4) ** 2)
    for beat, interval in zip(beats.tolist(), np.r_[0.8, intervals].tolist(), strict=True):
        height = rng.normal(1, 0.05) * (-1 if interval < 0.6 else 1)
        ecg[beat - 20 : beat + 21] += height * pulse
    return ecg, beats + rng.integers(-3, 4, len(beats))


def aligned_by_hand(window: np.ndarray, template: np.ndarray) -> tuple[np.ndarray, float]:
    """The part of a window, of one lead, that differs least from the template, and by how much."""
    n = len(template)
    tried = [window[start : start + n] for start in range(len(window) - n + 1)]
    errors = [np.abs(part - template).mean() for part in tried]
    return tried[int(np.argmin(errors))], min(errors)


def usual_by_hand(rr: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """The usual interval before each of these."""
    usual, found = np.median(opening), []
    accepted = [rr for rr in opening if 0.8 <= rr / usual <= 1.25]
    for interval in rr:
        found.append(usual)
        near = np.median(accepted[-3:])
        if 0.8 <= interval / usual <= 1.25 or 0.8 <= interval / near <= 1.25:
            accepted.append(interval)
            usual = np.median(accepted[-21:])
    return np.array(found)


def irregular_by_hand(logs: np.ndarray) -> float:
    """The least, over the lags, of the median difference of the latest 31 from those before."""
    padded = np.r_[np.repeat(logs[:1], 40), logs]
    return min(
        np.median([abs(padded[-i] - padded[-i - lag]) for i in range(1, 32)]) for lag in range(1, 5)
    )


def test_evidence_is_that_of_brute_force() -> None:
    """Beat by beat, from what has come before it: alignment by all shifts, and every median."""
    ecg, samples = rhythm_recording()
    longer = {"window": WindowConfig(before=266, after=466)}
    plain = {**longer, "normalisation": "none", "template": "none", "timing": []}
    settings = SETTINGS.model_copy(update=plain)
    windows = joined(pieces_of(ecg[None], RATE, (), samples, settings))[0].waveforms[:, 0]
    beats, _ = joined(pieces_of(ecg[None], RATE, (), samples, WITH_EVIDENCE))
    assert beats.kept.all() and windows.shape[1] == beats.waveforms.shape[2] + 2 * SHIFT

    n_first = int((samples < samples[0] + WARM_UP * RATE).sum())
    middle = windows[:, SHIFT:-SHIFT]
    errors: list[float] = []
    shifts = set()
    for beat, window in enumerate(windows):
        past = max(n_first, beat - (beat - n_first) % TEMPLATE_STEP)
        latest = middle[max(0, past - TEMPLATE_BEATS) : past]
        typical, template = np.median(np.ptp(latest, axis=1)), np.median(latest, axis=0)
        aligned, error = aligned_by_hand(window / typical, template / typical)
        assert beats.waveforms[beat, 0] == pytest.approx(aligned, rel=1e-4, abs=1e-6)
        errors.append(np.log(max(error, 1e-3)))
        shifts.add(round(float(aligned[0]), 5) == round(float(window[SHIFT] / typical), 5))
    assert shifts == {True, False}
    for beat, error in enumerate(errors):
        past = max(n_first, beat - (beat - n_first) % TEMPLATE_STEP)
        expected = [error, error - np.median(errors[:past][-301:])]
        assert beats.waveforms[beat, 10:, 0] == pytest.approx(expected, rel=1e-3, abs=1e-3)

    rr, following = beats.rr.T.astype(float)
    opening = rr[1 : MEDIAN_INTERVALS + 1]
    usual = np.r_[np.median(opening), usual_by_hand(rr[1:], opening)]
    assert beats.usual_rr == pytest.approx(usual, rel=1e-6)
    logs = np.log(rr[1:])
    together: list[float] = []
    level = 0.0
    for beat in range(len(samples)):
        if beat % 10 == 0:
            undoubted = [early for early in together if early < 1.5][-101:]
            level = np.quantile(undoubted, 0.75) if len(undoubted) >= 20 else 0.0
        known = rr[1 : beat + 1][-MEDIAN_INTERVALS:] if beat >= MEDIAN_INTERVALS else opening
        median = np.median(known)
        spread = np.median(np.abs(np.log(known) - np.log(median)))
        before, early = logs[: max(0, beat - 1)], [0.0, 0.0, 0.0]
        if beat:
            irregular = irregular_by_hand(before) if len(before) else 0
            if len(before) < 31:
                apart = [np.abs(np.log(opening[lag:] / opening[:-lag])) for lag in range(1, 5)]
                irregular = min(np.median(of_lag) for of_lag in apart)
            three = np.median(np.r_[np.repeat(logs[:1], 3), before][-3:])
            early = [
                (np.log(usual[beat]) - logs[beat - 1]) / (0.05 + irregular),
                (three - logs[beat - 1]) / (0.05 + irregular),
                (np.log(median) - logs[beat - 1]) / (1 + spread / 0.08),
            ]
        # What comes after the last beat is not known.
        pause = 0 if beat == len(samples) - 1 else np.log(following[beat] / min(median, NEXT))
        rhythm = np.maximum(0, [*early, pause])
        found = beats.waveforms[beat, 5:10, 0]
        assert found == pytest.approx([*rhythm, level], rel=1e-4, abs=1e-5), beat
        weighted = float(rhythm @ [0.6, 0.5, 7.5, 5])
        together.append(4 * np.log(1 + weighted / 4))
    assert level > 0.1


def test_of_shifts_that_fit_as_well_the_smallest_is_taken() -> None:
    """A beat that is the same wherever it is cut stays where its R peak is."""
    cutter = BeatCutter(WITH_EVIDENCE, 1, RATE, 125.0, 125 / RATE)
    window = np.tile([1, 1, -1, -1], 23)[None, None, :91].astype(np.float32)
    beats, errors = cutter._aligned(window)
    np.testing.assert_array_equal(beats, window[:, :, SHIFT:-SHIFT])
    assert errors == pytest.approx([0])


def test_a_run_of_early_beats_stays_early_for_the_patient_and_bigeminy_is_regular() -> None:
    """Unlike for the running median, which the run soon is."""
    ecg, samples = rhythm_recording()
    beats, _ = joined(pieces_of(ecg[None], RATE, (), samples, WITH_EVIDENCE))
    for_patient, for_latest, for_rhythm, pause = beats.waveforms[:, 5:9, 0].T
    usual = beats.usual_rr
    assert np.abs(usual - 0.8).max() < 0.03
    run = PLACES["run"]
    assert for_patient[run].min() > 1.4
    assert for_rhythm[run][2:].max() < 0.1 and for_latest[run][2:].max() < 0.4
    bigeminy = PLACES["bigeminy"]
    early, late = for_patient[bigeminy][0::2], for_patient[bigeminy][1::2]
    assert early.min() > 5 and late.max() == 0
    # What follows an early beat is a pause, as far ahead as is looked.
    assert pause[bigeminy][0:20:2].min() > 0.04
    regular = PLACES["again"]
    assert for_patient[regular][2:].max() < 1


def test_the_usual_interval_follows_a_drift_and_after_ten_minutes_a_jump() -> None:
    drift = np.geomspace(0.6, 1.2, 400)
    usual = UsualInterval()
    usual.begin(drift[:11])
    assert np.abs(np.log(usual.before(drift) / drift))[20:].max() < 0.03
    rising = np.r_[np.full(40, 1.2), np.geomspace(1.2, 0.7, 12), np.full(20, 0.7)]
    other = UsualInterval()
    other.begin(rising[:11])
    assert other.before(rising)[-1] == 0.7
    jumped = np.full(2500, 0.6)
    found = usual.before(jumped)
    changed = int(np.argmax(found < 1))
    assert 600 / 0.6 - 1 <= changed <= 600 / 0.6 + 2
    assert found[changed:] == pytest.approx(0.6) and found[:changed].min() > 1.1
    # Where an interval is missing, nothing changes; where none has been, there is none.
    assert usual.before(np.array([np.nan, 0.6, np.nan])) == pytest.approx(0.6)
    unknown = UsualInterval()
    unknown.begin(np.zeros(0))
    assert np.isnan(unknown.before(np.array([np.nan])))
    assert unknown.before(np.array([0.7, np.nan])) == pytest.approx(0.7)


@pytest.mark.parametrize("sizes", [[1] * 200, [7, 1, 40, 0, 13, 60, 79]])
def test_rhythm_is_the_same_however_many_intervals_come_at_once(sizes: list[int]) -> None:
    rng = np.random.default_rng(1)
    intervals = rng.normal(0.8, 0.1, 200)
    intervals[rng.random(200) < 0.1] = np.nan
    median, spread = rng.normal(0.8, 0.01, 200), rng.random(200)
    opening = intervals[~np.isnan(intervals)][:5]

    def given(sizes: list[int]) -> tuple[np.ndarray, np.ndarray]:
        rhythm, edges = Rhythm(), np.cumsum(sizes)[:-1]
        rhythm.begin(opening)
        columns = (np.split(values, edges) for values in (intervals, median, spread))
        parts = [rhythm.before(*part) for part in zip(*columns, strict=True)]
        usual, early = zip(*parts, strict=True)
        return np.concatenate(usual), np.concatenate(early)

    for found, expected in zip(given(sizes), given([200]), strict=True):
        np.testing.assert_array_equal(found, expected)
    missing = np.isnan(intervals)
    assert (given(sizes)[1][missing] == 0).all() and (given(sizes)[1][~missing] > 0).any()


@pytest.mark.parametrize("irregular", [False, True])
def test_bigeminy_is_regular_and_fibrillation_is_not(irregular: bool) -> None:
    intervals = np.tile([0.5, 1.1], 40)
    if irregular:
        intervals = np.random.default_rng(0).uniform(0.5, 1.1, 80)
    regularity = Regularity()
    regularity.begin(intervals[:11])
    found, three = regularity.before(intervals)
    assert (found[31:] > 0.1).all() if irregular else (found < 1e-9).all()
    assert three[0] == np.log(intervals[0])
    assert three[50] == np.median(np.log(intervals[47:50]))


def test_after_a_gap_there_is_no_rr_interval(
    damaged: tuple[np.ndarray, float, np.ndarray],
) -> None:
    leads, rate, _ = damaged
    beats, stretches = joined(pieces_of(leads, rate))
    (start, stop) = next(stretch for stretch in stretches if stretch[1] > 3400)
    assert start <= 3100 + rate / 4
    assert stop - 3500 < 4 * rate
    assert not ((beats.samples >= start) & (beats.samples < stop)).any()
    after = int(np.searchsorted(beats.samples, stop))
    assert np.isnan(beats.rr[after, 0])
    assert not np.isnan(beats.rr[after + 1, 0])
    # In a flat lead nothing is judged, and the beats that another shows are given all the same.
    flat = (beats.samples > 4700) & (beats.samples < 5150)
    assert flat.any()
    assert set(beats.left_out[flat]) == {"window with missing samples"}


@pytest.mark.parametrize(
    ("folder", "name", "sensitivity", "predictivity"),
    [
        ("mitdb", "208", 0.993, 0.998),
        ("mitdb", "207", 0.998, 0.95),
        ("mitdb", "203", 0.99, 0.995),
        ("svdb", "865", 0.97, 0.999),
    ],
)
def test_annotated_beats_are_found(
    request: pytest.FixtureRequest, folder: str, name: str, sensitivity: float, predictivity: float
) -> None:
    leads, rate, annotated = read(request.getfixturevalue(folder), name, 1800)
    samples = joined(pieces_of(leads, rate))[0].samples
    n_right = len(match_beats(annotated, samples, 0.15 * rate))
    assert n_right / len(annotated) >= sensitivity
    assert n_right / len(samples) >= predictivity


def noise(shape: tuple[int, int], kind: str, rate: float) -> np.ndarray:
    rng, time = np.random.default_rng(0), np.arange(shape[1]) / rate
    match kind:
        case "missing":
            return np.full(shape, np.nan)
        case "flat":
            return np.full(shape, -0.3)
        case "saturated":
            return np.where(rng.random(shape) < 0.8, 5.0, rng.normal(size=shape))
        case "white":
            return rng.normal(scale=2, size=shape)
        case "mains":
            return np.tile(0.5 * np.sin(2 * np.pi * 50 * time), (shape[0], 1))
    return np.cumsum(rng.normal(scale=0.02, size=shape), axis=1)


@pytest.mark.parametrize("kind", ["missing", "flat", "saturated", "white", "mains", "wandering"])
def test_what_cannot_be_read_is_said_and_holds_no_beats(mitdb: Path, kind: str) -> None:
    leads, rate, annotated = read(mitdb, "100", 150)
    start, stop = round(60 * rate), round(100 * rate)
    leads[:, start:stop] = noise((2, stop - start), kind, rate)
    beats, stretches = joined(pieces_of(leads, rate))
    covered = sum(max(0, min(b, stop) - max(a, start)) for a, b in stretches)
    assert covered >= 0.85 * (stop - start)
    inside = (beats.samples > start + rate / 2) & (beats.samples < stop - rate / 2)
    assert inside.sum() <= 1
    outside = annotated[(annotated < start - rate) | (annotated > stop + 4 * rate)]
    assert len(match_beats(outside, beats.samples, 0.15 * rate)) == len(outside)


@pytest.mark.parametrize("n_samples", [0, 1, 180, 3000])
@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_where_there_is_nothing_there_are_no_beats(n_samples: int, value: float) -> None:
    beats, stretches = joined(pieces_of(np.full((2, n_samples), value), 360.0))
    assert len(beats.samples) == len(beats.waveforms) == 0
    assert beats.waveforms.shape[1:] == (5, 87)
    assert stretches == ([(0, n_samples)] if n_samples else [])


def test_the_filter_keeps_shape_and_place() -> None:
    rate = 360.0
    time = np.arange(7200) / rate
    pulse = np.exp(-0.5 * ((time - 10) / 0.02) ** 2) + 1e-9 * np.cos(time)
    wander = 5 + np.sin(2 * np.pi * 0.15 * time)
    filtered = {}
    for name, signal in (("pulse", pulse), ("both", pulse + wander)):
        leads = CausalLeads(1, rate, 125.0, BAND)
        parts = [leads.push(signal[None]), leads.finish()]
        filtered[name] = np.concatenate([values[0] for values, _ in parts])
        assert not np.concatenate([missing for _, missing in parts]).any()
    assert len(filtered["pulse"]) == 2500
    peak = int(filtered["pulse"].argmax())
    assert peak == 1250
    assert filtered["pulse"][peak] == pytest.approx(1, abs=0.12)
    around = filtered["pulse"][peak - 100 : peak + 101]
    assert around == pytest.approx(around[::-1], abs=1e-3)
    assert np.abs(filtered["both"] - filtered["pulse"])[125:-125].max() < 0.15


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"form": "heartbeat"}, "form window"),
        ({"filter": {"band": [0.3, 40]}}, "0.5 Hz"),
        ({"filter": {"band": None}}, "0.5 Hz"),
        ({"filter": {"band": [1, 40], "notch": 50}}, "notch"),
        ({"window": {"after": 1200}}, "1000 ms"),
        ({"window": {"unit": "samples", "before": 30, "after": 60}}, "sampling_rate"),
        ({"evidence": True}, "evidence: it needs causal: true, and a template"),
        ({"alignment": 16}, "alignment: it needs causal: true, and a template"),
        ({"causal": False, "template": "added", "evidence": True}, "evidence: it needs causal"),
        ({"causal": False, "template": "added", "alignment": 16}, "alignment: it needs causal"),
    ],
)
def test_what_cannot_be_had_in_time_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SegmentationConfig.model_validate({"causal": True, **settings})


def test_a_filter_beyond_half_the_sampling_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match="half the sampling rate"):
        CausalLeads(1, 70, 125, BAND)
