"""Thresholds and metrics against brute force and closed forms."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn import metrics as sk

from ecgad.config.evaluation import EvaluationConfig
from ecgad.data.beats import Beats
from ecgad.errors import ConfigError
from ecgad.evaluation.examples import choose_examples
from ecgad.evaluation.intervals import _resampled, bootstrap_intervals
from ecgad.evaluation.metrics import (
    HEADLINE,
    RECORD_MEASURES,
    by_record,
    confusion,
    false_alarms,
    mean_over_records,
    ranking_metrics,
    threshold_metrics,
)
from ecgad.evaluation.results import evaluate_scores
from ecgad.report.tables import false_alarm_words
from ecgad.scoring.thresholds import (
    Threshold,
    best_threshold,
    choose_threshold,
    false_alarms_allowed,
    few_words,
    peaks_over_threshold,
    provenance,
)


def scored(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, and labels."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(np.int8)
    return np.round(rng.normal(size=n) + labels, 1), labels


GOODNESS = {
    "best_accuracy": sk.accuracy_score,
    "best_f1": lambda labels, predicted: sk.f1_score(labels, predicted, zero_division=0),
    "youden": sk.balanced_accuracy_score,
}


@pytest.mark.parametrize("criterion", list(GOODNESS))
@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_is_that_of_brute_force(criterion: str, seed: int) -> None:
    scores, labels = scored(80, seed)

    def goodness(threshold: float) -> float:
        return float(GOODNESS[criterion](labels, (scores > threshold).astype(int)))

    every = [-np.inf, *np.unique(scores)]
    chosen = best_threshold(scores, labels, criterion)
    assert goodness(chosen) == pytest.approx(max(map(goodness, every)))


@pytest.mark.parametrize("criterion", list(GOODNESS))
def test_a_clean_gap_is_cut_in_its_middle(criterion: str) -> None:
    scores, labels = np.array([0.3, 0.1, 2.0, 1.0]), np.array([0, 0, 1, 1])
    assert best_threshold(scores, labels, criterion) == pytest.approx(0.65)


def asking(rate: float | None = None, **threshold: object) -> EvaluationConfig:
    settings = {"threshold": threshold, "max_false_alarm_rate": rate}
    return EvaluationConfig.model_validate(settings)


def test_thresholds_without_labels() -> None:
    rng = np.random.default_rng(0)
    train, validation = rng.exponential(size=1000), rng.exponential(size=500)
    labels = (np.arange(500) < 100).astype(np.int8)
    chosen = choose_threshold(asking(quantile=0.9), train, validation, labels)
    assert chosen.value == np.quantile(validation[100:], 0.9)
    assert (chosen.split, chosen.beats, chosen.n) == ("validation", "normal", 400)
    chosen = choose_threshold(asking(quantile=0.9), train, validation, None)
    assert chosen.n == 500
    chosen = choose_threshold(asking(method="mean_std", n_std=3.0), train, validation, None)
    assert chosen.value == pytest.approx(train.mean() + 3 * train.std())
    chosen = choose_threshold(asking(method="fixed", value=0.5), train, validation, None)
    assert (chosen.value, chosen.split) == (0.5, None)


@pytest.mark.parametrize("method", list(GOODNESS))
def test_thresholds_that_need_labels_say_so(method: str) -> None:
    scores = np.arange(5.0)
    config = asking(method=method)
    with pytest.raises(ConfigError, match="needs labelled validation beats"):
        choose_threshold(config, scores, scores, None)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_and_resampled_ones_are_those_of_scikit_learn(seed: int) -> None:
    """A resample by counts has the metrics of the resample written out."""
    scores, labels = scored(200, seed)
    threshold = 0.45
    drawn = np.random.default_rng(seed).integers(0, 200, 200)
    counts = np.bincount(drawn, minlength=200)
    order = np.argsort(-scores)
    ends = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])
    tp = np.r_[0, np.cumsum(counts[order] * (labels[order] == 1))[ends]]
    fp = np.r_[0, np.cumsum(counts[order] * (labels[order] == 0))[ends]]
    found = _resampled(tp, fp, int((np.unique(scores) > threshold).sum()))

    truth, score = labels[drawn], scores[drawn]
    predicted = score > threshold
    at_threshold = threshold_metrics(*confusion(truth, predicted.astype(np.int8)))
    assert {**ranking_metrics(score, truth), **at_threshold} == pytest.approx(found)
    assert found == pytest.approx(
        {
            "auroc": sk.roc_auc_score(truth, score),
            "average_precision": sk.average_precision_score(truth, score),
            "accuracy": sk.accuracy_score(truth, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
            "precision": sk.precision_score(truth, predicted),
            "recall": sk.recall_score(truth, predicted),
            "specificity": sk.recall_score(1 - truth, ~predicted),
            "f1": sk.f1_score(truth, predicted),
            "mcc": sk.matthews_corrcoef(truth, predicted),
        }
    )


@pytest.mark.parametrize("of_patients", [False, True])
def test_many_scores_are_resampled_as_if_neighbours_were_equal(
    of_patients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intervals from 500 steps are those from 3000, but for what the docstring allows."""
    scores, labels = scored(3000, 4)
    patients = np.arange(3000) % 60 if of_patients else None
    threshold = Threshold(0.5, "fixed", {}, None, None, 0)

    def intervals() -> dict[str, list[float]]:
        return bootstrap_intervals(scores, labels, threshold, 200, 1, patients)

    exact = intervals()
    monkeypatch.setattr("ecgad.evaluation.intervals.GROUPS", 500)
    for name, interval in intervals().items():
        # Patients are drawn alike in both; beats are not, so that only the chance is alike.
        assert interval == pytest.approx(exact[name], abs=0.002 if of_patients else 0.015)


