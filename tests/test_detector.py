"""The detector as one thing: trained on arrays or by the scripts, saved, loaded, used elsewhere."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from ecgad import Detector
from ecgad.artifacts import files
from ecgad.config.segmentation import SegmentationConfig, WindowConfig
from ecgad.data.beats import BeatFormat, Beats
from ecgad.data.sources.synthetic import synthesise
from ecgad.detection.trained import TrainedDetector, _divide
from ecgad.errors import ConfigError, FileError, MismatchError
from ecgad.experiment import load_experiment
from ecgad.recordings.wfdb import read_header, read_recording
from ecgad.scoring.inference import reconstruct
from ecgad.scoring.levels import LEVEL, MOST, Levels
from ecgad.scoring.parts import part_bounds
from ecgad.scoring.thresholds import Threshold
from ecgad.training.fit import fit
from tests.helpers import Save, easy_recording, set_options

from .conftest import REPOSITORY, SMOKE, STAGES, Call

QUICK = {"epochs": 8, "batch_size": 32, "learning_rate": 1e-2}
STANDARD = {"method": "standard"}


def test_a_detector_is_trained_on_arrays_saved_and_loaded(tmp_path: Path) -> None:
    beats = synthesise(600, seed=1)
    assert beats.labels is not None
    score = {"score": {"mae": 1, "code_distance": 1}, "threshold": {"method": "youden"}}

    def fitted() -> TrainedDetector:
        return Detector.fit(
            beats.waveforms, beats.labels, scaling=STANDARD, training=QUICK, evaluation=score
        )

    detector = fitted()
    new = synthesise(300, seed=2)
    assert new.labels is not None
    scores = detector.scores(new.waveforms)
    assert roc_auc_score(new.labels, scores) > 0.95
    assert (detector.predict(new.waveforms) == new.labels).mean() > 0.9
    np.testing.assert_array_equal(detector.decision_function(new.waveforms), scores)
    np.testing.assert_array_equal(fitted().scores(new.waveforms), scores)

    detector.save(tmp_path / "mine.pt")
    again = TrainedDetector.load(tmp_path / "mine.pt")
    np.testing.assert_array_equal(again.scores(new.waveforms), scores)
    assert again.threshold == detector.threshold
    np.testing.assert_array_equal(
        again.reconstruct(new.waveforms), detector.reconstruct(new.waveforms)
    )
    with pytest.raises(ValueError, match="knows no way to cut them out of a recording"):
        again.segment(None, np.arange(3))  # type: ignore[arg-type]


@pytest.mark.parametrize("n_samples", [24, 1000])
def test_twenty_beats_of_a_table_are_enough(n_samples: int) -> None:
    """By the settings of `own_table`, but for the epochs."""
    of_file = load_experiment(REPOSITORY / "configs" / "own_table.yaml", ["training.epochs=20"])
    time = np.linspace(0, 6, n_samples)
    phases = np.random.default_rng(0).normal(0, 0.1, (60, 1, 1))
    beats = np.sin(time + phases).astype(np.float32)
    other = np.sin(time + phases + 0.5).astype(np.float32)
    detector = Detector.fit(
        beats[:20],
        scaling=of_file.data.scaling.model_dump(),
        model=of_file.model.model_dump(),
        training=of_file.training.model_dump(),
        evaluation=of_file.evaluation.model_dump(),
    )
    found = detector.scores(np.concatenate([beats[20:], other]))
    assert roc_auc_score(np.repeat([0, 1], (40, 60)), found) > 0.9


def test_a_detector_without_labels_flags_the_share_that_its_threshold_leaves() -> None:
    beats = synthesise(600, 0.02, seed=1)
    detector = TrainedDetector.fit(
        beats.waveforms,
        training={**QUICK, "contamination": 0.02},
        evaluation={"threshold": {"quantile": 0.9}},
        beat_format=BeatFormat(("II",), sampling_rate=160.0, unit="mV"),
    )
    assert detector.threshold is not None
    assert (detector.threshold.beats, detector.threshold.n) == ("unlabelled", 120)
    flagged = detector.predict(synthesise(1000, 0.02, seed=5).waveforms).mean()
    assert 0.05 < flagged < 0.25
    assert detector.beat_format.unit == "mV"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"training": {"epoch": 3}}, "training.epoch: unknown key; did you mean epochs?"),
        ({"model": {"kind": "denes"}}, "did you mean dense"),
        ({"evaluation": {"score": "timing"}}, "timing needs beats with timing features"),
        ({"evaluation": {"record_level": 0.5}}, "need beats of whole records"),
        ({"validation": 0.0}, "validation: a share between 0 and 1"),
        ({"validation": 0.001}, "too few to train on and to hold some out"),
        ({"labels": np.arange(50) % 3}, "labels: 0 .normal. or 1 .anomalous.* with 0, 1, 2"),
        ({"labels": np.zeros(49)}, r"for each of the 50 beats expected, got .*\(49,\)"),
    ],
)
def test_what_cannot_be_fitted_is_said(arguments: dict[str, Any], words: str) -> None:
    beats = synthesise(50).waveforms
    with pytest.raises(ValueError, match=words) as error:
        TrainedDetector.fit(beats, **{"training": {"epochs": 1}, **arguments})
    assert "\n" not in str(error.value)


def test_wrong_shapes_and_gaps_are_refused() -> None:
    detector = TrainedDetector.fit(synthesise(60).waveforms, training={"epochs": 1})
    beats = np.zeros((4, 1, 140), np.float32)
    beats[1, 0, 3] = np.nan
    with pytest.raises(ValueError, match="missing or not finite"):
        detector.scores(beats)
    with pytest.raises(ValueError, match=r"\(n_beats, 1, 140\) expected, got \(4, 140\)"):
        detector.scores(beats[:, 0])
    with pytest.raises(ValueError, match=r"\(n_beats, n_leads, n_samples\) expected"):
        TrainedDetector.fit(beats[:, 0])


@pytest.fixture
def evaluated(save: Save, stages: Callable[..., None]) -> Callable[..., tuple[Path, Path]]:
    """Run three stages on records of eight patients; the folder of the records, and the run dir."""

    def run(**settings: object) -> tuple[Path, Path]:
        for number in range(8):
            ecg, rng = easy_recording()[0], np.random.default_rng(number)
            ecg += rng.normal(scale=0.02 + 0.02 * number, size=len(ecg))
            folder = save(f"patient{number}/x{number}", ecg=ecg, leads=("V5", "II"))
        data = {
            "leads": [["MLII", "II"]],
            "filter": {"band": [1, 40]},
            "sampling_rate": 125,
            "template": "difference",
            "timing": ["log_rr_previous_ratio", "log_rr_previous"],
        }
        options: dict[str, object] = {f"data.wfdb.{key}": value for key, value in data.items()}
        options |= {"data.split.method": "patients", "data.scaling.per": "all"}
        options |= {"training.epochs": 2, "evaluation.bootstrap": 0, "evaluation.baselines": []}
        options |= {"evaluation.score": {"mae": 1, "code_distance": 1, "prematurity": 0.5}}
        stages(STAGES[:3], *set_options(folder, {**options, **settings}), "--run-dir", "run")
        return folder, Path("run")

    return run


def test_a_detector_knows_how_to_cut_a_recording(
    evaluated: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    """From its file alone, elsewhere: the scores of a record are those of evaluation."""
    folder, run = evaluated()
    shutil.copy(run / "detector.pt", tmp_path / "alone.pt")
    detector = TrainedDetector.load(tmp_path / "alone.pt")
    segmentation = detector.beat_format.segmentation
    assert segmentation is not None
    processed = Path("data/processed/demo")
    records = np.load(processed / "records_test.npy")
    stored = np.load(run / "scores_test.npy")
    for name in np.unique(records).tolist():
        recording = read_recording(read_header(folder, name), segmentation.leads, "atr")
        assert recording.annotations is not None
        segments = detector.segment(recording, recording.annotations.samples)
        scores = detector.scores(segments.waveforms)
        np.testing.assert_allclose(scores, stored[records == name], rtol=1e-6)


def test_what_a_score_compares_with_is_fitted_once(
    evaluated: Callable[..., tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run = evaluated()
    raw = np.random.default_rng(0).normal(size=(5, 4, 87)).astype(np.float32)
    before = TrainedDetector.load(run).scores(raw)

    def never(*_: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("ecgad.scoring.scorer.Scorer._fit", never)
    np.testing.assert_array_equal(TrainedDetector.load(run).scores(raw), before)


@pytest.mark.parametrize(
    "settings",
    [
        {"evaluation.adaptation_minutes": 0.2},
        {"evaluation.record_level": 0.5},
        {"evaluation.adaptation_minutes": 0.2, "evaluation.record_level": 1},
    ],
)
def test_a_detector_does_what_its_threshold_was_chosen_for(
    evaluated: Callable[..., tuple[Path, Path]], settings: dict[str, object]
) -> None:
    _, run = evaluated(**settings)
    processed = Path("data/processed/demo")
    detector = TrainedDetector.load(run)
    raw = detector.scaler.inverse_transform(np.load(processed / "beats_test.npy"))
    times, records = (np.load(processed / f"{name}_test.npy") for name in ("times", "records"))
    stored = np.load(run / "scores_test.npy")
    metrics = json.loads((run / "metrics.json").read_text())
    np.testing.assert_allclose(
        detector.scores(raw, times=times, records=records), stored, rtol=1e-3
    )
    flagged = detector.predict(raw, times=times, records=records).sum()
    assert flagged == metrics["test"]["n_flagged"]
    if "evaluation.adaptation_minutes" in settings:
        plain = TrainedDetector.load(run)
        plain.adaptation_minutes = None
        assert np.abs(plain.scores(raw, records=records) / stored - 1).max() > 0.01
        with pytest.raises(ValueError, match=r"adapts to the first 0.2 minutes .* give times") as e:
            detector.scores(raw)
        assert "\n" not in str(e.value)
        with pytest.raises(ValueError, match="give times"):
            detector.predict(raw)


def test_an_adapted_threshold_is_not_chosen_on_training_beats(
    script: Call, fails: Callable[..., str]
) -> None:
    options = ["--set", "evaluation.adaptation_minutes=5"]
    options += ["--set", "evaluation.threshold.method=mean_std"]
    line = fails(2, STAGES[2], "-c", SMOKE, *options)
    assert "mean_std is chosen on training beats" in line


def test_files_that_are_no_detector_are_refused(
    stages: Callable[..., None], tmp_path: Path
) -> None:
    options = ["-c", SMOKE, "--set", "training.epochs=1"]
    stages(STAGES[:2], *options)
    run = Path("runs/smoke")
    with pytest.raises(FileError, match=r"no detector .* evaluate_model.py leaves one"):
        TrainedDetector.load(run)
    with pytest.raises(FileError, match=r"checkpoint_best.pt is no detector of format 1"):
        TrainedDetector.load(run / "checkpoint_best.pt")
    stages([STAGES[2]], *options)
    whole = (run / "detector.pt").read_bytes()
    content = torch.load(run / "detector.pt", weights_only=True)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="damaged or no detector"):
        TrainedDetector.load(broken)
    changes: list[dict[str, Any]] = [
        *({"scaler": {}}, {"weights": {}}, {"threshold": {"value": 1.0}}, {"format": 2})
    ]
    for change in changes:
        torch.save({**content, **change}, broken)
        with pytest.raises(FileError, match=r"broken.pt is no .*detector") as error:
            TrainedDetector.load(broken)
        assert "evaluate again" in str(error.value)
    # Trained again, not yet evaluated again.
    stages([STAGES[1]], "-c", SMOKE, "--set", "training.epochs=2", "--overwrite")
    with pytest.raises(MismatchError, match="of another training"):
        TrainedDetector.load(run)
    assert TrainedDetector.load(run / "detector.pt").threshold is not None


def test_adapting_an_error_alone_is_refused() -> None:
    detector = TrainedDetector.fit(synthesise(60).waveforms, training={"epochs": 1})
    with pytest.raises(ConfigError, match="compares with no beats; add code_distance"):
        detector.adapted(synthesise(20).waveforms)


def test_scores_and_files_hold_finite_numbers_alone(tmp_path: Path) -> None:
    beats = synthesise(200, seed=1)
    detector = TrainedDetector.fit(beats.waveforms, beats.labels, scaling=STANDARD, training=QUICK)
    with pytest.raises(ConfigError, match="2 of 3 scores are no finite numbers"):
        detector.scores(beats.waveforms[:3] * np.array([1, 3e38, -3e38])[:, None, None])
    assert detector.threshold is not None
    detector.threshold = replace(detector.threshold, value=float("nan"))
    detector.save(tmp_path / "mine.pt")
    with pytest.raises(FileError, match="not finite"):
        TrainedDetector.load(tmp_path / "mine.pt")
    (tmp_path / "threshold.json").write_text('{"value": NaN}')
    with pytest.raises(FileError, match="NaN"):
        files.load_json(tmp_path / "threshold.json")


WITH_REFERENCES = {"score": {"mae": 1, "code_distance": 1}}


def fitted(evaluation: dict[str, Any] | None = None, **arguments: Any) -> TrainedDetector:
    beats = synthesise(120, seed=1)
    settings = {"training": {"epochs": 2}, "evaluation": evaluation or {}, **arguments}
    return TrainedDetector.fit(beats.waveforms, beats.labels, **settings)


@pytest.mark.parametrize("method", ["minmax", "standard"])
def test_microvolts_give_what_millivolts_give(method: str) -> None:
    """Scores, verdicts and adaptation of a detector of either unit, of its own beats."""
    known, new = synthesise(120, seed=1), synthesise(40, seed=2).waveforms
    in_mv, in_uv = (
        TrainedDetector.fit(
            (known.waveforms * factor).astype(np.float32),
            known.labels,
            scaling={"method": method},
            training={"epochs": 2},
            evaluation=WITH_REFERENCES,
        )
        for factor in (1, 1000)
    )
    np.testing.assert_allclose(in_uv.scores(new * 1000), in_mv.scores(new), rtol=1e-3)
    np.testing.assert_array_equal(in_uv.predict(new * 1000), in_mv.predict(new))
    np.testing.assert_allclose(
        in_uv.reconstruct(new * 1000), 1000 * in_mv.reconstruct(new), rtol=0.01, atol=1
    )
    # Of a patient whose beats point the other way.
    own = -new[:20]
    adapted = in_mv.adapted(own)
    np.testing.assert_allclose(
        in_uv.adapted(own * 1000).scores(new * 1000), adapted.scores(new), rtol=1e-3
    )
    # They are more usual to it now, and its threshold is the one it had.
    assert np.median(adapted.scores(own) / in_mv.scores(own)) < 0.7
    assert adapted.threshold == in_mv.threshold


def test_reconstructions_and_scores_are_of_the_same_beats() -> None:
    """The mean absolute error of a detector, by hand, in scaled units; of ECG, not of padding."""
    detector = fitted(scaling={"method": "standard"})
    new = synthesise(30, seed=2).waveforms
    scale = detector.scaler.scale.reshape(-1)[0]
    apart = np.abs(detector.reconstruct(new) - new)[:, 0] / scale
    np.testing.assert_allclose(detector.scores(new), apart.mean(axis=1), rtol=1e-4)
    lengths = np.full(30, 50)
    np.testing.assert_allclose(detector.scores(new, lengths), apart[:, :50].mean(axis=1), rtol=1e-4)
    threshold = float(np.median(detector.scores(new, lengths)))
    detector.threshold = Threshold(threshold, "fixed", {}, None, None, 0)
    flagged = detector.predict(new, lengths)
    assert flagged.sum() == 15
    np.testing.assert_array_equal(flagged, detector.scores(new, lengths) > threshold)


def test_scores_follow_the_level_of_a_record_and_its_start() -> None:
    plain = fitted(WITH_REFERENCES)
    scorer, new = plain.scorer, synthesise(60, seed=2).waveforms
    records = np.repeat([0, 1], 30)
    parts = (scorer, plain.scaler, plain.beat_format, plain.threshold)
    following = TrainedDetector(*parts, None, levels := Levels(0.5, 2.0))
    scores, relative = plain.scores(new), following.scores(new, records=records)
    assert plain.threshold is not None
    np.testing.assert_array_equal(following.of_beats_alone(new)[0], scores)
    np.testing.assert_array_equal(following.explained(new, records=records)[0], relative)
    # Until 20 beats of the record have been, its level is the usual one.
    for first in (0, 30):
        np.testing.assert_array_equal(relative[first : first + 20], scores[first : first + 20])
        known = scores[first : first + 20]
        level = np.quantile(known[known <= MOST * np.median(known)], LEVEL)
        expected = scores[first + 20 : first + 30] * np.sqrt(2 / level)
        np.testing.assert_allclose(relative[first + 20 : first + 30], expected)
    # Of no records, all are of one.
    np.testing.assert_array_equal(following.scores(new), levels.relative(scores, None))
    assert np.abs(following.scores(new)[30:50] / relative[30:50] - 1).max() > 0.01
    np.testing.assert_array_equal(
        following.predict(new, records=records),
        relative > plain.threshold.value,
    )

    times = np.tile(np.arange(30.0), 2)
    adapting = TrainedDetector(scorer, plain.scaler, plain.beat_format, plain.threshold, 0.25)
    found = adapting.scores(new, times=times, records=records)
    for start in (0, 30):
        later = slice(start + 15, start + 30)
        own = plain.adapted(new[start : start + 15])
        np.testing.assert_allclose(found[later], own.scores(new[later]))
        np.testing.assert_allclose(found[start : start + 15], scores[start : start + 15])
    # Of no records, all are of one.
    as_one = adapting.scores(new, times=np.arange(60.0))
    np.testing.assert_allclose(as_one[15:], plain.adapted(new[:15]).scores(new[15:]))
    assert adapting.adapted(new).adaptation_minutes is None
    assert following.adapted(new).levels == levels


def test_a_detector_is_of_the_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three, had the first been the best."""
    states: list[Any] = []

    def fit_as_if(*arguments: Any) -> Any:
        for state in fit(*arguments):
            states.append(state)
            yield replace(state, best_epoch=1, best_weights=states[0].weights)

    monkeypatch.setattr("ecgad.detection.trained.train_epochs", fit_as_if)
    detector = fitted(training={"epochs": 3})
    assert len(states) == 3
    for name, weights in detector.model.state_dict().items():
        assert torch.equal(weights, states[0].weights[name])
    assert not all(torch.equal(states[0].weights[name], w) for name, w in states[2].weights.items())


