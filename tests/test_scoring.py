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
from ecgad.detection.detector import Detector
from ecgad.errors import ConfigError, FileError
from ecgad.evaluation.baselines import FITS, earliness, run_baselines
from ecgad.models import Autoencoder, Ensemble, build_model
from ecgad.processing.rr_intervals import rr_intervals
from ecgad.scoring.by_record import adapted_scores
from ecgad.scoring.components import COMPONENTS
from ecgad.scoring.inference import encode
from ecgad.scoring.reference_beats import (
    ReferenceBeats,
    choose_reference_beats,
    compute_reference,
)
from ecgad.scoring.scorer import Scorer
from ecgad.training.fit import fit
from tests.helpers import small_model, some_beats

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


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_is_on_the_common_scale(name: str) -> None:
    """A typical training normal scores 1, by every component and by all together."""
    model, train = small_model(2), some_beats(400)
    reference = reference_of(model, train)
    normals = train.waveforms[train.normals]
    together = Scorer(model, {"mae": 1, name: 2}, reference, 3, train.format.timing).scores(normals)
    assert np.median(together) == pytest.approx(1, rel=0.3)
    assert (together > 0).all()
    far = Scorer(model, {name: 1, "mse": 1}, reference, 3, train.format.timing).scores(10 * normals)
    assert np.median(far) > 1.4


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


def test_what_a_score_lacks_is_said() -> None:
    model, train = small_model(), some_beats()
    reference = reference_of(model, train, coreset=20)
    assert len(reference) == 20
    with pytest.raises(FileError, match=r"component wavelet is not in this version.*mae, mse"):
        Scorer(model, {"wavelet": 1}, reference)
    with pytest.raises(ConfigError, match="timing needs beats with timing features"):
        Scorer(model, {"timing": 1}, reference)
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
    detector = Detector.load(run)
    raw = detector.scaler.inverse_transform(scaled)
    np.testing.assert_allclose(detector.scores(raw), stored, rtol=1e-3)
    np.testing.assert_allclose(detector.scores(raw[:1]), stored[:1], rtol=1e-3)

    content = torch.load(run / "detector.pt", weights_only=True)
    content["score"]["components"]["wavelet"] = 1.0
    torch.save(content, run / "detector.pt")
    with pytest.raises(FileError, match=r"^score component wavelet is not in this version"):
        Detector.load(run)


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
