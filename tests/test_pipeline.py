"""The four scripts: the contract between them, and what they say of bad input."""

import csv
import errno
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from ecgad.artifacts import arrays, files
from ecgad.data.sources.synthetic import synthesise
from ecgad.detection.trained import TrainedDetector
from ecgad.errors import UserError
from tests.helpers import beats_of

from .conftest import REPOSITORY, SMOKE, STAGES, Call

Stages = Callable[..., None]
Fails = Callable[..., str]
PREPROCESS, TRAIN, EVALUATE, VISUALIZE = STAGES
C = ("-c", SMOKE)
RUN = Path("runs/smoke")
DATA = Path("data/processed/smoke")

METRICS = [
    "auroc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "mcc",
    "threshold",
    "threshold_method",
    "n_normal",
    "n_anomalous",
    "confusion_matrix",
    "recall_by_class",
]
PICTURES = [
    "class_examples",
    "label_distribution",
    "class_profiles",
    "rolling_statistics",
    "training_history",
    "reconstructions_normal",
    "reconstructions_anomalous",
    "score_distributions",
    "roc_curve",
    "precision_recall_curve",
    "confusion_matrices",
    "recall_by_class",
    "latent_space",
]


# What is slow to import, and what of it a stage may; scikit-learn imports scipy and pandas itself.
SLOW = {"torch", "torch._dynamo", "pandas", "sklearn", "matplotlib", "scipy", "wfdb", "requests"}
NEEDED = {
    PREPROCESS: {"pandas"},
    TRAIN: {"torch"},
    EVALUATE: {"torch", "sklearn", "scipy", "pandas"},
    VISUALIZE: {"matplotlib", "sklearn", "scipy", "pandas"},
}


@pytest.mark.parametrize("script", STAGES)
def test_help_imports_nothing_that_is_slow(process: Call, script: str) -> None:
    outcome = process(script, "--help")
    assert outcome.code == 0
    assert "typer" in outcome.imported
    assert not outcome.imported & {*SLOW, "numpy.testing", "ecgad.training.fit"}


def test_four_processes_keep_the_contract(process: Call, tmp_path: Path) -> None:
    results = {}
    for script in STAGES:
        outcome = process(script, *C, "--json")
        assert outcome.code == 0, outcome.stderr
        assert outcome.imported & SLOW <= NEEDED[script]
        assert outcome.stdout.count("\n") == 1
        results[script] = json.loads(outcome.stdout)

    folder, run = tmp_path / DATA, tmp_path / RUN
    sizes = {}
    for split in ("train", "validation", "test"):
        beats = np.load(folder / f"beats_{split}.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / f"labels_{split}.npy", allow_pickle=False)
        scores = np.load(run / f"scores_{split}.npy", allow_pickle=False)
        sizes[split] = len(beats)
        assert beats.shape[1:] == (1, 140)
        assert (beats.dtype, labels.dtype, scores.dtype) == (np.float32, np.int8, np.float64)
        assert len(beats) == len(labels) == len(scores)
        assert set(labels.tolist()) == {0, 1}
        assert scores[labels == 1].mean() > scores[labels == 0].mean()
    assert sizes == {"train": 240, "validation": 81, "test": 79}
    assert results[PREPROCESS]["n_beats"] == 400

    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics == results[EVALUATE]
    threshold = json.loads((run / "threshold.json").read_text())
    assert (threshold["method"], threshold["split"], threshold["n"]) == (
        "quantile",
        "validation",
        64,
    )
    for split in ("validation", "test"):
        assert set(METRICS) <= set(metrics[split])
        scores = np.load(run / f"scores_{split}.npy")
        labels = np.load(folder / f"labels_{split}.npy")
        called = scores > threshold["value"]
        matrix = [[int(((labels == a) & (called == b)).sum()) for b in (0, 1)] for a in (0, 1)]
        assert metrics[split]["confusion_matrix"] == matrix

    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "train_loss", "validation_loss", "learning_rate", "seconds"]
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["name"], config["training"]["epochs"], config["seed"]) == ("smoke", 5, 0)
    stages = json.loads((run / "manifest.json").read_text())["stages"]
    assert set(stages) == {"train", "evaluate", "visualize"}
    for record in stages.values():
        assert {"config", "inputs", "outputs", "versions", "git_commit", "seed", "time"} <= set(
            record
        )

    drawn = {path.stem for path in (run / "figures").glob("*.png")}
    assert drawn >= set(PICTURES)
    report = (run / "report.html").read_text()
    n_embedded = report.count("data:image/png;base64,")
    assert n_embedded == len(drawn) == len(results[VISUALIZE]["figures"])
    assert "://" not in report