def test_bootstrap_interval_of_a_share_is_the_normal_one() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(4000) < 0.5).astype(np.int8)
    scores = np.where(rng.random(4000) < 0.9, labels, 1 - labels).astype(float)
    threshold = Threshold(0.5, "fixed", {}, None, None, 0)
    low, high = bootstrap_intervals(scores, labels, threshold, 1000, seed=0)["accuracy"]
    accuracy = np.mean((scores > 0.5) == labels)
    half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / 4000)
    assert low == pytest.approx(accuracy - half, abs=0.15 * half)
    assert high == pytest.approx(accuracy + half, abs=0.15 * half)


def test_metrics_of_a_split() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1], np.int8)
    symbols = np.array(["N", "N", "N", "V", "V", "S"])
    beats = Beats(np.zeros((6, 1, 4), np.float32), symbols, labels, np.arange(6))
    threshold = Threshold(2.5, "fixed", {}, None, None, 0)
    entry = evaluate_scores(np.array([1.0, 2, 3, 4, 5, 2.2]), beats, threshold, 0, 0)
    assert entry["confusion_matrix"] == [[2, 1], [1, 2]]
    assert entry["recall_by_class"] == {"S": 0.0, "V": 1.0}
    assert entry["specificity"] == pytest.approx(2 / 3)
    assert entry["auroc"] == pytest.approx(8 / 9)
    assert (entry["n_normal"], entry["n_anomalous"]) == (3, 3)
    assert "interval_95" not in entry