def test_what_is_held_out_is_drawn_from_both_labels_and_not_learned_from() -> None:
    labels = np.repeat([0, 1], (80, 20)).astype(np.int8)
    beats = Beats(
        np.arange(100, dtype=np.float32)[:, None, None], labels.astype(str), labels, np.arange(100)
    )
    train, held_out = _divide(beats, 0.25, seed=3)
    assert train.labels is not None and held_out.labels is not None
    assert (len(held_out), int(held_out.labels.sum())) == (25, 5)
    assert sorted([*train.rows, *held_out.rows]) == list(range(100))
    assert held_out.rows[:20].tolist() != list(range(20))
    again, other = (_divide(beats, 0.25, seed)[1].rows.tolist() for seed in (3, 4))
    assert again == held_out.rows.tolist() != other


def test_what_a_detector_file_says_is_what_the_detector_does(tmp_path: Path) -> None:
    plain = fitted(WITH_REFERENCES)
    parts = (plain.scorer, plain.scaler, plain.beat_format, plain.threshold)
    TrainedDetector(*parts, 0.25, Levels(0.5, 2.0), {"seed": 7}).save(tmp_path / "d.pt")
    again = TrainedDetector.load(tmp_path / "d.pt")
    assert (again.adaptation_minutes, again.levels) == (0.25, Levels(0.5, 2.0))
    assert again.origin == {"seed": 7} and plain.origin == {"seed": 0}
    assert again.beat_format == plain.beat_format
    told = again.threshold_json()
    assert told["value"] == plain.threshold.value  # type: ignore[union-attr]
    assert told["score"] == WITH_REFERENCES["score"]
    assert (told["neighbours"], told["adaptation_minutes"]) == (5, 0.25)
    assert told["levels"] == {"power": 0.5, "usual": 2.0}
    assert told["checkpoint_sha256"] is None


