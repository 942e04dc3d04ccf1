"""Splits and scaling: nothing leaks, nothing is lost, nothing divides by zero."""

from collections import Counter

import numpy as np
import pytest

from ecgad.config.data import SplitConfig
from ecgad.data.beats import Beats
from ecgad.data.scaling import RunningStatistics, Scaler
from ecgad.data.sources import Record
from ecgad.data.splits import SplitAssignment, hide_anomalies, splits_of_records
from ecgad.errors import ConfigError

# Over which axes of beats a scaling takes its numbers.
AXES = {"position": (0,), "lead": (0, 2), "all": (0, 1, 2)}


def beats_of(counts: dict[str, int], in_test: np.ndarray | None = None) -> Beats:
    symbols = np.repeat(list(counts), list(counts.values()))
    n = len(symbols)
    values = np.random.default_rng(0).normal(size=(n, 2, 5)).astype(np.float32)
    labels = (symbols != "N").astype(np.int8)
    return Beats(values, symbols, labels, np.arange(n), in_test=in_test)


def test_splits_are_stratified_seeded_and_complete() -> None:
    beats = beats_of({"N": 1000, "V": 100, "S": 7})
    splits = SplitAssignment(SplitConfig(), seed=1).indices(beats)
    assert sorted(np.concatenate(list(splits.values()))) == list(range(len(beats)))
    for name, n_normal, n_ventricular in (("train", 600, 60), ("validation", 200, 20)):
        counts = beats.take(splits[name]).class_counts
        assert (counts["N"], counts["V"]) == (n_normal, n_ventricular)
    same = SplitAssignment(SplitConfig(), seed=1).indices(beats)
    other = SplitAssignment(SplitConfig(), seed=2).indices(beats)
    assert all(np.array_equal(splits[name], same[name]) for name in splits)
    assert not np.array_equal(splits["test"], other["test"])


def test_the_test_set_of_the_source_is_kept() -> None:
    in_test = np.arange(200) % 2 == 1
    beats = beats_of({"N": 150, "V": 50}, in_test)
    splits = SplitAssignment(SplitConfig(method="source"), seed=0).indices(beats)
    assert np.array_equal(splits["test"], np.flatnonzero(in_test))
    assert len(splits["train"]) == 3 * len(splits["validation"]) == 75


@pytest.mark.parametrize("counts", [{"N": 3, "V": 1}, {"N": 1, "V": 50}])
def test_too_few_beats_are_refused(counts: dict[str, int]) -> None:
    assignment = SplitAssignment(SplitConfig(), seed=0)
    list(assignment.assign(beats_of(counts)))
    with pytest.raises(ConfigError, match=r"would get no (normal|anomalous) one; give more beats"):
        assignment.check()


def test_parts_are_assigned_in_the_proportion_of_the_whole() -> None:
    config = SplitConfig(fractions=(0.7, 0.1, 0.2), anomalous_fractions=(0.0, 0.1, 0.9))
    assignment = SplitAssignment(config, seed=0)
    rng = np.random.default_rng(0)
    total = {"N": 0, "V": 0}
    for n_normal, n_ventricular in rng.integers(0, 4, (200, 2)):
        total["N"] += n_normal
        total["V"] += n_ventricular
        part = beats_of({"N": n_normal, "V": n_ventricular})
        rows = np.concatenate([of_split.rows for _, of_split in assignment.assign(part)])
        assert sorted(rows) == list(range(len(part)))
    for split, normal, ventricular in zip(
        assignment.tallies.values(), (0.7, 0.1, 0.2), (0.0, 0.1, 0.9), strict=True
    ):
        assert split.by_class["N"] == pytest.approx(normal * total["N"], abs=1)
        assert split.by_class["V"] == pytest.approx(ventricular * total["V"], abs=1)


RECORDS = [Record(str(n), patient=str(min(n, 202))) for n in range(200, 212)]


def test_patients_stay_on_one_side() -> None:
    by_record = splits_of_records(RECORDS, SplitConfig(method="patients"), seed=0)
    assert by_record is not None
    assert set(by_record) == {record.name for record in RECORDS}
    assert len({by_record[record.name] for record in RECORDS[2:]}) == 1


def test_a_patient_on_two_by_record_is_refused_unless_allowed() -> None:
    lists = {"train": ["200", "203"], "validation": ["201"], "test": ["202"]}
    settings = {"method": "records", "records": lists}
    with pytest.raises(ConfigError, match=r"records 202 \(test\) and 203 \(train\) are of one"):
        splits_of_records(RECORDS, SplitConfig.model_validate(settings), seed=0)
    allowed = SplitConfig.model_validate({**settings, "allow_patient_overlap": True})
    by_record = splits_of_records(RECORDS, allowed, seed=0)
    assert by_record == {"200": "train", "203": "train", "201": "validation", "202": "test"}
    with pytest.raises(ConfigError, match="allow_patient_overlap"):
        splits_of_records(RECORDS, SplitConfig(method="random"), seed=0)
    random = SplitConfig(allow_patient_overlap=True)
    assert splits_of_records(RECORDS, random, seed=0) is None