def test_the_same_seed_gives_the_same_bits(stages: Stages) -> None:
    scores = {}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        options = (
            *C,
            "--seed",
            seed,
            "--run-dir",
            name,
            "--set",
            f"data.processed_dir={name}/data",
        )
        stages(STAGES[:3], *options)
        scores[name] = Path(name, "scores_test.npy").read_bytes()
    assert scores["a"] == scores["b"]
    assert scores["a"] != scores["c"]


@pytest.mark.parametrize("kind", ["dense", "cnn", "lstm"])
def test_a_detector_gives_the_scores_and_verdicts_of_evaluation(stages: Stages, kind: str) -> None:
    stages(STAGES[:3], *C, "--set", f"model.kind={kind}", "--set", "training.epochs=1")
    detector = TrainedDetector.load(RUN)
    raw = synthesise(400).waveforms[np.load(DATA / "rows_test.npy")]
    scores = np.load(RUN / "scores_test.npy")
    np.testing.assert_array_equal(detector.scores(raw), scores)
    flagged = json.loads((RUN / "metrics.json").read_text())["test"]["n_flagged"]
    assert detector.predict(raw).sum() == flagged
    assert detector.threshold is not None
    np.testing.assert_array_equal(detector.predict(raw), scores > detector.threshold.value)
    # The score is the error between the scaled beat and its reconstruction.
    errors = detector.scaler.transform(detector.reconstruct(raw)) - detector.scaler.transform(raw)
    np.testing.assert_allclose(np.abs(errors).mean(axis=(1, 2)), scores, rtol=1e-3)
    np.testing.assert_allclose(detector.scores(raw[5:6]), scores[5:6], rtol=1e-5)
    with pytest.raises(ValueError, match=r"\(n_beats, 1, 140\) expected, got \(400, 140\)"):
        detector.scores(np.zeros((400, 140), np.float32))


def test_finished_stages_say_so_and_others_are_kept(
    script: Call, stages: Stages, fails: Fails
) -> None:
    stages(STAGES, *C)
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}
    for name in STAGES:
        first = script(name, *C, "--json")
        assert first.code == 0
        assert "already" in first.stderr
        assert json.loads(first.stdout)
    changes = {
        PREPROCESS: "data.scaling.method=minmax",
        TRAIN: "training.learning_rate=0.2",
        EVALUATE: "evaluation.score=mse",
        VISUALIZE: "figures.dpi=40",
    }
    for name, change in changes.items():
        line = fails(4, name, *C, "--set", change)
        assert change.partition("=")[0] in line
        assert "--overwrite" in line
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert script(EVALUATE, *C, "--set", changes[EVALUATE], "--overwrite").code == 0


def test_stages_refuse_what_does_not_belong_together(stages: Stages, fails: Fails) -> None:
    assert "run preprocess_data.py first" in fails(3, TRAIN, *C)
    stages([PREPROCESS], *C)
    assert "run train_model.py first" in fails(3, EVALUATE, *C)
    # Splits made otherwise than the config now asks for.
    line = fails(4, TRAIN, *C, "--set", "data.scaling.per=position")
    assert "data.scaling.per: lead, now position" in line
    assert "preprocess_data.py" in line
    assert "seed: 0, now 1" in fails(4, TRAIN, *C, "--seed", "1")
    stages([TRAIN], *C)
    assert "run evaluate_model.py first" in fails(3, VISUALIZE, *C)
    assert "model.kind" in fails(4, EVALUATE, *C, "--set", "model.kind=cnn")
    # Splits made again, from other data, under a trained model.
    more = ("--set", "data.synthetic.beats=500")
    stages([PREPROCESS], *C, *more, "--overwrite")
    line = fails(4, EVALUATE, *C, *more)
    assert "run train_model.py again" in line
    # A split that somebody changed.
    path = DATA / "labels_test.npy"
    labels = np.load(path)
    np.save(path, 1 - labels)
    assert "labels_test.npy is not the file" in fails(4, TRAIN, *C, *more, "--overwrite")