@pytest.mark.parametrize("lacking", ["times", "records"])
def test_a_split_of_no_records_cannot_be_adapted_to(lacking: str) -> None:
    plain = fitted(WITH_REFERENCES)
    new = synthesise(20, seed=2)
    known: dict[str, Any] = {"times": np.arange(20.0), "records": np.zeros(20, int)}
    scaled = replace(new, waveforms=plain.scaler.transform(new.waveforms), **known)
    adapting = TrainedDetector(
        plain.scorer, plain.scaler, plain.beat_format, adaptation_minutes=0.2
    )
    adapted = adapting.score_split(scaled)
    np.testing.assert_allclose(adapted, adapting.scores(new.waveforms, **known), rtol=1e-5)
    as_it_is = plain.score_split(scaled)
    np.testing.assert_array_equal(adapting.score_split(scaled, adapt=False), as_it_is)
    assert np.abs(adapted[12:] / as_it_is[12:] - 1).max() > 0.01
    unknown: dict[str, Any] = {lacking: None}
    of_none = replace(scaled, **unknown)
    with pytest.raises(ConfigError, match="these beats are of no records"):
        adapting.score_split(of_none)
    np.testing.assert_array_equal(adapting.score_split(of_none, adapt=False), as_it_is)
    np.testing.assert_array_equal(plain.score_split(of_none), as_it_is)