@pytest.mark.parametrize("per", AXES)
def test_minmax_spans_the_fitted_beats_and_clips_nothing(per: str) -> None:
    rng = np.random.default_rng(0)
    fitted = rng.normal(3, 5, size=(50, 2, 7)).astype(np.float32)
    scaler = Scaler.fit(fitted, "minmax", per)
    scaled = scaler.transform(fitted)
    axes = AXES[per]
    np.testing.assert_allclose(scaled.min(axis=axes), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.max(axis=axes), 1, atol=1e-6)
    statistics = RunningStatistics(per).add(fitted)
    assert statistics.n_outside(fitted) == 0
    wider = fitted * 3
    assert scaler.transform(wider).max() > 1
    brute = np.sum((scaler.transform(wider) < 0) | (scaler.transform(wider) > 1))
    assert statistics.n_outside(wider) == pytest.approx(brute, abs=2)


@pytest.mark.parametrize("per", AXES)
@pytest.mark.parametrize("method", ["minmax", "standard"])
def test_scaling_of_parts_is_that_of_the_whole(method: str, per: str) -> None:
    beats = np.random.default_rng(0).normal(3, 5, size=(50, 2, 7)).astype(np.float32)
    parts = RunningStatistics(per)
    for part in np.split(beats, [0, 1, 30]):
        parts.add(part)
    whole, pieced = Scaler.fit(beats, method, per), parts.scaler(method)
    np.testing.assert_allclose(pieced.offset, whole.offset, rtol=1e-12)
    np.testing.assert_allclose(pieced.scale, whole.scale, rtol=1e-12)


@pytest.mark.parametrize("per", AXES)
def test_standard_gives_mean_0_and_deviation_1(per: str) -> None:
    fitted = np.random.default_rng(0).normal(3, 5, size=(50, 2, 7)).astype(np.float32)
    scaled = Scaler.fit(fitted, "standard", per).transform(fitted)
    axes = AXES[per]
    np.testing.assert_allclose(scaled.mean(axis=axes), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=axes), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["minmax", "standard"])
@pytest.mark.parametrize("per", AXES)
def test_what_never_varies_is_only_shifted(method: str, per: str) -> None:
    fitted = np.full((20, 1, 6), 0.1, np.float32)
    scaler = Scaler.fit(fitted, method, per)
    np.testing.assert_allclose(scaler.transform(fitted), 0, atol=1e-6)
    np.testing.assert_allclose(scaler.transform(fitted + 2), 2, atol=1e-5)


@pytest.mark.parametrize("method", ["minmax", "standard"])
@pytest.mark.parametrize("per", AXES)
def test_evidence_is_neither_scaled_nor_counted(method: str, per: str) -> None:
    """The other leads are scaled as if it were not there, and brought back without it."""
    rng = np.random.default_rng(0)
    beats = rng.normal(3, 5, size=(50, 4, 7)).astype(np.float32)
    beats[:, 2:] *= 1000
    parts = RunningStatistics(per)
    for part in np.split(beats, [20]):
        parts.add(part, n_evidence=2)
    seen = Scaler.fit(beats[:, :2], method, per)
    for scaler in (Scaler.fit(beats, method, per, 2), parts.scaler(method)):
        scaled = scaler.transform(beats)
        np.testing.assert_array_equal(scaled[:, 2:], beats[:, 2:])
        np.testing.assert_allclose(
            scaled[:, :2], seen.transform(beats[:, :2]), rtol=1e-4, atol=1e-6
        )
        np.testing.assert_allclose(scaler.inverse_transform(scaled), beats, rtol=1e-4, atol=1e-4)
        made = scaler.inverse_transform(scaled[:, :2])
        np.testing.assert_allclose(made, beats[:, :2], rtol=1e-4, atol=1e-4)
    wider = beats.copy()
    wider[:, 2:] *= 10
    assert parts.n_outside(wider) == 0


def test_scaler_survives_json_to_the_bit() -> None:
    import json

    fitted = np.random.default_rng(0).normal(size=(50, 2, 7)).astype(np.float32)
    scaler = Scaler.fit(fitted, "standard", "position")
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    np.testing.assert_array_equal(scaler.transform(fitted), again.transform(fitted))
    np.testing.assert_allclose(
        scaler.inverse_transform(scaler.transform(fitted)), fitted, atol=1e-6
    )


def test_hidden_anomalies_are_labelled_normal() -> None:
    labels = (np.arange(1000) % 4 == 0).astype(np.int8)
    hidden = hide_anomalies(labels, 0.1, seed=0)
    changed = hidden != labels
    assert (labels[changed] == 1).all()
    assert changed.sum() / (hidden == 0).sum() == pytest.approx(0.1, abs=0.001)
    np.testing.assert_array_equal(hide_anomalies(labels, 0, seed=0), labels)
    # No more than there are.
    assert not hide_anomalies(labels, 0.5, seed=0).any()


def test_patients_of_every_group_are_divided_in_proportion() -> None:
    """Diagnoses, say: each in the ratio of the fractions, all records of a patient together."""
    counts = {"healthy": 50, "infarction": 20, "rare": 10}
    records = [
        Record(f"{group}{patient}/{number}", f"{group}{patient}", group)
        for group, n_patients in counts.items()
        for patient in range(n_patients)
        for number in range(2)
    ]
    config = SplitConfig(method="patients", fractions=(0.6, 0.2, 0.2))
    by_record = splits_of_records(records, config, seed=0)
    assert by_record is not None
    for group, n_patients in counts.items():
        found = Counter(by_record[r.name] for r in records if r.group == group)
        shares = {"train": 0.6, "validation": 0.2, "test": 0.2}
        assert found == {split: 2 * share * n_patients for split, share in shares.items()}
    # By the seed, whatever the order in which records are found.
    assert splits_of_records(records[::-1], config, seed=0) == by_record
    assert splits_of_records(records, config, seed=1) != by_record
