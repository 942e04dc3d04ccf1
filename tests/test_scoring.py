"""Scores and baselines: against brute force, on a common scale, from a checkpoint alone."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ecgad.config.training import TrainingConfig
from ecgad.data.beats import Beats
from ecgad.data.splits import SPLITS
from ecgad.detection.trained import TrainedDetector
from ecgad.errors import ConfigError, FileError
from ecgad.evaluation.baselines import FITS, earliness, run_baselines
from ecgad.models import Autoencoder, Ensemble, build_model
from ecgad.processing.rr_intervals import rr_intervals
from ecgad.scoring.by_record import adapted_scores
from ecgad.scoring.components import COMPONENTS
from ecgad.scoring.inference import compute_features, encode, reconstruct
from ecgad.scoring.reference_beats import (
    ReferenceBeats,
    choose_reference_beats,
    compute_reference,
)
from ecgad.scoring.scorer import Scorer
from ecgad.training.fit import fit
from tests.helpers import small_model, some_beats, with_evidence

from .conftest import SMOKE, STAGES, Call


def reference_of(model: Autoencoder, train: Beats, **config: Any) -> ReferenceBeats:
    return choose_reference_beats(model, train, TrainingConfig(**config), seed=0)


def test_code_distance_is_that_of_brute_force() -> None:
    model, train, test = small_model(), some_beats(), some_beats(30, seed=1)
    reference = reference_of(model, train)
    assert len(reference) == len(train.normals)
    known = encode(model, train.waveforms[train.normals])
    apart = np.linalg.norm(encode(model, test.waveforms)[:, None] - known[None], axis=2)
    expected = np.sort(apart, axis=1)[:, :4].mean(axis=1)
    found = Scorer(model, {"code_distance": 1}, reference, neighbours=4).scores(test.waveforms)
    # On a scale of its own: by what the median training normal has.
    np.testing.assert_allclose(found / found[0], expected / expected[0], rtol=1e-4)


def test_beat_distance_is_that_of_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    model, train, test = small_model(2), some_beats(), some_beats(30, seed=1)
    for most in (5_000_000, 2 * 60 * 40):
        # At most so many numbers over both members: every fourth beat.
        monkeypatch.setattr("ecgad.scoring.reference_beats.MOST_NUMBERS", most)
        reference = reference_of(model, train)
        assert len(reference) == len(train.normals) == 160
        known = train.waveforms[train.normals][:: 1 if most > 10_000 else 4]
        apart = np.sqrt(((test.waveforms[:, None] - known[None]) ** 2).sum(axis=(2, 3)))
        expected = np.sort(apart, axis=1)[:, :2].mean(axis=1)
        scorer = Scorer(model, {"beat_distance": 1}, reference, 2, train.format.timing)
        found = scorer.scores(test.waveforms)
        np.testing.assert_allclose(found / found[0], expected / expected[0], rtol=1e-5)
    without = reference.only({"codes"})
    with pytest.raises(FileError, match="lacks reference beats for this score; train again"):
        Scorer(model, {"beat_distance": 1}, without, 2)


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_is_on_the_common_scale(name: str) -> None:
    """A typical training normal scores 1, by every component and by all together."""
    model, train = small_model(2), with_evidence(some_beats(400))
    reference = reference_of(model, train)
    normals = train.waveforms[train.normals]

    def scores(beats: np.ndarray, **components: float) -> np.ndarray:
        known = train.format
        scorer = Scorer(model, components, reference, 3, known.timing, evidence=known.evidence)
        return scorer.scores(beats)

    together = scores(normals, **{"mae": 1, name: 2})
    assert np.median(together) == pytest.approx(1, rel=0.3)
    assert (together > 0).all()
    assert np.median(scores(10 * normals, **{name: 1, "mse": 1})) > 1.4


def test_components_are_combined_by_their_weights() -> None:
    model, train = small_model(), some_beats()
    reference = reference_of(model, train)

    def score(**components: float) -> np.ndarray:
        return Scorer(model, components, reference, 3).scores(train.waveforms)

    error, distance = score(mse=1, code_distance=1e-12), score(code_distance=1)
    both = score(mse=1, code_distance=3)
    np.testing.assert_allclose(np.log(both), (np.log(error) + 3 * np.log(distance)) / 4, rtol=1e-5)


def test_an_ensemble_scores_by_the_mean_of_its_members() -> None:
    model, train = small_model(3), some_beats()
    assert isinstance(model, Ensemble)
    assert model.encode(torch.zeros(5, 3, 20)).shape == (5, 9)
    alone = [Scorer(member, {"mae": 1}, None).scores(train.waveforms) for member in model.members]
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    together = Scorer(model, {"mae": 1}, None).scores(train.waveforms)
    np.testing.assert_allclose(together, np.mean(alone, axis=0))
    with torch.no_grad():
        made = torch.stack([member(torch.ones(2, 3, 20)) for member in model.members]).mean(0)
        torch.testing.assert_close(model(torch.ones(2, 3, 20)), made)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_the_first_member_trains_as_it_would_alone(clip: float | None) -> None:
    beats = torch.from_numpy(some_beats(64).waveforms)
    config = TrainingConfig(epochs=3, batch_size=16, learning_rate=0.01, gradient_clip=clip)
    states = [
        list(fit(small_model(members), beats[:48], beats[48:], config, seed=1))[-1]
        for members in (1, 3)
    ]
    for name, weights in states[0].weights.items():
        torch.testing.assert_close(states[1].weights[f"networks.0.{name}"], weights)


def test_the_worst_beats_are_not_learned_from() -> None:
    """With trimming, a tenth of the beats that are of another kind stays badly reconstructed."""
    rng = np.random.default_rng(0)
    usual = rng.normal(size=(270, 1, 1)) * np.sin(np.linspace(0, 3, 20))
    other = rng.normal(size=(30, 1, 1)) * np.cos(np.linspace(0, 9, 20))
    beats = np.concatenate([usual, other]).astype(np.float32)
    errors = {}
    for contamination in (0.0, 0.05):
        torch.manual_seed(0)
        model = build_model("dense", 1, 20, {"layers": [16], "code_size": 2})
        config = TrainingConfig(
            epochs=30, batch_size=50, learning_rate=0.01, contamination=contamination
        )
        tensor = torch.from_numpy(beats)
        for state in fit(model, tensor, tensor[:270], config, seed=0):
            model.load_state_dict(state.weights)
        scores = Scorer(model, {"mae": 1}, None).scores(beats)
        errors[contamination] = scores[270:].mean() / scores[:270].mean()
        train = Beats(beats, np.zeros(300, str), np.zeros(300, np.int8), np.arange(300))
        reference = choose_reference_beats(model, train, config, seed=0)
        assert len(reference) == round((1 - config.trimmed) * 300)
    assert errors[0.05] > 2 * errors[0.0]


def test_a_score_adapts_to_the_start_of_a_record() -> None:
    """Later beats of a record are compared with its first ones as well, but for the worst."""
    model, train = small_model(), some_beats()
    reference = reference_of(model, train)
    scorer = Scorer(model, {"code_distance": 1}, reference, 1, train.format.timing)
    rng = np.random.default_rng(5)
    own = 4 + rng.normal(scale=0.1, size=(30, *train.waveforms.shape[1:])).astype(np.float32)
    own[5] += 40  # in the first minutes, but no beat that is usual there
    other = train.waveforms[:10]
    beats = Beats(
        np.concatenate([own, other]),
        symbols=np.full(40, "N"),
        labels=None,
        rows=np.arange(40),
        records=np.repeat(["a", "b"], (30, 10)),
        times=np.r_[np.arange(30), np.arange(10)] * 10.0,
    )
    assert beats.records is not None and beats.times is not None
    of_records = (beats.waveforms, None, beats.records, beats.times)
    plain, adapted = scorer.scores(beats.waveforms), adapted_scores(scorer, *of_records, minutes=2)
    first = np.r_[np.arange(12), np.arange(30, 40)]
    assert (adapted[first] == plain[first]).all()
    assert (adapted[12:30] < plain[12:30] / 3).all()
    by_hand = scorer.adapted(own[:12])
    np.testing.assert_allclose(by_hand.scores(own[12:]), adapted[12:30])
    assert by_hand.scores(own[5:6]) > 3 * by_hand.scores(own[12:]).max()

    with pytest.raises(ConfigError, match="compares with no beats; add code_distance"):
        adapted_scores(Scorer(model, {"mae": 1}, reference), *of_records, minutes=2)


def test_prematurity_looks_at_intervals_before_the_beat_alone() -> None:
    """Whatever a feature is called; the next interval changes nothing, an earlier beat does."""
    timing = ("log_rr_next_ratio", "log_rr_previous_ratio")
    beats = some_beats(100).waveforms[:, :2]
    known = np.concatenate([beats, np.zeros((100, 2, 20), np.float32)], axis=1)
    known[:, 2:] += np.random.default_rng(0).normal(size=(100, 2, 1))
    torch.manual_seed(0)
    model = build_model("dense", 4, 20, {"layers": [16], "code_size": 3})
    reference = compute_reference(model, known, None, timing)
    scorer = Scorer(model, {"prematurity": 1}, reference, timing=timing)
    changed = {}
    for lead in (2, 3):
        earlier = known.copy()
        earlier[:, lead] -= 3
        changed[lead] = scorer.scores(earlier) / scorer.scores(known)
    np.testing.assert_array_equal(changed[2], 1)
    assert np.median(changed[3]) > 5


def test_rhythm_is_one_of_a_beat_in_time_and_template_grows_with_both_errors() -> None:
    """By hand; a beat that is early and one with a pause after it score higher."""
    rhythm, template = (fitted_on(name, np.zeros((9, 5))) for name in ("rhythm", "template"))
    early = [2, 1, 0.4, 0]
    scores = rhythm(np.array([[0] * 5, [*early, 0], [0, 0, 0, 0.3, 0], [*early, 0.7], [*early, 9]]))
    first = (1 + (0.6 * 2 + 0.5 * 1 + 7.5 * 0.4) / 4) ** 4
    # No earlier than usual in the record is not early.
    expected = [1, first, (1 + 5 * 0.3 / 4) ** 4, first / np.exp(0.7), 1]
    assert scores == pytest.approx(expected)
    errors = np.array([[0, 0], [-1, 0.5], [1, 2.0]])
    np.testing.assert_allclose(template(errors), np.exp([0, -0.7 + 0.15, 0.7 + 0.6]))


def test_what_the_network_is_given_is_without_evidence() -> None:
    """Errors, codes, reconstructions and baselines are the same, whatever the evidence says."""
    model, seen = small_model(2), some_beats(120)
    train, other = with_evidence(seen), with_evidence(seen, seed=1)
    np.testing.assert_array_equal(train.seen, seen.waveforms)
    known, timing = train.format.evidence, seen.format.timing
    everything = {"mae", "mse", "codes", "timing", "before", "rhythm", "template"}
    for beats in (train, other):
        np.testing.assert_array_equal(encode(model, beats.waveforms), encode(model, seen.waveforms))
        np.testing.assert_array_equal(
            reconstruct(model, beats.waveforms), reconstruct(model, seen.waveforms)
        )
        of_seen = compute_features(model, seen.waveforms, None, timing, everything)
        found = compute_features(model, beats.waveforms, None, timing, everything)
        assert found.keys() - of_seen.keys() == {"rhythm", "template"}
        for name, values in of_seen.items():
            np.testing.assert_array_equal(found[name], values)
        np.testing.assert_array_equal(found["rhythm"], beats.waveforms[:, 3:8, 0])
        np.testing.assert_array_equal(found["template"], beats.waveforms[:, 8:, 0])
        scorer = Scorer(model, {"mae": 1}, timing=timing, evidence=known)
        expected = Scorer(model, {"mae": 1}, timing=timing).scores(seen.waveforms)
        np.testing.assert_array_equal(scorer.scores(beats.waveforms), expected)
    plain, told = (
        run_baselines(["pca", "knn"], dict.fromkeys(SPLITS, beats), seed=0)
        for beats in (seen, train)
    )
    for name, result in plain.items():
        np.testing.assert_array_equal(told[name].scores["test"], result.scores["test"])
    scorer = Scorer(model, {"rhythm": 1}, reference_of(model, train), evidence=known)
    assert np.abs(scorer.scores(train.waveforms) - scorer.scores(other.waveforms)).max() > 0.01


def test_what_a_score_lacks_is_said() -> None:
    model, train = small_model(), some_beats()
    reference = reference_of(model, train, coreset=20)
    assert len(reference) == 20
    with pytest.raises(FileError, match=r"component wavelet is not in this version.*mae, mse"):
        Scorer(model, {"wavelet": 1}, reference)
    with pytest.raises(ConfigError, match="timing needs beats with timing features"):
        Scorer(model, {"timing": 1}, reference)
    for name in ("rhythm", "template"):
        with pytest.raises(ConfigError, match=f"{name} needs beats with evidence; set evidence"):
            Scorer(model, {"mae": 1, name: 1}, reference)
    with pytest.raises(ConfigError, match="of 20 reference beats, none has 20"):
        Scorer(model, {"code_distance": 1}, reference, neighbours=20)
    with pytest.raises(FileError, match="no reference beats"):
        Scorer(model, {"code_distance": 1}, None)
    with pytest.raises(ConfigError, match=r"coreset: 161 is more than the 160 normal"):
        reference_of(model, train, coreset=161)


def test_baselines_tell_beats_apart_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecgad.evaluation.baselines.NEIGHBOUR_OPERATIONS", 0)
    train, test = some_beats(4000), some_beats(100, seed=1)
    test.waveforms[test.labels == 1] *= 3
    splits = {"train": train, "validation": test, "test": test}
    results = run_baselines(list(FITS), splits, seed=0)
    for name, result in results.items():
        assert result.scores["test"].shape == (100,)
        normal, anomalous = (result.scores["test"][test.labels == label] for label in (0, 1))
        assert np.median(anomalous) > np.quantile(normal, 0.9), name
    assert (results["knn"].n_fitted, results["knn"].n_normals) == (1000, 3200)
    # Neighbours against brute force, where all normals are taken.
    small = some_beats(50, seed=2)
    found = run_baselines(["knn"], {**splits, "train": small}, seed=0)["knn"].scores["test"]
    known = small.waveforms[small.normals].reshape(40, -1)
    apart = np.linalg.norm(test.waveforms.reshape(100, 1, -1) - known[None], axis=2)
    np.testing.assert_allclose(found, np.sort(apart, axis=1)[:, :5].mean(axis=1), rtol=1e-4)


def test_a_run_with_every_component_scores_from_its_detector_alone(
    tmp_path: Path, script: Call, fails: Any
) -> None:
    """The four stages with an ensemble and promised false alarms; then one beat, elsewhere."""
    score = "evaluation.score={mae: 1, code_distance: 1, code_mahalanobis: 0.5}"
    options = ["-c", str(SMOKE), "--set", "training.members=2", "--set", score]
    options += ["--set", "evaluation.max_false_alarm_rate=0.05", "--set", "training.epochs=2"]
    options += ["--set", f"evaluation.baselines=[{', '.join(FITS)}]"]
    for stage in STAGES:
        outcome = script(stage, *options)
        assert outcome.code == 0, outcome.stderr
    # A mistake in the config, not a file that is damaged.
    for setting in ("evaluation.score=timing", "evaluation.neighbours=1000"):
        line = fails(2, STAGES[2], *options, "--overwrite", "--set", setting)
        assert line.startswith("error: evaluation.")
    report = Path("runs/smoke/report.html").read_text()
    assert "isolation forest" in report
    assert "promised 5.000%" in report
    assert Path("runs/smoke/figures/false_alarms.png").exists()
    assert Path("runs/smoke/figures/accuracy_by_threshold.png").exists()

    run = Path("runs/smoke")
    stored = np.load(run / "scores_test.npy")
    scaled = np.load("data/processed/smoke/beats_test.npy")
    for name in ("config.yaml", "scores_test.npy", "metrics.json"):
        (run / name).unlink()
    detector = TrainedDetector.load(run)
    raw = detector.scaler.inverse_transform(scaled)
    np.testing.assert_allclose(detector.scores(raw), stored, rtol=1e-3)
    np.testing.assert_allclose(detector.scores(raw[:1]), stored[:1], rtol=1e-3)

    content = torch.load(run / "detector.pt", weights_only=True)
    content["score"]["components"]["wavelet"] = 1.0
    torch.save(content, run / "detector.pt")
    with pytest.raises(FileError, match=r"^score component wavelet is not in this version"):
        TrainedDetector.load(run)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.members=0", "training.members: input should be greater than or equal to 1"),
        ("training.contamination=0.6", "training.contamination: input should be less than"),
        ("training.coreset=100000", "training.coreset: 100000 is more than the"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    setting: str, message: str, script: Call, fails: Any
) -> None:
    script(STAGES[0], "-c", SMOKE)
    assert message in fails(2, STAGES[1], "-c", SMOKE, "--set", setting)


def test_earliness_is_one_in_a_regular_rhythm_and_more_for_an_early_beat() -> None:
    beats = some_beats(60)
    samples = np.tile(200 * np.arange(1, 31), 2)
    samples[10] -= 80  # early, and a pause after it
    rr = np.concatenate([rr_intervals(samples[:30], 200.0), rr_intervals(samples[30:], 200.0)])
    records = np.repeat(["a", "b"], 30)
    known = replace(beats, samples=samples, rr=rr, records=records)
    scores = earliness(known)
    assert scores[10] == pytest.approx(1 / 0.6)
    assert scores[11] == pytest.approx(1 / 1.4)
    np.testing.assert_allclose(np.delete(scores, [10, 11]), 1)
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(earliness(known.take(order)), scores[order])
    results = run_baselines(["rr_interval"], dict.fromkeys(SPLITS, known), seed=0)
    np.testing.assert_array_equal(results["rr_interval"].scores["test"], scores)
    assert run_baselines(["rr_interval"], dict.fromkeys(SPLITS, beats), seed=0) == {}


@pytest.mark.parametrize("kind", ["equal", "mostly equal"])
def test_codes_that_do_not_vary_are_refused(kind: str) -> None:
    codes = np.ones((100, 4), np.float32)
    if kind == "mostly equal":
        codes[80:] = np.random.default_rng(0).normal(size=(20, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConfigError, match="needs codes that vary"):
            COMPONENTS["code_mahalanobis"].fit(codes)


def test_codes_of_few_dimensions_are_told_apart_in_these() -> None:
    """A dimension that the network does not use, and two that are one."""
    codes = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    codes[:, 1], codes[:, 3] = 0, codes[:, 2]
    mahalanobis = COMPONENTS["code_mahalanobis"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = mahalanobis.prepare(codes, mahalanobis.fit(codes), 5)
    assert score(codes).max() < score(np.array([[9, 0, 0, 0], [0, 0, 9, 9]])).min()


def fitted_on(name: str, reference: np.ndarray, neighbours: int = 5) -> Any:
    component = COMPONENTS[name]
    return component.prepare(reference, component.fit(reference), neighbours)


def test_prematurity_counts_deviations_below_the_median_and_late_beats_not_at_all() -> None:
    """exp of the mean over the intervals; a late beat is as usual as one that is in time."""
    reference = np.random.default_rng(0).normal(1.0, 0.1, size=(1000, 2))
    score = fitted_on("prematurity", reference)
    middle, spread = np.median(reference, axis=0), reference.std(axis=0)
    in_time, late, early = score(middle + np.array([[0.0], [3.0], [-3.0]]) * spread)
    assert (in_time, late) == (1, 1)
    assert early == pytest.approx(np.exp(3))
    # Early by the one interval, late by the other.
    assert score(middle + spread * [[-4.0, 8.0]])[0] == pytest.approx(np.exp(2))


def test_a_reference_beat_is_not_its_own_neighbour() -> None:
    known = np.array([[0.0], [1.0], [3.0], [7.0]])
    score = fitted_on("code_distance", known, neighbours=2)
    np.testing.assert_allclose(score(known), [2.0, 1.5, 2.5, 5.0])
    # One that has a twin among them is 0 from it.
    np.testing.assert_allclose(score(np.array([[2.0], [8.0]])), [1.0, 3.0])
    twins = fitted_on("timing", np.array([[0.0], [0.0], [5.0], [9.0]]), neighbours=2)
    np.testing.assert_allclose(twins(np.array([[0.0]])), [0.0])


def test_mahalanobis_counts_deviations_along_and_across_the_codes_whatever_their_scale() -> None:
    """Codes of a known law: the distance is that of its covariance; outliers do not move it."""
    rng = np.random.default_rng(0)
    law = np.array([[4.0, 1.8], [1.8, 1.0]])
    codes = rng.multivariate_normal([5, -3], law, size=400)
    asked = np.array([5, -3]) + np.array([[2, 1], [-2, 1], [0, 0.5], [6, 3]])
    apart = asked - [5, -3]
    expected = np.sqrt(np.einsum("ij,jk,ik->i", apart, np.linalg.inv(law), apart))
    other_unit = fitted_on("code_mahalanobis", codes * [1e3, 1e-3])(asked * [1e3, 1e-3])
    np.testing.assert_allclose(other_unit, expected, rtol=0.15)
    spoilt = np.concatenate([codes[:360], rng.normal(500, 1, size=(40, 2))])
    np.testing.assert_allclose(fitted_on("code_mahalanobis", spoilt)(asked), expected, rtol=0.15)
    # A quarter may be outliers, and no more.
    spoilt = np.concatenate([codes[:240], rng.normal(500, 1, size=(160, 2))])
    assert fitted_on("code_mahalanobis", spoilt)(np.array([[500.0, 500.0]])) < 5
    assert fitted_on("code_mahalanobis", codes)(np.array([[500.0, 500.0]])) > 100


def test_the_spread_of_codes_is_fitted_alike_each_time() -> None:
    """Whatever else has drawn numbers since; it begins with random subsets."""
    codes = np.random.default_rng(0).standard_t(2, size=(40, 6))
    fits = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002
        fits.append(COMPONENTS["code_mahalanobis"].fit(codes))
    for name, fitted in fits[0].items():
        np.testing.assert_array_equal(fits[1][name], fitted)


@pytest.mark.parametrize("name", ["mae", "mse"])
def test_an_error_is_that_of_the_samples_which_are_ecg(name: str) -> None:
    """By hand from the reconstruction; of a padded beat, over its own samples in every lead."""
    model, beats = small_model(), some_beats(5000).waveforms
    lengths = np.full(5000, 20)
    lengths[::3] = 7
    apart = np.abs(reconstruct(model, beats) - beats).astype(np.float64)
    power = {"mae": 1, "mse": 2}[name]
    plain = (apart**power).mean(axis=(1, 2))
    short = (apart[:, :, :7] ** power).mean(axis=(1, 2))
    scorer = Scorer(model, {name: 1})
    np.testing.assert_allclose(scorer.scores(beats), plain, rtol=1e-5)
    np.testing.assert_allclose(
        scorer.scores(beats, lengths), np.where(lengths == 7, short, plain), rtol=1e-5
    )


def test_codes_and_reconstructions_are_of_each_beat_by_itself() -> None:
    """However many are computed at once, and of a network that was last training."""
    model = build_model("cnn", 3, 20, {"depth": 1, "filters": 4}).train()
    beats = some_beats(30).waveforms
    few = [reconstruct(model, beats[i : i + 1]) for i in range(30)]
    model.train()
    np.testing.assert_allclose(reconstruct(model, beats), np.concatenate(few), atol=1e-5)
    model.train()
    codes = encode(model, beats)
    model.train()
    np.testing.assert_allclose(codes[3:4], encode(model, beats[3:4]), atol=1e-5)
    model.train()
    known = compute_reference(model, beats, None, ("log_rr_previous",)).members[0]
    np.testing.assert_allclose(known["codes"], codes, atol=1e-6)
    np.testing.assert_allclose(known["mae"], np.abs(np.concatenate(few) - beats).mean((1, 2)), 1e-4)
    np.testing.assert_allclose(known["timing"], beats[:, 2:, 0], atol=1e-6)
    np.testing.assert_allclose(known["before"], known["timing"])
    assert encode(model, beats[:0]).shape == (0, 8)


def test_references_are_the_best_reconstructed_normals() -> None:
    """None that is among the worst, as many as trimming leaves; the mean over members says so."""
    model, train = small_model(2), some_beats(200)
    everything = compute_reference(model, train.waveforms, None, train.format.timing)
    errors = np.mean([member["mae"] for member in everything.members], axis=0)[train.normals]
    config = TrainingConfig(contamination=0.14)
    reference = choose_reference_beats(model, train, config, seed=0)
    kept = np.sort(np.argsort(errors)[: round(0.8 * 160)])
    for known, of_all in zip(reference.members, everything.members, strict=True):
        np.testing.assert_allclose(known["codes"], of_all["codes"][train.normals][kept], rtol=1e-4)


def test_references_are_bounded_in_beats_and_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    model, train = small_model(), some_beats(200)
    assert len(reference_of(model, train)) == 160
    monkeypatch.setattr("ecgad.scoring.reference_beats.MOST_NUMBERS", 3 * 50 + 2)
    assert len(reference_of(model, train)) == 50
    monkeypatch.setattr("ecgad.scoring.reference_beats.MOST_BEATS", 20)
    reference = reference_of(model, train)
    assert len(reference) == 20
    # Drawn by the seed, from all over the split.
    again, other = (choose_reference_beats(model, train, TrainingConfig(), s) for s in (0, 1))
    np.testing.assert_array_equal(again.members[0]["codes"], reference.members[0]["codes"])
    assert not np.array_equal(other.members[0]["codes"], reference.members[0]["codes"])
    codes = encode(model, train.waveforms)
    places = [int(np.abs(codes - code).sum(axis=1).argmin()) for code in other.members[0]["codes"]]
    assert places == sorted(places) and len(set(places)) == 20 and max(places) > 100


def test_a_score_does_not_depend_on_the_order_of_beats_or_members() -> None:
    model, train, test = small_model(3), some_beats(), some_beats(30, seed=1)
    reference = reference_of(model, train)
    components = {"mae": 1, "code_distance": 2, "timing": 0.5}
    timing = train.format.timing
    scores = Scorer(model, components, reference, 3, timing).scores(test.waveforms)
    order = np.random.default_rng(0).permutation(30)
    permuted = Scorer(model, components, reference, 3, timing).scores(test.waveforms[order])
    np.testing.assert_allclose(permuted, scores[order], rtol=1e-5)
    turned = build_model("dense", 3, 20, {"layers": [16], "code_size": 3}, 3).eval()
    for one, other in zip(turned.members, reversed(list(model.members)), strict=True):
        one.load_state_dict(other.state_dict())
    backwards = ReferenceBeats(reference.members[::-1])
    again = Scorer(turned, components, backwards, 3, timing).scores(test.waveforms)
    np.testing.assert_allclose(again, scores, rtol=1e-5)
    # Of three members: the geometric mean of what each gives.
    alone = [
        Scorer(member, components, ReferenceBeats([known]), 3, timing).scores(test.waveforms)
        for member, known in zip(model.members, reference.members, strict=True)
    ]
    np.testing.assert_allclose(scores, np.exp(np.mean(np.log(alone), axis=0)), rtol=1e-5)


def test_four_fifths_of_a_patients_beats_join_the_references() -> None:
    """Those with the lowest scores, each with its own length."""
    model, train = small_model(), some_beats()
    scorer = Scorer(model, {"mae": 1, "code_distance": 1}, reference_of(model, train), 3)
    own = some_beats(11, seed=3).waveforms
    lengths = np.array([20, 9] * 5 + [20])
    adapted = scorer.adapted(own, lengths)
    assert scorer.reference is not None and adapted.reference is not None
    assert len(adapted.reference) == len(scorer.reference) + 9
    kept = np.sort(np.argsort(scorer.scores(own, lengths))[:9])
    added = adapted.reference.members[0]
    np.testing.assert_allclose(added["codes"][-9:], encode(model, own[kept]), rtol=1e-5)
    errors = Scorer(model, {"mae": 1}).scores(own, lengths)[kept]
    np.testing.assert_allclose(added["mae"][-9:], errors, rtol=1e-5)


def test_padded_beats_of_records_are_scored_by_their_own_lengths() -> None:
    model, train = small_model(), some_beats(40)
    scorer = Scorer(model, {"mae": 1, "code_distance": 1}, reference_of(model, train), 3)
    beats, lengths = some_beats(24, seed=4).waveforms, np.arange(24) % 10 + 8
    records, times = np.repeat([0, 1], 12), np.tile(np.arange(12.0), 2) * 10
    found = adapted_scores(scorer, beats, lengths, records, times, minutes=1)
    for record in (0, 1):
        of = np.flatnonzero(records == record)
        first, later = of[times[of] < 60], of[times[of] >= 60]
        assert len(first) == len(later) == 6
        own = scorer.adapted(beats[first], lengths[first])
        # In other batches, the last digits of float32 may differ.
        expected = own.scores(beats[later], lengths[later])
        np.testing.assert_allclose(found[later], expected, rtol=1e-5)
        expected = scorer.scores(beats[first], lengths[first])
        np.testing.assert_allclose(found[first], expected, rtol=1e-5)


def test_no_more_is_computed_than_is_needed() -> None:
    model, beats = small_model(), some_beats(5).waveforms
    for needed in ({"mae"}, {"mse", "codes"}, {"codes"}):
        timing = ("log_rr_previous",)
        assert compute_features(model, beats, None, timing, needed).keys() == needed
    both = compute_features(model, beats, None, ("log_rr_previous",), {"before"})
    assert both.keys() == {"timing", "before"}
    assert both["before"].dtype == np.float32
    assert compute_features(model, beats, None, (), {"mae"})["mae"].dtype == np.float64