def test_results_by_record_and_patients_as_the_unit_of_the_intervals() -> None:
    """Ten patients whose beats are all alike: the intervals are those over ten things."""
    n_patients, n_each = 10, 100
    patients = np.repeat([f"p{n}" for n in range(n_patients)], n_each)
    labels = np.tile([0, 1], n_patients * n_each // 2).astype(np.int8)
    # In five of them every beat is judged right, in the others every beat wrong.
    right = np.repeat(np.arange(n_patients) < 5, n_each)
    scores = np.where(right, labels, 1 - labels).astype(float)
    beats = Beats(
        np.zeros((len(labels), 1, 4), np.float32),
        labels.astype(str),
        labels,
        np.arange(len(labels)),
        records=patients,
        patients=patients,
    )
    threshold = Threshold(0.5, "fixed", {}, None, None, 0)
    entry = evaluate_scores(scores, beats, threshold, 2000, 0)
    assert entry["by_record"]["p0"] == {
        "n_normal": 50,
        "n_anomalous": 50,
        "auroc": 1.0,
        "sensitivity": 1.0,
        "specificity": 1.0,
    }
    assert entry["by_record"]["p9"]["auroc"] == 0.0
    assert entry["mean_over_records"]["sensitivity"] == 0.5
    # Of ten patients, each right with one half: between 2 and 8 of them.
    assert entry["interval_95"]["accuracy"] == pytest.approx([0.2, 0.8], abs=0.001)
    of_one_class = by_record(scores, np.zeros_like(labels), scores > 0.5, patients)
    assert of_one_class["p0"]["auroc"] is None
    assert of_one_class["p0"]["sensitivity"] is None


@pytest.mark.parametrize(("n", "rate"), [(19, 0.05), (100, 0.05), (333, 0.01), (99, 0.01)])
def test_a_conformal_threshold_keeps_its_promise(n: int, rate: float) -> None:
    """By simulation: the mean false-alarm rate lies between the guarantee's two bounds."""
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(4000):
        scores = rng.lognormal(size=n + 50)
        threshold = choose_threshold(asking(rate), np.empty(0), scores[:n], None)
        alarms.append((scores[n:] > threshold.value).mean())
    # Exactly floor((n + 1) rate) / (n + 1) where no scores are equal.
    expected = np.floor((n + 1) * rate + 1e-9) / (n + 1)
    assert rate - 1 / (n + 1) < expected <= rate + 1e-9
    assert np.mean(alarms) == pytest.approx(expected, abs=4 * np.std(alarms) / np.sqrt(4000))
    # And where 95% of the observed rates are said to lie, they do.
    low, high = false_alarms_allowed(rate, n, 50)
    inside = np.mean([low <= rate <= high for rate in alarms])
    assert inside >= 0.94


def test_a_rate_that_the_beats_cannot_support_says_how_many_are_needed() -> None:
    with pytest.raises(ConfigError, match=r"0\.01 needs at least 99 normal validation beats"):
        choose_threshold(asking(0.01), np.empty(0), np.arange(98.0), None)
    assert choose_threshold(asking(0.01), np.empty(0), np.arange(99.0), None).value == 98
    with pytest.raises(ConfigError, match="200 in all"):
        choose_threshold(asking(0.001, method="pot"), np.empty(0), np.arange(150.0), None)
    with pytest.raises(ConfigError, match="for rates below"):
        choose_threshold(asking(0.2, method="pot"), np.empty(0), np.arange(500.0), None)


def test_peaks_over_threshold_find_quantiles_beyond_the_sample() -> None:
    # Exponential scores: the 1 - 1e-5 quantile is log(1e5), and 4,000 beats end at about log(4e3).
    rng = np.random.default_rng(0)
    found = [
        choose_threshold(asking(1e-5, method="pot"), np.empty(0), rng.exponential(size=4000), None)
        for _ in range(30)
    ]
    assert np.median([threshold.value for threshold in found]) == pytest.approx(
        np.log(1e5), rel=0.1
    )


def scores_of_patients(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of exchangeable patients, some of whom have far higher ones and more beats."""
    n_beats = rng.integers(50, 90, n)
    patients = np.repeat([f"p{number}" for number in range(n)], n_beats)
    heights = np.repeat(rng.lognormal(0, 0.8, n), n_beats)
    return heights * rng.lognormal(0, 0.3, len(patients)), patients


@pytest.mark.parametrize("seed", range(3))
def test_a_threshold_for_patients_is_that_of_brute_force(seed: int) -> None:
    """The one of each patient leaves a share of its normal beats above; of these a rank."""
    scores, patients = scores_of_patients(np.random.default_rng(seed), 12)
    labels = (np.random.default_rng(1).random(len(scores)) < 0.1).astype(np.int8)
    few = patients == "p3"
    labels[few] = np.arange(few.sum()) >= 49
    scores[few] *= 100  # has no say
    config = asking(0.1, method="patients", patients=0.75)
    assert config.threshold.method == "patients"
    chosen = choose_threshold(config, np.empty(0), scores, labels, patients)
    normals = labels == 0
    own = []
    for name in np.unique(patients):
        of_patient = np.sort(scores[normals & (patients == name)])
        if len(of_patient) >= 50:
            # The lowest that no more than a tenth of the patient's beats exceed.
            own.append(next(t for t in of_patient if (of_patient > t).mean() <= 0.1))
    assert 4 < len(own) < 12
    rank = int(np.ceil(0.75 * (len(own) + 1) - 1e-9))
    assert chosen.value == sorted(own)[rank - 1]
    assert chosen.parameters == {
        "max_false_alarm_rate": 0.1,
        "patients": 0.75,
        "n_patients": len(own),
    }
    assert (chosen.split, chosen.beats, chosen.n) == ("validation", "normal", normals.sum())
    assert chosen.n_above == (scores[normals] > chosen.value).sum()


@pytest.mark.parametrize(("n", "share"), [(3, 0.75), (10, 0.75), (19, 0.9)])
def test_a_threshold_for_patients_keeps_its_promise(n: int, share: float) -> None:
    """By simulation: the share of new patients with no more false alarms than promised."""
    rng = np.random.default_rng(0)
    config = asking(0.05, method="patients", patients=share)
    kept = []
    for _ in range(250):
        scores, patients = scores_of_patients(rng, n + 1)
        new = patients == f"p{n}"
        chosen = choose_threshold(config, np.empty(0), scores[~new], None, patients[~new])
        kept.append((scores[new] > chosen.value).mean() <= 0.05)
    expected = np.ceil((n + 1) * share - 1e-9) / (n + 1)
    assert expected >= share - 1e-9
    assert np.mean(kept) >= expected - 3 * np.sqrt(share * (1 - share) / 250)


def test_too_few_patients_for_a_threshold_are_said() -> None:
    config = asking(0.05, method="patients", patients=0.9)
    scores, patients = scores_of_patients(np.random.default_rng(0), 9)
    assert choose_threshold(config, np.empty(0), scores, None, patients).n == len(scores)
    few = patients != "p8"
    short = np.r_[np.flatnonzero(few), np.flatnonzero(~few)[:49]]
    for of, known, n in (
        (scores[few], patients[few], 8),
        (scores[short], patients[short], 8),
    ):
        with pytest.raises(
            ConfigError,
            match=rf"^evaluation.threshold.patients: 0.9 needs at least 9 validation patients "
            rf"with 50 normal beats each, and there are {n};",
        ) as error:
            choose_threshold(config, np.empty(0), of, None, known)
        assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="patients needs beats whose patients are known"):
        choose_threshold(config, np.empty(0), scores, None, None)
    with pytest.raises(ValueError, match=r"patients needs evaluation\.max_false_alarm_rate"):
        asking(method="patients")


def test_false_alarms_by_record_stand_beside_the_promise_for_patients() -> None:
    """As many alarms as were promised are a promise kept."""
    parameters = {"max_false_alarm_rate": 0.05, "patients": 0.75, "n_patients": 7.0}
    threshold = Threshold(1.0, "patients", parameters, "validation", "normal", 900)
    n_alarms = {"a": 5, "b": 0, "c": 11, "d": 10}
    scores = np.concatenate([np.r_[np.full(n, 2.0), np.zeros(100 - n)] for n in n_alarms.values()])
    records = np.repeat(list(n_alarms), 100)
    # One that has no normal beat at all does not count.
    scores, records = np.append(scores, 2.0), np.append(records, "e")
    labels = (records == "e").astype(np.int8)
    symbols = np.where(labels, "V", "N")
    beats = Beats(
        np.zeros((401, 1, 4), np.float32), symbols, labels, np.arange(401), records=records
    )
    alarms = evaluate_scores(scores, beats, threshold, 0, 0)["false_alarms"]
    assert alarms["promised"] == 0.05 and alarms["observed"] == pytest.approx(26 / 400)
    assert alarms["allowed_95"] is None
    assert alarms["patients"] == pytest.approx(
        {
            "promised": 0.75,
            "kept": 0.5,
            "median": 0.075,
            "mean": 0.065,
            "above_twice": 0.25,
            "n_records": 4,
        }
    )
    words = false_alarm_words(alarms)
    assert "at most 5.0% of them in 75% of new patients; kept in 50% of 4 records" in words
    assert "more than twice as many in 25%" in words
    other = replace(threshold, method="conformal")
    told = evaluate_scores(scores, beats, other, 0, 0)["false_alarms"]
    assert told["patients"] is None and told["allowed_95"]
    del told["patients"]  # as an earlier version wrote it
    assert "promised 5.000%" in false_alarm_words(told)


def test_the_resolved_config_says_what_is_asked_for() -> None:
    config = asking(0.01)
    assert config.threshold.method == "conformal"
    assert EvaluationConfig.model_validate(config.model_dump()) == config
    assert asking(0.01, method="youden").threshold.method == "conformal"
    for method in ("pot", "patients"):
        assert asking(0.01, method=method).threshold.method == method
    with pytest.raises(ValueError, match=r"needs evaluation\.max_false_alarm_rate"):
        asking(method="conformal")


@pytest.mark.parametrize("quantile", [0.8, 0.9])
def test_the_interval_of_a_threshold_holds_the_true_quantile(quantile: float) -> None:
    """Whatever the distribution; here of uniform scores, whose quantiles are known."""
    rng = np.random.default_rng(0)
    config = asking(method="quantile", quantile=quantile)
    inside = 0
    for _ in range(300):
        chosen = choose_threshold(config, np.empty(0), rng.random(90), None)
        assert chosen.interval_95 is not None
        low, high = chosen.interval_95
        inside += (low or 0) <= quantile <= (high or 1)
    assert inside / 300 >= 0.93


def test_a_threshold_that_rests_on_few_beats_says_so() -> None:
    rng = np.random.default_rng(0)
    few = choose_threshold(asking(method="quantile"), np.empty(0), rng.random(26), None)
    assert (few.n, few.n_above) == (26, 1)
    assert few.interval_95 is not None
    assert few.interval_95[1] is None  # so few do not tell how high it might be
    words = few_words(vars(few))
    assert "1 of 26" in words and "more than any of them" in words
    many = choose_threshold(asking(method="quantile"), np.empty(0), rng.random(5000), None)
    assert many.interval_95 is None and few_words(vars(many)) == ""
    scores, labels = scored(80, 0)
    for method in ("mean_std", "youden"):
        chosen = choose_threshold(asking(method=method), scores, scores, labels)
        assert chosen.interval_95 is not None
        low, high = chosen.interval_95
        assert low is not None and high is not None
        assert low <= chosen.value <= high


def test_the_tail_is_the_likeliest_one_that_begins_where_the_tail_does() -> None:
    """A twin of the fit: shape and scale by a search of its own, the location being the level's."""
    scores = np.random.default_rng(3).standard_t(4, size=1500) ** 2
    start = np.quantile(scores, 0.9)
    excesses = scores[scores > start] - start

    def unlikely(parameters: np.ndarray) -> float:
        shape, scale = parameters[0], np.exp(parameters[1])
        grown = 1 + shape * excesses / scale
        if (grown <= 0).any():
            return np.inf
        return float(len(excesses) * np.log(scale) + (1 + 1 / shape) * np.log(grown).sum())

    shape, scale = minimize(unlikely, [0.1, 0.0], method="Nelder-Mead").x
    for rate in (0.05, 1e-3, 1e-6):
        beyond = rate * len(scores) / len(excesses)
        expected = start + np.exp(scale) / shape * (beyond**-shape - 1)
        found = peaks_over_threshold(scores, rate)
        assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("n_of_each", [1, 24, 40])
def test_the_worst_misses_have_the_lowest_scores_and_the_mildest_the_highest(
    n_of_each: int,
) -> None:
    rng = np.random.default_rng(n_of_each)
    n = 4 * n_of_each
    labels = np.arange(n) % 2
    # A quarter each: right and wrong of both classes; 1 is the threshold.
    scores = rng.permutation(n_of_each * 4) / n
    wrong = np.arange(n) % 4 < 2
    scores = np.where((labels == 1) != wrong, 1.1 + scores, scores)
    beats = Beats(np.zeros((n, 1, 3), np.float32), labels.astype(str), labels, np.arange(n))
    threshold = Threshold(1.0, "fixed", {}, None, None, 0)
    found = choose_examples({"test": scores}, {"test": beats}, threshold)
    missed = sorted(np.flatnonzero((labels == 1) & wrong), key=lambda beat: scores[beat])
    alarms = sorted(np.flatnonzero((labels == 0) & wrong), key=lambda beat: scores[beat])
    assert found["missed_worst"].tolist() == missed[:24]
    assert found["missed_mildest"].tolist() == missed[::-1][:24]
    assert found["false_alarm_worst"].tolist() == alarms[::-1][:24]
    assert found["false_alarm_mildest"].tolist() == alarms[:24]
    for name, label in (("normal", 0), ("anomalous", 1)):
        of_label = np.flatnonzero(labels == label)
        apart = np.abs(scores - np.median(scores[of_label]))
        nearest = sorted(of_label, key=lambda beat: apart[beat])[:24]
        assert sorted(apart[found[name]]) == pytest.approx(sorted(apart[nearest]))
    unlabelled = Beats(beats.waveforms, beats.symbols, None, beats.rows)
    # Of the beats of all splits, where nobody has labelled them.
    by_split = {"train": scores, "test": scores + 0.01 / n}
    found = choose_examples(by_split, {"train": unlabelled, "test": unlabelled}, threshold)
    order = np.argsort(np.concatenate(list(by_split.values())))
    assert found["lowest"].tolist() == order[:24].tolist()
    assert found["highest"].tolist() == order[::-1][:24].tolist()


def test_typical_anomalies_are_of_each_class_in_turn() -> None:
    symbols = np.array([*"N" * 40, *"V" * 40, *"S" * 3])
    labels = (symbols != "N").astype(np.int8)
    scores = np.random.default_rng(0).random(83)
    beats = Beats(np.zeros((83, 1, 3), np.float32), symbols, labels, np.arange(83))
    threshold = Threshold(0.5, "fixed", {}, None, None, 0)
    found = choose_examples({"test": scores}, {"test": beats}, threshold)
    assert "".join(symbols[found["anomalous"]]) == "SVSVSV" + "V" * 18
    assert len(set(found["anomalous"])) == 24


def test_a_beat_at_the_threshold_is_normal() -> None:
    threshold = Threshold(0.5, "fixed", {}, None, None, 0)
    found = threshold.predict(np.array([0.4, 0.5, np.nextafter(0.5, 1)]))
    assert found.tolist() == [0, 0, 1] and found.dtype == np.int8


def test_among_equally_good_thresholds_the_middle_one_is_taken() -> None:
    """And where all beats are better called alike, it lies beyond the scores."""
    scores, labels = np.arange(10.0), np.array([0] * 4 + [1, 0, 1, 0] + [1] * 2)
    # 3.5, 5.5 and 7.5 call two of ten wrongly.
    assert best_threshold(scores, labels, "best_accuracy") == 5.5
    backwards = np.array([1, 0, 0, 0, 0, 0])
    highest = best_threshold(np.arange(6.0), backwards, "best_accuracy")
    assert highest == 5.0
    lowest = best_threshold(np.arange(6.0), 1 - backwards[::-1], "best_f1")
    assert lowest < 0


def test_words_of_a_threshold_say_what_it_was_chosen_on() -> None:
    def words(*of: Any) -> str:
        return provenance(vars(Threshold(*of)))

    assert words(1.0, "fixed", {}, None, None, 0) == "fixed"
    quantile = (0.5, "quantile", {"quantile": 0.98}, "validation", "normal", 40)
    assert words(*quantile) == "quantile (quantile 0.98) of 40 normal validation beats"
    found = words(0.5, "mean_std", {}, "train", "unlabelled", 40)
    assert found == "mean_std of 40 unlabelled train beats"
    assert words(0.5, "youden", {}, "validation", "all", 50) == "youden of 50 validation beats"


def test_false_alarms_lie_where_binomial_and_beta_binomial_laws_say() -> None:
    """By brute force over how many of 200 beats raise an alarm."""
    rng = np.random.default_rng(0)
    threshold = Threshold(1.0, "conformal", {"max_false_alarm_rate": 0.05}, "validation", "n", 99)
    found = false_alarms(12, 200, threshold)
    assert (found["promised"], found["observed"]) == (0.05, 0.06)
    of_binomial = rng.binomial(200, 0.05, 200_000) / 200
    assert found["binomial_95"] == pytest.approx(
        np.quantile(of_binomial, [0.025, 0.975]), abs=0.006
    )
    # The rate beyond the fifth-highest of 99 scores has a law of its own: beta.
    rates = rng.beta(5, 95, 200_000)
    of_both = rng.binomial(200, rates) / 200
    assert found["allowed_95"] == pytest.approx(np.quantile(of_both, [0.025, 0.975]), abs=0.006)
    other = Threshold(1.0, "pot", {"max_false_alarm_rate": 0.05}, "validation", "normal", 99)
    assert false_alarms(12, 200, other)["allowed_95"] is None


def test_where_each_threshold_comes_from_is_said() -> None:
    scores, labels = np.arange(1000.0), np.arange(1000) % 2
    train = np.arange(300.0)
    rate, validation = {"max_false_alarm_rate": 0.05}, ("validation", "normal", 500)
    asked: list[tuple[EvaluationConfig, tuple[Any, ...]]] = [
        (asking(quantile=0.9), ("quantile", {"quantile": 0.9}, *validation)),
        (
            asking(method="mean_std", n_std=1.5),
            ("mean_std", {"n_std": 1.5}, "train", "normal", 300),
        ),
        (asking(0.05), ("conformal", rate, *validation)),
        (asking(0.05, method="pot"), ("pot", rate, *validation)),
        (asking(method="youden"), ("youden", {}, "validation", "all", 1000)),
        (asking(method="fixed", value=3.0), ("fixed", {}, None, None, 0)),
    ]
    for config, expected in asked:
        threshold = choose_threshold(config, train, scores, labels)
        value, *found, n_above, interval = vars(threshold).values()
        assert tuple(found) == expected
        method = expected[0]
        of = {"mean_std": train, "youden": scores}.get(method, scores[labels == 0])
        assert n_above == (0 if method == "fixed" else (of > value).sum())
        assert interval is None
    unlabelled = choose_threshold(asking(quantile=0.9), train, scores, None)
    assert (unlabelled.beats, unlabelled.n, unlabelled.n_above) == ("unlabelled", 1000, 100)


@pytest.mark.parametrize(("n", "quantile"), [(40, 0.9), (150, 0.98)])
def test_the_interval_of_a_quantile_holds_the_true_one_as_often_as_it_says(
    n: int, quantile: float
) -> None:
    """By simulation of few exponential scores; an end that they do not tell holds whatever lies."""
    rng = np.random.default_rng(0)
    true, held, ends = -np.log(1 - quantile), [], []
    for _ in range(1000):
        threshold = choose_threshold(
            asking(quantile=quantile), np.empty(0), rng.exponential(size=n), None
        )
        assert threshold.interval_95 is not None
        low, high = threshold.interval_95
        ends.append((low, high))
        held.append((low is None or low <= true) and (high is None or true <= high))
    assert 0.94 <= np.mean(held) <= 0.995
    # Each end is missed about as often as the other.
    missed = [np.mean([low is not None and low > true for low, _ in ends])]
    missed.append(np.mean([high is not None and high < true for _, high in ends]))
    assert max(missed) < 0.04


@pytest.mark.parametrize("n", [20, 99])
def test_a_threshold_on_few_beats_says_how_far_chance_moves_it(n: int) -> None:
    rng = np.random.default_rng(n)
    config, widths = asking(method="mean_std"), []
    drawn = rng.normal(size=(2000, n))
    values = drawn.mean(axis=1) + 2 * drawn.std(axis=1)
    for _ in range(10):
        threshold = choose_threshold(config, rng.normal(size=n), np.zeros(1), None)
        assert threshold.interval_95 is not None
        low, high = threshold.interval_95
        assert low is not None and high is not None and low < threshold.value < high
        widths.append(high - low)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(values), rel=0.2)
    scores, labels = scored(n, 1)
    best = choose_threshold(asking(method="youden"), np.empty(0), scores, labels)
    assert best.interval_95 is not None
    words = few_words(vars(best))
    assert words.startswith(f"the threshold rests on few beats: {best.n_above} of {n} lie above it")
    assert few_words(vars(replace(best, interval_95=(None, 2.0)))).endswith("from - to 2")
    assert few_words(vars(replace(best, interval_95=(1, None)))).endswith("more than any of them")
    many = choose_threshold(asking(quantile=0.5), np.empty(0), rng.normal(size=100), None)
    assert many.interval_95 is None and few_words(vars(many)) == ""


def test_titles_are_words() -> None:
    for title in [*HEADLINE.values(), *RECORD_MEASURES.values()]:
        assert re.fullmatch(r"[A-Za-z1() ]+", title)


def test_threshold_metrics_of_counts_are_those_of_scikit_learn() -> None:
    """Also where nothing is flagged, or all: what cannot be divided is 0."""
    for tn, fp, fn, tp in (
        (50, 7, 4, 20),
        (3, 0, 1, 1),
        (50, 0, 9, 0),
        (0, 30, 0, 4),
        (3, 1, 1, 1),
    ):
        truth = np.repeat([0, 0, 1, 1], (tn, fp, fn, tp))
        predicted = np.repeat([0, 1, 0, 1], (tn, fp, fn, tp))
        assert confusion(truth.astype(np.int8), predicted.astype(np.int8)) == [tn, fp, fn, tp]
        found = threshold_metrics(tn, fp, fn, tp)
        assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(truth, predicted))
        assert found["f1"] == pytest.approx(sk.f1_score(truth, predicted, zero_division=0))
        precision = sk.precision_score(truth, predicted, zero_division=0)
        assert found["precision"] == pytest.approx(precision)
    assert confusion(np.zeros(3, np.int8), np.zeros(3, np.int8)) == [3, 0, 0, 0]


