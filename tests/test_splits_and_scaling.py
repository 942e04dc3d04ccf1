"""Splits and scaling: nothing leaks, nothing is lost, nothing divides by zero."""

import numpy as np
import pytest

from ecgad.data.beats import Beats
from ecgad.data.scaling import Scaler, out_of_range
from ecgad.data.splits import split_beats
from ecgad.errors import ConfigError


def beats_of(counts: dict[str, int], in_test: np.ndarray | None = None) -> Beats:
    symbols = np.repeat(list(counts), list(counts.values()))
    n = len(symbols)
    values = np.random.default_rng(0).normal(size=(n, 2, 5)).astype(np.float32)
    labels = (symbols != "N").astype(np.int8)
    return Beats(values, symbols, labels, np.arange(n), in_test=in_test)


def test_splits_are_stratified_seeded_and_complete() -> None:
    beats = beats_of({"N": 1000, "V": 100, "S": 7})
    splits = split_beats(beats, (0.6, 0.2, 0.2), seed=1)
    assert sorted(np.concatenate(list(splits.values()))) == list(range(len(beats)))
    for name, n_normal, n_ventricular in (("train", 600, 60), ("validation", 200, 20)):
        counts = beats.take(splits[name]).class_counts
        assert (counts["N"], counts["V"]) == (n_normal, n_ventricular)
    same = split_beats(beats, (0.6, 0.2, 0.2), seed=1)
    other = split_beats(beats, (0.6, 0.2, 0.2), seed=2)
    assert all(np.array_equal(splits[name], same[name]) for name in splits)
    assert not np.array_equal(splits["test"], other["test"])


def test_the_test_set_of_the_source_is_kept() -> None:
    in_test = np.arange(200) % 2 == 1
    beats = beats_of({"N": 150, "V": 50}, in_test)
    splits = split_beats(beats, (0.6, 0.2, 0.2), seed=0, keep_test=True)
    assert np.array_equal(splits["test"], np.flatnonzero(in_test))
    assert len(splits["train"]) == 3 * len(splits["validation"]) == 75


@pytest.mark.parametrize("counts", [{"N": 3, "V": 1}, {"N": 1, "V": 50}])
def test_too_few_beats_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"would get no (normal|anomalous) one; give more beats"):
        split_beats(beats_of(counts), (0.6, 0.2, 0.2), seed=0)


@pytest.mark.parametrize("per", ["position", "lead"])
def test_minmax_spans_the_fitted_beats_and_clips_nothing(per: str) -> None:
    rng = np.random.default_rng(0)
    fitted = rng.normal(3, 5, size=(50, 2, 7)).astype(np.float32)
    scaler = Scaler.fit(fitted, "minmax", per)
    scaled = scaler.transform(fitted)
    axes = 0 if per == "position" else (0, 2)
    np.testing.assert_allclose(scaled.min(axis=axes), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.max(axis=axes), 1, atol=1e-6)
    assert out_of_range(fitted, fitted, per) == 0
    wider = fitted * 3
    assert scaler.transform(wider).max() > 1
    brute = np.mean((scaler.transform(wider) < 0) | (scaler.transform(wider) > 1))
    assert out_of_range(wider, fitted, per) == pytest.approx(brute)


@pytest.mark.parametrize("per", ["position", "lead"])
def test_standard_gives_mean_0_and_deviation_1(per: str) -> None:
    fitted = np.random.default_rng(0).normal(3, 5, size=(50, 2, 7)).astype(np.float32)
    scaled = Scaler.fit(fitted, "standard", per).transform(fitted)
    axes = 0 if per == "position" else (0, 2)
    np.testing.assert_allclose(scaled.mean(axis=axes), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=axes), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["minmax", "standard"])
@pytest.mark.parametrize("per", ["position", "lead"])
def test_what_never_varies_is_only_shifted(method: str, per: str) -> None:
    fitted = np.full((20, 1, 6), 0.1, np.float32)
    scaler = Scaler.fit(fitted, method, per)
    np.testing.assert_allclose(scaler.transform(fitted), 0, atol=1e-6)
    np.testing.assert_allclose(scaler.transform(fitted + 2), 2, atol=1e-5)


def test_scaler_survives_json_to_the_bit() -> None:
    import json

    fitted = np.random.default_rng(0).normal(size=(50, 2, 7)).astype(np.float32)
    scaler = Scaler.fit(fitted, "standard", "position")
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    np.testing.assert_array_equal(scaler.transform(fitted), again.transform(fitted))
    np.testing.assert_allclose(
        scaler.inverse_transform(scaler.transform(fitted)), fitted, atol=1e-6
    )