def test_broken_checkpoints_are_refused(stages: Stages, fails: Fails) -> None:
    import torch

    stages(STAGES[:2], *C)
    path = RUN / "checkpoint_best.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in fails(3, EVALUATE, *C)
    path.write_bytes(whole)

    content = torch.load(path, weights_only=True)
    name = next(iter(content["weights"]))
    for change, word in (
        ({"weights": {**content["weights"], "extra": torch.zeros(1)}}, "extra"),
        ({"weights": {**content["weights"], name: torch.zeros(2, 3)}}, "size mismatch"),
        ({"surprise": 1}, "surprise"),
        ({"format": 99}, "format 99"),
    ):
        torch.save({**content, **change}, path)
        assert word in fails(3, EVALUATE, *C)
    content["weights"][name] += 1
    torch.save(content, path)
    assert "not the file that train_model.py wrote" in fails(4, EVALUATE, *C)

    last = RUN / "checkpoint_last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    assert "damaged" in fails(3, TRAIN, *C, "--resume")


def test_an_interrupted_training_goes_on_to_the_same_numbers(
    tmp_path: Path, script: Call, stages: Stages, fails: Fails
) -> None:
    options = (*C, "--set", "training.epochs=200")
    stages([PREPROCESS], *options)
    with subprocess.Popen(
        [sys.executable, REPOSITORY / TRAIN, *options],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as training:
        assert training.stderr is not None
        # Some epochs are done when the first line about them comes.
        assert training.stderr.readline().startswith("epoch 20 of 200")
        training.send_signal(signal.SIGINT)
        assert training.wait(30) == 130
        assert training.stderr.read().splitlines()[-1].startswith("error: interrupted")
    with (RUN / "history.csv").open() as file:
        assert 20 <= len(list(csv.DictReader(file))) < 200
    # Neither is it lost, nor taken for finished.
    assert "--resume" in fails(4, TRAIN, *options)
    assert "run train_model.py first" in fails(3, EVALUATE, *options)
    outcome = script(TRAIN, *options, "--resume")
    assert outcome.code == 0
    assert "going on after epoch" in outcome.stderr
    stages([TRAIN], *options, "--run-dir", "whole")

    import torch

    resumed, whole = (
        torch.load(folder / "checkpoint_last.pt", weights_only=True)
        for folder in (RUN, Path("whole"))
    )
    for name, weights in whole["training"]["weights"].items():
        assert torch.equal(weights, resumed["training"]["weights"][name])
    assert resumed["training"]["epoch"] == 200
    # Nothing tells that it was interrupted.
    best = [(folder / "checkpoint_best.pt").read_bytes() for folder in (RUN, Path("whole"))]
    assert best[0] == best[1]


def test_more_epochs_may_be_asked_for_where_the_rate_is_constant(
    script: Call, stages: Stages, fails: Fails
) -> None:
    constant = (*C, "--set", "training.schedule=constant")
    stages(STAGES[:2], *constant)
    more = ("--set", "training.epochs=7", "--resume")
    outcome = script(TRAIN, *constant, *more, "--json")
    assert json.loads(outcome.stdout)["epochs"] == 7
    assert "training.schedule" in fails(4, TRAIN, *C, *more)


def test_a_diverging_training_stops_and_keeps_the_last_good_epoch(
    stages: Stages, fails: Fails
) -> None:
    import torch

    # The rate climbs, and becomes too high after some epochs.
    options = [*C, "--set", "training.optimizer=sgd", "--set", "training.loss=mse"]
    options += ["--set", "training.epochs=40", "--set", "training.learning_rate=10"]
    stages([PREPROCESS], *options)
    line = fails(1, TRAIN, *options)
    assert "no longer finite" in line
    assert "training.learning_rate" in line
    last = torch.load(RUN / "checkpoint_last.pt", weights_only=True)
    assert 0 < last["training"]["epoch"] < 40
    assert all(torch.isfinite(weights).all() for weights in last["weights"].values())


def test_the_hint_after_an_interruption_is_of_the_stage(tmp_path: Path) -> None:
    options = ["--set", "data.synthetic.beats=5000000", "--jobs", "1"]
    with subprocess.Popen(
        [sys.executable, REPOSITORY / PREPROCESS, *options],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as preprocessing:
        folder = tmp_path / "data/processed/demo"
        while not list(folder.glob(".beats_train.npy.*")):
            assert preprocessing.poll() is None
            time.sleep(0.05)
        preprocessing.send_signal(signal.SIGTERM)
        assert preprocessing.wait(30) == 130
        assert preprocessing.stderr is not None
        assert preprocessing.stderr.read() == "error: interrupted; run it again\n"
    assert not list(folder.iterdir())


def test_hidden_anomalies_are_the_share_asked_for_over_all_parts(script: Call) -> None:
    """Of three parts; what the summary counts as normal is what is written and scaled as such."""
    options = ["--set", "data.synthetic.beats=12000", "--set", "data.split.hidden_anomalies=0.1"]
    outcome = script(PREPROCESS, *options, "--json")
    summary = json.loads(outcome.stdout)["splits"]["train"]
    folder = Path("data/processed/demo")
    labels, rows = (np.load(folder / f"{name}_train.npy") for name in ("labels", "rows"))
    truth = synthesise(12000).labels
    assert truth is not None
    hidden = (labels == 0) & (truth[rows] == 1)
    assert summary["n_normal"] == (labels == 0).sum()
    assert hidden.sum() == round((labels == 0).sum() * 0.1)
    # They lie all over the split, and the scaling has seen them.
    assert np.histogram(np.flatnonzero(hidden), 3, (0, len(labels)))[0].min() > 0.2 * hidden.sum()
    scaled = np.load(folder / "beats_train.npy")[labels == 0]
    assert (scaled.mean(), scaled.std()) == pytest.approx((0, 1), abs=1e-4)


def test_the_scaler_has_seen_training_normals_alone(stages: Stages) -> None:
    stages([PREPROCESS], *C)
    rows, labels = np.load(DATA / "rows_train.npy"), np.load(DATA / "labels_train.npy")
    raw = synthesise(400).waveforms
    fitted = raw[rows[labels == 0]].astype(np.float64)
    scaler = json.loads((DATA / "scaler.json").read_text())
    assert scaler["offset"][0][0] == pytest.approx(fitted.mean())
    assert scaler["scale"][0][0] == pytest.approx(fitted.std())
    for split in ("train", "test"):
        scaled = (raw[np.load(DATA / f"rows_{split}.npy")] - fitted.mean()) / fitted.std()
        np.testing.assert_allclose(np.load(DATA / f"beats_{split}.npy"), scaled, atol=1e-5)


def test_a_table_without_labels_runs_through(stages: Stages, fails: Fails, script: Call) -> None:
    beats = synthesise(200, anomalous_fraction=0.05)
    Path("raw").mkdir()
    np.savetxt("raw/own.csv", beats.waveforms[:, 0], delimiter=",")
    options = [*C, "--set", "data.source=csv", "--set", "data.raw_dir=raw"]
    options += ["--set", "data.csv.file=own.csv", "--set", "data.csv.header=false"]
    stages(STAGES, *options)
    metrics = json.loads((RUN / "metrics.json").read_text())
    assert metrics["test"]["auroc"] is None
    assert metrics["test"]["n_beats"] == 40
    # All beats are ranked, each with its line in the file.
    with (RUN / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["split", "file", "row", "score", "verdict"]
    assert sorted(int(row["row"]) for row in rows) == list(range(1, 201))
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    flagged = sum(row["verdict"] == "anomalous" for row in rows)
    assert (metrics["n_flagged"], metrics["n_beats"]) == (flagged, 200)
    for row, shown in zip(rows, metrics["most_anomalous"], strict=False):
        lines = np.load(DATA / f"rows_{row['split']}.npy") + 1
        of_split = np.load(RUN / f"scores_{row['split']}.npy")
        assert float(row["score"]) == of_split[lines == int(row["row"])] == shown["score"]
    told = script(TRAIN, *options).stdout + script(EVALUATE, *options).stdout
    assert "unlabelled beats, training" in told and "normal beats" not in told
    assert f"{flagged} of 200 unlabelled beats" in told
    assert (RUN / "figures" / "reconstructions_highest.png").exists()
    line = fails(
        2, EVALUATE, *options, "--set", "evaluation.threshold.method=youden", "--overwrite"
    )
    assert "needs labelled validation beats" in line


def test_constant_beats_and_strange_names_do_no_harm(stages: Stages) -> None:
    values = np.tile(np.linspace(0, 1, 20), (60, 1))
    values[::6, 5] += 3
    rows = [
        ",".join(map(str, row)) + (",[/b]$" if n % 6 == 0 else ",N") for n, row in enumerate(values)
    ]
    Path("raw").mkdir()
    Path("raw/own.csv").write_text("\n".join(rows))
    options = [*C, "--set", "data.source=csv", "--set", "data.raw_dir=raw"]
    options += ["--set", "data.csv.file=own.csv", "--set", "data.csv.header=false"]
    options += ["--set", "data.csv.label_column=20", "--set", "data.csv.normal_label=N"]
    stages(STAGES, *options, "--set", "data.scaling.per=position")
    assert json.loads((RUN / "metrics.json").read_text())["test"]["auroc"] == 1


def test_usage_errors_are_one_line(fails: Fails, script: Call) -> None:
    assert "nothing.yaml" in fails(2, PREPROCESS, "-c", "nothing.yaml")
    assert "--sed" in fails(2, PREPROCESS, "--sed", "1")
    assert "training.epochs" in fails(2, TRAIN, "--set", "training.epochs=2.5")
    assert "too few beats" in fails(2, PREPROCESS, "--set", "data.synthetic.beats=10")
    assert "no such table" in fails(
        3, PREPROCESS, "--set", "data.source=csv", "--set", "data.csv.file=absent.csv"
    )
    Path("file").write_text("not a folder")
    assert "cannot write into file" in fails(
        2, PREPROCESS, *C, "--set", "data.processed_dir=file/below"
    )


def test_a_device_that_is_not_there_is_a_usage_error(stages: Stages, fails: Fails) -> None:
    import torch

    absent = "mps" if torch.cuda.is_available() else "cuda"
    stages([PREPROCESS], *C)
    line = fails(2, TRAIN, *C, "--device", absent)
    assert absent in line
    assert "cpu" in line


def test_real_ecg5000_end_to_end(ecg5000: Path, script: Call) -> None:
    """A few epochs on the real beats already tell normal from anomalous ones."""
    config = REPOSITORY / "configs" / "ecg5000_dense.yaml"
    options = ["-c", config, "--set", f"data.raw_dir={ecg5000}", "--set", "training.epochs=8"]
    for stage in STAGES[:3]:
        outcome = script(stage, *options, "--json")
        assert outcome.code == 0, outcome.stderr
    metrics = json.loads(outcome.stdout)
    assert metrics["test"]["auroc"] > 0.97
    assert set(metrics["test"]["recall_by_class"]) == {"2", "3", "4", "5"}
    rows = np.load("data/processed/ecg5000_dense/rows_test.npy")
    raw = beats_of("ecg5000", ecg5000).take(rows)
    run = Path("runs/ecg5000_dense")
    detector = TrainedDetector.load(run)
    np.testing.assert_array_equal(detector.scores(raw.waveforms), np.load(run / "scores_test.npy"))


def test_a_full_disk_leaves_the_old_file_and_says_what_is_needed(tmp_path: Path) -> None:
    path, other = tmp_path / "a.npy", tmp_path / "b.npy"
    arrays.save_array(path, np.arange(10))
    full = OSError(errno.ENOSPC, "No space left on device")
    told = r"the disk is full: .*a.npy needs 5 kB, and .* are left"
    with pytest.raises(UserError, match=told), files.written(path, 5000):
        raise full
    # Of two files that are open, the one that could not be written is named.
    full.filename = str(path)
    told = r"a.npy needs more than 0 kB"
    with pytest.raises(UserError, match=told), files.written(path), files.written(other):
        raise full
    np.testing.assert_array_equal(arrays.load_array(path), np.arange(10))
    assert [file.name for file in tmp_path.iterdir()] == ["a.npy"]