def test_a_detector_learns_from_the_ecg_in_padded_beats_and_keeps_their_format() -> None:
    """References are by the errors of the beats' own samples; leads are named by number."""
    beats = np.repeat(synthesise(100, seed=1).waveforms, 2, axis=1)
    beats[::2, :, 60:] = 0
    lengths = np.where(np.arange(100) % 2, 140, 60)
    detector = TrainedDetector.fit(
        beats, lengths=lengths, training={"epochs": 2}, evaluation=WITH_REFERENCES, validation=0.3
    )
    assert detector.beat_format == BeatFormat(("lead 1", "lead 2"))
    assert detector.scorer.reference is not None and len(detector.scorer.reference) == 70
    assert detector.threshold is not None
    assert (detector.threshold.beats, detector.threshold.n) == ("unlabelled", 30)
    plain = TrainedDetector(detector.scorer, detector.scaler, detector.beat_format)
    known = detector.scorer.reference.members[0]["mae"]
    scaled = detector.scaler.transform(beats)
    apart = np.abs(scaled - reconstruct(detector.model, scaled))
    own = [a[:, :n].mean() for a, n in zip(apart, lengths, strict=True)]
    for error in known:
        assert np.abs(np.array(own) - error).min() < 1e-5
    assert np.isfinite(plain.scores(beats, lengths)).all()


