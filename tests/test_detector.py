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
from ecgad.data.beats import BeatFormat
from ecgad.data.sources.synthetic import synthesise
from ecgad.errors import ConfigError, FileError, MismatchError
from ecgad.recordings.wfdb import read_header, read_recording
from tests.helpers import Save, easy_recording, set_options

from .conftest import SMOKE, STAGES, Call

QUICK = {"epochs": 8, "batch_size": 32, "learning_rate": 1e-2}
STANDARD = {"method": "standard"}


def test_a_detector_is_trained_on_arrays_saved_and_loaded(tmp_path: Path) -> None:
    beats = synthesise(600, seed=1)
    assert beats.labels is not None
    score = {"score": {"mae": 1, "code_distance": 1}, "threshold": {"method": "youden"}}

    def fitted() -> Detector:
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
    again = Detector.load(tmp_path / "mine.pt")
    np.testing.assert_array_equal(again.scores(new.waveforms), scores)
    assert again.threshold == detector.threshold
    np.testing.assert_array_equal(
        again.reconstruct(new.waveforms), detector.reconstruct(new.waveforms)
    )
    with pytest.raises(ValueError, match="knows no way to cut them out of a recording"):
        again.segment(None, np.arange(3))  # type: ignore[arg-type]


def test_a_detector_without_labels_flags_the_share_that_its_threshold_leaves() -> None:
    beats = synthesise(600, 0.02, seed=1)
    detector = Detector.fit(
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
        ({"evaluation": {"running_beats": 20}}, "need beats of whole records"),
        ({"validation": 0.0}, "validation: a share between 0 and 1"),
        ({"validation": 0.001}, "too few to train on and to hold some out"),
        ({"labels": np.arange(50) % 3}, "labels: 0 .normal. or 1 .anomalous.* with 0, 1, 2"),
        ({"labels": np.zeros(49)}, r"for each of the 50 beats expected, got .*\(49,\)"),
    ],
)
def test_what_cannot_be_fitted_is_said(arguments: dict[str, Any], words: str) -> None:
    beats = synthesise(50).waveforms
    with pytest.raises(ValueError, match=words) as error:
        Detector.fit(beats, **{"training": {"epochs": 1}, **arguments})
    assert "\n" not in str(error.value)


def test_wrong_shapes_and_gaps_are_refused() -> None:
    detector = Detector.fit(synthesise(60).waveforms, training={"epochs": 1})
    beats = np.zeros((4, 1, 140), np.float32)
    beats[1, 0, 3] = np.nan
    with pytest.raises(ValueError, match="missing or not finite"):
        detector.scores(beats)
    with pytest.raises(ValueError, match=r"\(n_beats, 1, 140\) expected, got \(4, 140\)"):
        detector.scores(beats[:, 0])
    with pytest.raises(ValueError, match=r"\(n_beats, n_leads, n_samples\) expected"):
        Detector.fit(beats[:, 0])


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
    detector = Detector.load(tmp_path / "alone.pt")
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
    before = Detector.load(run).scores(raw)

    def never(*_: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("ecgad.scoring.scorer.Scorer._fit", never)
    np.testing.assert_array_equal(Detector.load(run).scores(raw), before)


@pytest.mark.parametrize(
    "settings",
    [
        {"evaluation.adaptation_minutes": 0.2},
        {"evaluation.running_beats": 11},
        {"evaluation.adaptation_minutes": 0.2, "evaluation.running_beats": 11},
    ],
)
def test_a_detector_does_what_its_threshold_was_chosen_for(
    evaluated: Callable[..., tuple[Path, Path]], settings: dict[str, object]
) -> None:
    _, run = evaluated(**settings)
    processed = Path("data/processed/demo")
    detector = Detector.load(run)
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
        plain = Detector.load(run)
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
        Detector.load(run)
    with pytest.raises(FileError, match=r"checkpoint_best.pt is no detector of format 1"):
        Detector.load(run / "checkpoint_best.pt")
    stages([STAGES[2]], *options)
    whole = (run / "detector.pt").read_bytes()
    content = torch.load(run / "detector.pt", weights_only=True)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="damaged or no detector"):
        Detector.load(broken)
    changes: list[dict[str, Any]] = [
        *({"scaler": {}}, {"weights": {}}, {"threshold": {"value": 1.0}}, {"format": 2})
    ]
    for change in changes:
        torch.save({**content, **change}, broken)
        with pytest.raises(FileError, match=r"broken.pt is no .*detector") as error:
            Detector.load(broken)
        assert "evaluate again" in str(error.value)
    # Trained again, not yet evaluated again.
    stages([STAGES[1]], "-c", SMOKE, "--set", "training.epochs=2", "--overwrite")
    with pytest.raises(MismatchError, match="of another training"):
        Detector.load(run)
    assert Detector.load(run / "detector.pt").threshold is not None


def test_adapting_an_error_alone_is_refused() -> None:
    detector = Detector.fit(synthesise(60).waveforms, training={"epochs": 1})
    with pytest.raises(ConfigError, match="compares with no beats; add code_distance"):
        detector.adapted(synthesise(20).waveforms)


def test_scores_and_files_hold_finite_numbers_alone(tmp_path: Path) -> None:
    beats = synthesise(200, seed=1)
    detector = Detector.fit(beats.waveforms, beats.labels, scaling=STANDARD, training=QUICK)
    with pytest.raises(ConfigError, match="2 of 3 scores are no finite numbers"):
        detector.scores(beats.waveforms[:3] * np.array([1, 3e38, -3e38])[:, None, None])
    assert detector.threshold is not None
    detector.threshold = replace(detector.threshold, value=float("nan"))
    detector.save(tmp_path / "mine.pt")
    with pytest.raises(FileError, match="not finite"):
        Detector.load(tmp_path / "mine.pt")
    (tmp_path / "threshold.json").write_text('{"value": NaN}')
    with pytest.raises(FileError, match="NaN"):
        files.load_json(tmp_path / "threshold.json")