def test_results_of_records_are_of_their_own_beats_and_each_counts_the_same() -> None:
    records = np.repeat([*"abc"], (10, 4, 6))
    labels = np.array([0] * 6 + [1] * 4 + [0] * 4 + [1] * 6)
    scores = np.arange(20.0)
    found = by_record(scores, labels, (scores > 7).astype(np.int8), records)
    assert found["a"] == {
        "n_normal": 6,
        "n_anomalous": 4,
        "auroc": 1.0,
        "sensitivity": 0.5,
        "specificity": 1.0,
    }
    assert found["b"] == {
        "n_normal": 4,
        "n_anomalous": 0,
        "auroc": None,
        "sensitivity": None,
        "specificity": 0.0,
    }
    assert found["c"]["specificity"] is None and found["c"]["sensitivity"] == 1.0
    assert mean_over_records(found) == {
        "auroc": 1.0,
        "n_auroc": 1,
        "sensitivity": 0.75,
        "n_sensitivity": 2,
        "specificity": 0.5,
        "n_specificity": 2,
    }
    assert mean_over_records({"b": found["b"]})["auroc"] is None


def test_few_are_fewer_than_ten_above_or_a_hundred_in_all() -> None:
    def few(n: int, quantile: float) -> bool:
        threshold = choose_threshold(asking(quantile=quantile), np.empty(0), np.arange(n), None)
        return threshold.interval_95 is not None

    assert not few(100, 0.5) and few(99, 0.5)
    assert not few(100, 0.9) and few(100, 0.91)


def test_one_beat_among_many_decides_which_threshold_is_best() -> None:
    """Of hundreds of thousands; near the best one, others are wrong about a beat more."""
    labels = (np.arange(400_000) >= 200_000).astype(np.int8)
    labels[200_002] = 0
    for criterion in GOODNESS:
        assert best_threshold(np.arange(400_000.0), labels, criterion) == 199_999.5


def test_nothing_is_chosen_by_a_criterion_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no such criterion: best_luck"):
        best_threshold(np.arange(4.0), np.array([0, 1, 0, 1]), "best_luck")