def test_settings_and_seed_decide_what_is_fitted() -> None:
    """The network, its members and its scaling; the same seed again gives the same weights."""
    wide = fitted(
        model={"kind": "dense", "dense": {"layers": [5], "code_size": 3}},
        training={"epochs": 1, "members": 2},
        scaling={"method": "minmax", "per": "position"},
        seed=3,
    )
    assert len(wide.model.members) == 2 and wide.scaler.method == "minmax"
    assert wide.scaler.scale.shape == (1, 140)
    assert wide.scorer.components == {"mae": 1.0} and wide.origin == {"seed": 3}
    first, again, other = (fitted(seed=seed).scores(synthesise(9).waveforms) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert fitted().scaler.method == "standard"
    for evaluation in ({"adaptation_minutes": 5}, {"record_level": 0.5}):
        with pytest.raises(ConfigError, match="need beats of whole records"):
            fitted(evaluation)
    for share in (1.0, -0.1):
        with pytest.raises(ValueError, match="a share between 0 and 1"):
            fitted(validation=share)
    with pytest.raises(ValueError, match=r"0 .normal. or 1"):
        TrainedDetector.fit(synthesise(9).waveforms, np.array([0, 1, 2] * 3))


@pytest.mark.parametrize("members", [1, 2])
def test_shares_of_the_error_are_those_of_the_parts_of_a_beat(members: int) -> None:
    """By hand, of two members too: of leads of ECG alone, and not of padding."""
    settings = SegmentationConfig(
        window=WindowConfig(before=300, after=500), timing=["rr_previous"], sampling_rate=100
    )
    known = BeatFormat(("II", "rr"), ("rr_previous",), 100.0, segmentation=settings)
    assert part_bounds(known, 80) == (24, 40)
    assert part_bounds(replace(known, segmentation=None), 80) == (26, 53)
    heartbeat = SegmentationConfig(form="heartbeat")
    of_rate = replace(known, segmentation=heartbeat, sampling_rate=125.0)
    assert part_bounds(of_rate, 187) == (0, 12)

    beats = np.random.default_rng(0).normal(size=(60, 2, 80)).astype(np.float32)
    training = {"epochs": 1, "members": members}
    detector = TrainedDetector.fit(beats, beat_format=known, training=training)
    lengths = np.full(60, 70)
    scores, shares = detector.explained(beats, lengths)
    np.testing.assert_array_equal(scores, detector.scores(beats, lengths))
    scaled = detector.scaler.transform(beats)
    errors = [np.abs(reconstruct(m, scaled) - scaled)[:, 0, :70] for m in detector.model.members]
    error = np.mean(errors, axis=0)
    parts = [error[:, :24], error[:, 24:40], error[:, 40:]]
    by_hand = np.stack([part.sum(axis=1) for part in parts], axis=1) / error.sum(1, keepdims=True)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, by_hand, rtol=1e-4)
