"""Scores relative to the level of their record: against brute force, and as beats come."""

from itertools import pairwise

import numpy as np
import pytest

from ecgad import Detector
from ecgad.config.segmentation import SegmentationConfig
from ecgad.data.beats import BeatFormat
from ecgad.detection.live import JudgedBeats, LiveDetector
from ecgad.processing.causal.segmenter import Segmenter
from ecgad.processing.evidence import EVIDENCE
from ecgad.processing.segmentation import lead_names
from ecgad.scoring.levels import FIRST, LATEST, LEVEL, MOST, RENEWED, Levels, RecordLevel
from tests.helpers import RATE, easy_recording


def levels_by_hand(scores: np.ndarray, usual: float) -> np.ndarray:
    """The level before each score of a record."""
    known = list(scores[:FIRST])
    found = [usual] * min(len(scores), FIRST)
    if len(scores) <= FIRST:
        return np.array(found)
    known = [score for score in known if score <= MOST * np.median(known)]
    n_new, at = 0, list(known)
    for score in scores[FIRST:]:
        latest = at[-LATEST:]
        found.append(np.quantile(latest, LEVEL))
        if score <= MOST * np.median(latest):
            known.append(score)
            n_new += 1
            if n_new % RENEWED == 0:
                at = list(known)
    return np.array(found)


def record(n: int, seed: int) -> np.ndarray:
    """Scores of a record, a tenth of which are far higher."""
    rng = np.random.default_rng(seed)
    return rng.lognormal(0, 0.3, n) * np.where(rng.random(n) < 0.1, 8, 1)


@pytest.mark.parametrize("power", [0.3, 1.0])
def test_levels_are_those_of_brute_force(power: float) -> None:
    """Of records that are short and long, between one another."""
    parts = {"a": record(700, 1), "b": 5 * record(700, 2), "c": record(FIRST + 1, 3)}
    parts["d"] = record(FIRST - 1, 4)
    names = np.repeat(list(parts), [len(part) for part in parts.values()])
    order = np.argsort(np.random.default_rng(0).random(len(names)))
    # Of each record still in time.
    records = names[order]
    scores = np.empty(len(records))
    for name, part in parts.items():
        scores[records == name] = part
    levels = Levels(power, 1.3)
    found = levels.relative(scores, records)
    for name, part in parts.items():
        expected = part / (levels_by_hand(part, 1.3) / 1.3) ** power
        np.testing.assert_allclose(found[records == name], expected)
        np.testing.assert_array_equal(levels.relative(part, None), found[records == name])


@pytest.mark.parametrize("sizes", [[1] * 500, [7, 13, 0, 100, 380]])
def test_levels_are_the_same_however_many_scores_come_at_once(sizes: list[int]) -> None:
    scores, levels = record(500, 0), Levels(0.5, 2.0)
    live = RecordLevel(levels)
    parts = np.split(scores, np.cumsum(sizes)[:-1])
    found = np.concatenate([live.relative(part) for part in parts])
    np.testing.assert_array_equal(found, levels.relative(scores, None))


def test_the_first_beats_are_judged_at_the_usual_level_and_no_power_does_nothing() -> None:
    scores = record(400, 0)
    np.testing.assert_array_equal(Levels(1, 7.0).relative(scores, None)[:FIRST], scores[:FIRST])
    assert np.abs(Levels(1, 7.0).relative(scores, None)[FIRST:] / scores[FIRST:] - 1).min() > 1
    np.testing.assert_array_equal(Levels(0, 7.0).relative(scores, None), scores)
    np.testing.assert_array_equal(Levels(0.5, 2.0).relative(np.zeros(60), None), 0)
    assert Levels(0.5, 2.0).relative(scores[:0], None).shape == (0,)


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_a_record_of_higher_scores_comes_nearer_by_the_power(power: float) -> None:
    """Its scores are k times as high, and k ** (1 - power) times once the level is known."""
    scores, levels = record(400, 0), Levels(power, 2.0)
    plain, higher = (levels.relative(k * scores, None) for k in (1, 6))
    np.testing.assert_allclose(higher[:FIRST] / plain[:FIRST], 6)
    np.testing.assert_allclose(higher[FIRST:] / plain[FIRST:], 6 ** (1 - power))


def test_anomalous_beats_do_not_become_the_level_and_a_slow_change_does() -> None:
    rng = np.random.default_rng(0)
    scores = rng.lognormal(0, 0.1, 1000)
    scores[200:] = np.where(rng.random(800) < 0.7, 9, scores[200:])
    relative = Levels(1, 1.0).relative(scores, None)
    assert (relative[scores == 9] > 7).all()
    drifting = rng.lognormal(0, 0.1, 4000) * np.geomspace(1, 10, 4000)
    assert Levels(1, 1.0).relative(drifting, None)[-100:].mean() < 1.3


def test_the_usual_level_is_that_of_training_normals() -> None:
    scores = record(1000, 0)
    assert Levels.of_normals(0.5, scores) == Levels(0.5, float(np.quantile(scores, 0.75)))
    assert Levels.of_normals(0.5, np.zeros(9)).usual > 0


def test_beats_that_are_judged_as_they_come_have_the_scores_of_the_whole_record() -> None:
    """By evidence and codes, relative to the record, whatever the chunks."""
    settings = SegmentationConfig.model_validate(
        {
            "causal": True,
            "filter": {"band": [1, 40]},
            "sampling_rate": 125,
            "template": "difference",
            "alignment": 16,
            "evidence": True,
        }
    )
    ecg, samples, symbols = easy_recording(100)
    segmenter = Segmenter(settings, 1, [0], RATE, samples)
    beats = np.concatenate(
        [piece.beats.waveforms for piece in (segmenter.push(ecg[None]), segmenter.finish())]
    )
    detector = Detector.fit(
        beats,
        (np.array(symbols) == "V").astype(np.int8),
        beat_format=BeatFormat(
            lead_names(settings), (), 125.0, segmentation=settings, evidence=tuple(EVIDENCE)
        ),
        training={"epochs": 1},
        evaluation={"score": {"template": 0.7, "code_distance": 0.7, "rhythm": 1}},
    )
    detector.levels = Levels(0.5, 2.0)
    live = LiveDetector(detector, 1, [0], RATE, samples)
    edges = [*range(0, len(ecg), 313), len(ecg)]
    parts = [live.push(ecg[None, start:stop])[0] for start, stop in pairwise(edges)]
    judged = JudgedBeats.concatenate([*parts, live.finish()[0]])
    np.testing.assert_allclose(judged.scores, detector.scores(beats), rtol=1e-5)
    np.testing.assert_array_equal(judged.verdicts, detector.predict(beats))
    alone = detector.of_beats_alone(beats)[0]
    np.testing.assert_allclose(judged.scores[:FIRST], alone[:FIRST], rtol=1e-5)
    assert np.abs(judged.scores[FIRST:] / alone[FIRST:] - 1).min() > 0.01
