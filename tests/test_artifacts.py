"""What passes between the stages: it comes back as it went in, and what it says is checked."""

import csv
import errno
import io
import os
import re
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ecgad.artifacts import arrays, checkpoint, files, manifest, processed, runs, tensors, training
from ecgad.artifacts.checkpoint import Checkpoint
from ecgad.artifacts.stages import Stage
from ecgad.data.beats import BeatFormat, Beats, Strip
from ecgad.data.scaling import RunningStatistics
from ecgad.data.splits import SPLITS
from ecgad.errors import ConfigError, FileError, MismatchError, UserError
from ecgad.experiment import Experiment, load_experiment
from ecgad.models import build_model
from ecgad.runtime import processes
from ecgad.runtime.locks import FolderLock
from ecgad.scoring.reference_beats import ReferenceBeats
from ecgad.training.fit import TrainingState
from ecgad.training.optimizers import Optimizer


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "int8", "<U7", "bool"])
@pytest.mark.parametrize("shape", [(7,), (7, 3), (7, 2, 5)])
def test_arrays_that_grow_are_read_as_what_was_appended(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    arrays.save_array(tmp_path / "whole.npy", array)
    with files.written(tmp_path / "grown.npy") as file:
        growing = arrays.GrowingArray(file, tmp_path / "grown.npy")
        for part in (array[:3], array[3:3], array[3:]):
            growing.append(part)
        growing.finish()
        # Again, some rows at a time, each block with its first row; the last one is shorter.
        blocks = list(growing.blocks(3))
        assert [start for start, _ in blocks] == [0, 3, 6]
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), array)
    for name in ("whole.npy", "grown.npy"):
        found = arrays.load_array(tmp_path / name)
        assert isinstance(found, np.memmap) and found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_rows_of_a_finished_array_are_replaced_in_place(tmp_path: Path) -> None:
    array = np.arange(14, dtype=np.float32).reshape(7, 2)
    path = tmp_path / "a.npy"
    with files.written(path) as file:
        growing = arrays.GrowingArray(file, path)
        growing.append(array)
        growing.finish()
        growing.rewrite(lambda block: block.astype(float) * len(block), 4)
    np.testing.assert_array_equal(arrays.load_array(path), np.r_[array[:4] * 4, array[4:] * 3])


def test_a_write_that_fails_names_the_file() -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    file = Full()
    growing = arrays.GrowingArray(file, Path("deep/a.npy"))
    growing.dtype, growing.shape = np.dtype("f4"), ()
    with pytest.raises(OSError, match="No space left") as error:
        growing.append(np.zeros(3, np.float32))
    assert error.value.filename == "deep/a.npy"


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"hello", None])
def test_what_is_no_array_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError, match=r"^cannot read .*a\.npy"):
        arrays.load_array(path)


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(FileError, match="cannot read"):
        arrays.load_array(tmp_path / "a.npy")


def test_a_file_takes_its_place_when_it_is_whole_and_is_as_open_as_others(tmp_path: Path) -> None:
    path, plain = tmp_path / "deep" / "a.txt", tmp_path / "plain"
    plain.touch()
    files.save_bytes(path, b"old")
    with pytest.raises(RuntimeError, match="halfway"), files.written(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        raise RuntimeError("halfway")
    assert path.read_bytes() == b"old"
    files.save_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_json_is_read_as_it_was_written_and_holds_no_infinity(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, None, True], "ü": {"b": "x"}}
    files.save_json(tmp_path / "a.json", content)
    assert files.load_json(tmp_path / "a.json") == content
    assert (tmp_path / "a.json").read_text().startswith('{\n  "a": [')
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            files.save_json(tmp_path / "a.json", value)
    assert files.load_json(tmp_path / "a.json") == content
    for spoilt in ("", "{", "\xff"):
        (tmp_path / "b.json").write_text(spoilt, encoding="latin-1")
        with pytest.raises(FileError, match=r"cannot read .*b\.json"):
            files.load_json(tmp_path / "b.json")


def test_a_digest_is_that_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert files.sha256(tmp_path / "a") == expected
    with pytest.raises(FileError, match="cannot read"):
        files.sha256(tmp_path / "b")


def test_a_folder_that_cannot_be_made_or_written_is_said(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a" / "b")
    files.make_folder(tmp_path / "a" / "b")
    files.check_writable(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write into .*choose another folder"):
        files.make_folder(tmp_path / "file")
    with pytest.raises(ConfigError, match="cannot write into"):
        files.check_writable(tmp_path / "missing")


@pytest.mark.parametrize(
    ("made", "asked", "words"),
    [
        ({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": (1, 2)}, "a": 1}, ""),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a.b.c: 1, now 2"),
        ({"a": 1}, {"a": 1, "b": 2}, "b: absent, now 2"),
        ({"a": 1, "b": 2}, {"a": 1}, "b: 2, now absent"),
        ({"settings": {"seed": 1}}, {"settings": {"seed": 2}}, "seed: 1, now 2"),
        ({"inputs": {"f": "0" * 64}}, {"inputs": {"f": "1" * 64}}, "f: 000000000000..., now 11"),
        ({"a": {"b": 1}}, {"a": 3}, "a: {'b': 1}, now 3"),
        ({"a": 1}, {"a": 1.0}, "a: 1, now 1.0"),
        ({"a": "x" * 63}, {"a": None}, f"a: {'x' * 63}, now absent"),
    ],
)
def test_the_first_difference_is_named(made: Any, asked: Any, words: str) -> None:
    found = manifest.difference_of(made, asked)
    assert found.startswith(words) and bool(found) == bool(words)


def test_a_manifest_comes_back_and_says_what_is_ours(tmp_path: Path) -> None:
    assert manifest.load(tmp_path) == manifest.Manifest()
    known = manifest.Manifest(
        stages={"train": {"outputs": {"a.pt": "0"}, "summary": {"n": 1}}},
        files={"train": ["a.pt", "figures/b-1.png"], "evaluate": ["c.npy"]},
    )
    manifest.save(tmp_path, known)
    found = manifest.load(tmp_path)
    assert found == known
    assert found.ours == {"a.pt", "figures/b-1.png", "c.npy"}
    for name in ("../a.pt", "/a.pt", "deep/a.pt", ".a.pt", "figures/../a.pt", "a"):
        manifest.save(tmp_path, manifest.Manifest(stages={"train": {"outputs": {name: "0"}}}))
        with pytest.raises(FileError, match="damaged"):
            manifest.load(tmp_path)


def beats_of(n: int, first: int, labelled: bool = True) -> Beats:
    """Beats of which every array tells which they are."""
    rows = first + np.arange(n)
    labels = (rows % 3 == 0).astype(np.int8)
    values = rows[:, None, None] + np.linspace(0, 1, 8, dtype=np.float32).reshape(2, 4)
    return Beats(
        waveforms=values.astype(np.float32),
        symbols=labels.astype("<U3"),
        labels=labels if labelled else None,
        rows=rows,
        records=(rows % 5).astype("<U4"),
        times=rows / 7,
        rr=np.stack([rows / 3, rows / 4], axis=1).astype(np.float32),
        format=BeatFormat(("I", "II"), sampling_rate=100.0, unit="mV", class_names={"0": "zero"}),
    )


def strip_of(number: int, n: int) -> Strip:
    ecg = np.arange(n, dtype=np.float32) + 100 * number
    return Strip(f"r{number}", "II", number / 3, 100.0, 360.0, "mV", ecg)


@pytest.mark.parametrize("labelled", [True, False])
def test_splits_written_part_by_part_are_read_whole_and_scaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labelled: bool
) -> None:
    # Blocks of 2 beats.
    monkeypatch.setattr(processed, "BLOCK_SAMPLES", 2 * 8)
    parts = {
        split: [beats_of(n, 100 * place + 10 * turn, labelled) for turn, n in enumerate((5, 0, 4))]
        for place, split in enumerate(SPLITS)
    }
    strips = [strip_of(number, 3 + number) for number in range(70)]
    with processed.SplitWriter(tmp_path) as writer:
        for turn in range(3):
            for split in SPLITS:
                writer.add(split, parts[split][turn])
        writer.add_strip(None)
        for strip in strips:
            writer.add_strip(strip)
        assert writer.shape == (2, 4)
        assert writer.labelled == labelled
        statistics = RunningStatistics("lead")
        whole = {split: Beats.concatenate(parts[split]) for split in SPLITS}
        known = whole["train"].waveforms[whole["train"].normals]
        if labelled:
            normals = list(writer.training_normals())
            np.testing.assert_array_equal(np.concatenate(normals), known)
            assert max(map(len, normals)) <= 2
        statistics.add(known)
        scaler = statistics.scaler("minmax")
        outside = writer.finish(scaler, statistics)
        assert not list(tmp_path.glob("*.npy"))
    for split in SPLITS:
        found = processed.load_split(tmp_path, split)
        expected = scaler.transform(whole[split].waveforms)
        np.testing.assert_allclose(found.waveforms, expected, rtol=1e-6)
        assert outside[split] == np.mean((expected < 0) | (expected > 1))
        for name in ("symbols", "labels", "rows", "records", "times", "rr"):
            stored, given = getattr(found, name), getattr(whole[split], name)
            assert (stored is None) == (given is None)
            if given is not None:
                np.testing.assert_array_equal(stored, given)
                assert stored.dtype == given.dtype
        assert found.patients is None
        assert found.format == whole[split].format
    assert outside["train"] < 0.3 and outside["test"] == 1
    assert processed.load_scaler(tmp_path).scale.tolist() == scaler.scale.tolist()
    kept = processed.load_strips(tmp_path)
    assert len(kept) == 64
    for strip, given in zip(kept, strips, strict=False):
        np.testing.assert_array_equal(strip.ecg, given.ecg)
        assert replace(strip, ecg=None) == replace(given, ecg=None)  # type: ignore[arg-type]
    there = {path.name for path in tmp_path.iterdir()}
    assert there == set(writer.outputs) <= set(processed.OUTPUTS)


def test_anomalies_are_hidden_among_all_parts(tmp_path: Path) -> None:
    with processed.SplitWriter(tmp_path) as writer:
        for split in SPLITS:
            for first in (0, 30):
                writer.add(split, beats_of(30, first))
        # 40 normal and 20 anomalous beats: 10 of 50 are hidden.
        assert writer.hide_anomalies(0.2, seed=0) == 50
        statistics = RunningStatistics("all").add(beats_of(60, 0).waveforms)
        assert sum(map(len, writer.training_normals())) == 50
        writer.finish(statistics.scaler("standard"), statistics)
    labels = {split: processed.load_split(tmp_path, split).labels for split in SPLITS}
    assert {split: int((of == 0).sum()) for split, of in labels.items() if of is not None} == {
        "train": 50,
        "validation": 40,
        "test": 40,
    }


def test_beats_too_large_to_be_computed_with_are_refused(tmp_path: Path) -> None:
    few = beats_of(4, 1)
    with pytest.raises(FileError, match="times the range"), processed.SplitWriter(tmp_path) as out:
        for split in SPLITS:
            out.add(split, few)
        large = replace(few, waveforms=few.waveforms * np.float32(1e30))
        out.add("test", large)
        statistics = RunningStatistics("lead").add(few.waveforms)
        out.finish(statistics.scaler("minmax"), statistics)
    assert not list(tmp_path.iterdir())


def test_what_a_run_keeps_comes_back(tmp_path: Path) -> None:
    history = [
        {
            "epoch": n,
            "train_loss": 1 / n,
            "validation_loss": 0.1 * n,
            "learning_rate": 1e-3 / n,
            "seconds": 0.5,
        }
        for n in (1, 2, 3)
    ]
    runs.save_history(tmp_path, history)
    found = runs.load_history(tmp_path)
    for name in runs.HISTORY_COLUMNS:
        assert found[name].tolist() == [row[name] for row in history]
    with (tmp_path / "history.csv").open() as file:
        assert next(csv.reader(file)) == [
            *("epoch", "train_loss", "validation_loss", "learning_rate", "seconds")
        ]
    for spoilt in ("epoch,train_loss\n1,2\n", "epoch\nx\n"):
        (tmp_path / "history.csv").write_text(spoilt)
        with pytest.raises(FileError, match=r"cannot read .*history\.csv"):
            runs.load_history(tmp_path)

    indices, codes = np.array([4, 0, 9]), np.eye(3, dtype=np.float32)
    runs.save_codes(tmp_path, indices, codes)
    for stored, given in zip(runs.load_codes(tmp_path), (indices, codes), strict=True):
        np.testing.assert_array_equal(stored, given)

    examples = {"normal": np.array([3, 1]), "none": np.array([], int), "missed": np.array([7])}
    runs.save_examples(tmp_path, examples, lambda of: of[:, None] * np.ones((1, 2)))
    loaded = runs.load_examples(tmp_path)
    assert list(loaded) == list(examples)
    for kind, (stored, made) in loaded.items():
        np.testing.assert_array_equal(stored, examples[kind])
        np.testing.assert_array_equal(made, examples[kind][:, None] * np.ones((1, 2)))

    scores = {split: np.arange(3.0) + place for place, split in enumerate(SPLITS)}
    runs.save_scores(tmp_path, scores, [np.ones(3), np.zeros(3)])
    for split, given in scores.items():
        np.testing.assert_array_equal(np.load(tmp_path / f"scores_{split}.npy"), given)
    assert np.load(tmp_path / "baselines_test.npy").tolist() == [[1, 1, 1], [0, 0, 0]]
    assert runs.figure_file("a") == "figures/a.png"


def experiment_of(folder: Path, **training_settings: object) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "x",
            "data": {"processed_dir": str(folder / "data")},
            "model": {"dense": {"layers": [4], "code_size": 2}},
            "training": {"epochs": 3, "schedule": "constant", **training_settings},
        }
    )


def stage_of(name: str, experiment: Experiment, folder: Path) -> Stage:
    def hold(of: Path, write: bool) -> FolderLock:
        lock = FolderLock(of, write, pytest.fail)
        lock.close()
        return lock

    sources = {"source": folder / "source"} if name == "preprocess" else None
    return Stage(name, experiment, folder / "run", hold, sources)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source and its splits."""
    folder = tmp_path_factory.mktemp("once")
    (folder / "source").write_text("beats")
    stage = stage_of("preprocess", experiment_of(folder), folder)
    assert stage.finished() is None
    stage.check_writable()
    with processed.SplitWriter(stage.folder) as writer:
        stage.begin(processed.OUTPUTS)
        for split in SPLITS:
            writer.add(split, beats_of(12, 1))
        statistics = RunningStatistics("lead").add(beats_of(12, 1).waveforms)
        writer.finish(statistics.scaler("minmax"), statistics)
    stage.finish(writer.outputs, {"n": 12})
    return folder


@pytest.fixture
def preprocessed(once: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_stage_knows_its_own_output_and_what_it_was_made_from(preprocessed: Path) -> None:
    folder, experiment = preprocessed, experiment_of(preprocessed)
    assert stage_of("preprocess", experiment, folder).finished() == {"n": 12}
    entry = manifest.load(folder / "data").stages["preprocess"]
    assert entry["inputs"] == {"source": files.sha256(folder / "source")}
    assert entry["outputs"]["scaler.json"] == files.sha256(folder / "data" / "scaler.json")
    assert entry["seed"] == 0 and entry["config"]["name"] == "x"
    assert entry["versions"]["torch"] == torch.__version__
    following = stage_of("train", experiment, folder)
    assert following.needed == {"preprocess": {"n": 12}}
    assert following.inputs == entry["outputs"]

    other = experiment.model_copy(update={"seed": 1})
    with pytest.raises(MismatchError, match=r"made otherwise \(seed: 0, now 1\)"):
        stage_of("preprocess", other, folder).finished()
    with pytest.raises(MismatchError, match=r"with other settings .*seed: 0, now 1"):
        stage_of("train", other, folder)
    (folder / "source").write_text("other beats")
    with pytest.raises(MismatchError, match=r"made otherwise \(source: "):
        stage_of("preprocess", experiment, folder).finished()
    (folder / "source").write_text("beats")

    labels = folder / "data" / "labels_test.npy"
    content = labels.read_bytes()
    labels.write_bytes(content[:-1] + b"\x07")
    for name in ("preprocess", "train"):
        with pytest.raises(MismatchError, match=r"labels_test.npy is not the file that prepr"):
            stage_of(name, experiment, folder).finished()
    labels.unlink()
    assert stage_of("preprocess", experiment, folder).finished() is None
    with pytest.raises(FileError, match=r"labels_test.npy is missing; run preprocess_data.py"):
        stage_of("train", experiment, folder)
    with pytest.raises(FileError, match=r"no finished output of train_model.py"):
        labels.write_bytes(content)
        stage_of("evaluate", experiment, folder)


def test_a_stage_that_began_is_not_done_and_removes_what_it_writes_no_more(
    preprocessed: Path,
) -> None:
    folder, experiment = preprocessed, experiment_of(preprocessed)
    stage = stage_of("train", experiment, folder)
    for outputs in (("a.txt", "b.txt"), ("b.txt",)):
        stage.begin(outputs)
        assert stage.finished() is None
        for name in outputs:
            (folder / "run" / name).write_text(name)
        stage.finish(outputs, {"of": len(outputs)})
        assert stage.finished() == {"of": len(outputs)}
    there = sorted(path.name for path in (folder / "run").iterdir())
    assert there == ["b.txt", "config.yaml", "manifest.json"]
    # What another stage has written as well stays.
    found = manifest.load(folder / "run")
    found.files["evaluate"] = ["b.txt"]
    manifest.save(folder / "run", found)
    stage.begin(("b.txt", "c.txt"))
    (folder / "run" / "c.txt").touch()
    stage.finish(("c.txt",), {})
    assert (folder / "run" / "b.txt").exists()
    (folder / "run" / "mine.txt").touch()
    with pytest.raises(MismatchError, match=r"mine.txt is in the way: no manifest"):
        stage.begin(("mine.txt",))


def test_what_was_replaced_while_it_was_read_is_noticed(preprocessed: Path) -> None:
    stage = stage_of("train", experiment_of(preprocessed), preprocessed)
    stage.begin(("a.txt",))
    (preprocessed / "run" / "a.txt").touch()
    rows = preprocessed / "data" / "rows_test.npy"
    rows.with_name("copy").write_bytes(rows.read_bytes())
    rows.with_name("copy").replace(rows)
    with pytest.raises(MismatchError, match=r"rows_test.npy was replaced while train_model.py"):
        stage.finish(("a.txt",), {})


def states(experiment: Experiment, n: int) -> list[TrainingState]:
    """Of epochs of which the first is the best."""
    history = [
        dict(zip(runs.HISTORY_COLUMNS, (n + 1, 1.0, 1.0 + n, 1e-3, 0.1), strict=True))
        for n in range(n)
    ]
    model = build_model("dense", 2, 4, experiment.model.parameters)
    moved = Optimizer(model.parameters(), experiment.training, 10).state_dict()
    weights = [{name: w * 0 + e for name, w in model.state_dict().items()} for e in range(n)]
    moved = Optimizer(model.parameters(), experiment.training, n).state_dict()
    return [
        TrainingState(e + 1, weights[e], {**moved, "steps": e}, 1, weights[0], history[: e + 1])
        for e in range(n)
    ]


def of_weights(found: dict[str, torch.Tensor]) -> set[float]:
    return {value for weights in found.values() for value in weights.flatten().tolist()}


def test_the_best_checkpoint_is_of_the_best_epoch_and_the_last_goes_on(
    preprocessed: Path,
) -> None:
    folder, experiment = preprocessed, experiment_of(preprocessed)
    stage, run = stage_of("train", experiment, folder), preprocessed / "run"
    assert training.find_training(stage, resume=False, overwrite=False) == (None, {})
    train = processed.load_split(folder / "data", "train")
    empty = training.new_checkpoint(stage, train)
    assert empty.model["n_leads"] == 2 and empty.model["n_samples"] == 4
    known = states(experiment, 2)
    with (
        pytest.raises(KeyboardInterrupt),
        training.TrainingWriter(stage, empty, None) as write,
    ):
        for state in known:
            write(state)
        assert not (run / runs.LAST).exists()
        raise KeyboardInterrupt
    best, last = (checkpoint.load_checkpoint(run / name) for name in (runs.BEST, runs.LAST))
    assert of_weights(best.weights) == of_weights(last.weights) == {0}
    assert best.training is None and best.reference is None
    assert last.training is not None and of_weights(last.training["weights"]) == {1}
    assert best.scaler == processed.load_scaler(folder / "data").to_dict()
    assert BeatFormat.from_dict(best.beat_format) == train.format
    assert runs.load_history(run)["validation_loss"].tolist() == [1, 2]

    # Unfinished: neither begun again nor gone on with unasked.
    again = stage_of("train", experiment, folder)
    with pytest.raises(MismatchError, match="holds an unfinished training; give --resume"):
        training.find_training(again, resume=False, overwrite=False)
    with pytest.raises(ConfigError, match="give one of them"):
        training.find_training(again, resume=True, overwrite=True)
    assert training.find_training(again, resume=False, overwrite=True) == (None, {})
    _, found = training.find_training(again, resume=True, overwrite=False)
    assert TrainingState(**found).epoch == 2 and found["history"] == known[-1].history

    # Where the rate is constant, it goes on to another number of epochs, but not back.
    longer = stage_of("train", experiment_of(folder, epochs=9), folder)
    assert training.find_training(longer, resume=True, overwrite=False)[1]["epoch"] == 2
    for settings, words in (
        ({"epochs": 1}, "2 epochs are done already"),
        ({"batch_size": 7}, "training.batch_size: 64, now 7"),
        ({"schedule": "cosine", "epochs": 9}, "training.epochs: 3, now 9"),
    ):
        other = stage_of("train", experiment_of(folder, **settings), folder)
        with pytest.raises(MismatchError, match=words):
            training.find_training(other, resume=True, overwrite=False)

    reference = ReferenceBeats([{"codes": np.eye(2, dtype=np.float32)}])
    training.save_best(again, last, known[-1], reference)
    finished = checkpoint.load_checkpoint(run / runs.BEST)
    assert of_weights(finished.weights) == {0} and finished.training is None
    assert finished.reference is not None
    kept = ReferenceBeats.from_dict(finished.reference)
    np.testing.assert_array_equal(kept.members[0]["codes"], np.eye(2))
    assert of_weights(dict(checkpoint.restore_model(finished).state_dict())) == {0}
    again.finish(runs.TRAINING_OUTPUTS, {"epochs": 2})
    for resume in (False, True):
        assert training.find_training(again, resume, overwrite=False) == ({"epochs": 2}, {})


def test_checkpoints_are_written_every_few_seconds(
    preprocessed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = experiment_of(preprocessed)
    stage = stage_of("train", experiment, preprocessed)
    now = [100.0]
    monkeypatch.setattr("ecgad.artifacts.training.time.monotonic", lambda: now[0])
    empty = training.new_checkpoint(stage, processed.load_split(preprocessed / "data", "train"))
    last = preprocessed / "run" / runs.LAST
    with training.TrainingWriter(stage, empty) as write:
        for state, (seconds, epoch) in zip(
            states(experiment, 5), ((4, 0), (6, 2), (9, 2), (11, 2), (12, 5)), strict=True
        ):
            now[0] = 100.0 + seconds
            write(state)
            written = checkpoint.load_checkpoint(last).training if last.exists() else None
            assert (written["epoch"] if written else 0) == epoch
    written = checkpoint.load_checkpoint(last).training
    assert written is not None and written["epoch"] == 5
    last.unlink()
    # Nothing new is not written.
    with training.TrainingWriter(stage, empty, TrainingState()):
        pass
    assert not last.exists()


def test_a_checkpoint_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    with pytest.raises(FileError, match=r"no checkpoint .*c\.pt; run train_model.py first"):
        checkpoint.load_checkpoint(path)
    model = build_model("dense", 1, 8, {"layers": [4], "code_size": 2})
    known = Checkpoint(path, model.description, model.state_dict(), {}, {}, {"a": 1}, {"b": "2"})
    checkpoint.save_checkpoint(known)
    found = checkpoint.load_checkpoint(path)
    assert (found.settings, found.inputs, found.path) == ({"a": 1}, {"b": "2"}, path)
    assert not checkpoint.restore_model(found).training
    content = tensors.load_tensors(path, "checkpoint", checkpoint.CHECKPOINT_FORMAT, "again")
    for change, words in (
        ({"format": 3}, "is no checkpoint of format 4"),
        ({"format": 4, "further": 1}, "is no checkpoint of this version of ecgad"),
    ):
        tensors.save_tensors(path, {**content, **change})
        with pytest.raises(FileError, match=words):
            checkpoint.load_checkpoint(path)
    other = build_model("dense", 1, 9, {"layers": [4], "code_size": 2}).state_dict()
    for broken in (replace(known, weights=other), replace(known, model={"kind": "dense"})):
        with pytest.raises(FileError, match="holds no model that fits its description"):
            checkpoint.restore_model(broken)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize(
    ("size", "words"), [(None, "needs more than 12 kB"), (34_000, "needs 34 kB")]
)
def test_a_full_disk_is_told_of_the_file_that_it_befell(
    tmp_path: Path, number: int, size: int | None, words: str
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    full = OSError(number, "No space left on device")
    expected = UserError if number != errno.EIO else OSError
    with pytest.raises(expected) as error, files.written(path, size) as file:
        file.write(bytes(12_000))
        file.flush()
        raise full
    if expected is UserError:
        assert str(error.value).startswith(f"the disk is full: {path} {words}, and ")
        free = float(re.findall(r"and ([\d,]+) kB are left", str(error.value))[0].replace(",", ""))
        assert free == pytest.approx(shutil.disk_usage(tmp_path).free / 1e3, rel=0.2)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    # Of another file, it is not this one that lacks room.
    full.filename = "other.bin"
    with pytest.raises(OSError, match="No space left"), files.written(path) as file:
        raise full


def test_temporary_files_of_the_dead_go_and_nothing_else(tmp_path: Path) -> None:
    names = [".a.npy.x1y2z3w4.ecgad", ".a.npy.short.ecgad", ".a.npy.x1y2z3w4.other", "a.npy.ecgad"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".b.npy.x1y2z3w4.ecgad").mkdir()
    (tmp_path / ".c.npy.x1y2z3w4.ecgad").symlink_to(tmp_path / names[-1])
    with files.written(tmp_path / "d.npy"):
        files.remove_abandoned(tmp_path)
        left = {path.name for path in tmp_path.iterdir()}
        assert len(left) == 6 and names[0] not in left
    assert {*names[1:], ".b.npy.x1y2z3w4.ecgad", ".c.npy.x1y2z3w4.ecgad", "d.npy"} == {
        path.name for path in tmp_path.iterdir()
    }


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    (tmp_path / "b").mkdir()
    readers: list[Callable[[Path], object]] = [
        files.sha256,
        files.load_json,
        arrays.load_array,
        lambda path: tensors.load_tensors(path, "detector", 1, "again"),
    ]
    for name in "ab":
        for read in readers:
            with pytest.raises(FileError, match="it is no file"):
                read(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        {"a": float("nan")},
        {"a": [1.0, {"b": (2.0, float("inf"))}]},
        {"a": {"b": torch.tensor([1.0, float("-inf")])}},
    ],
)
def test_tensors_and_numbers_that_are_not_finite_are_refused(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    path = tmp_path / "a.pt"
    finite = {"a": [1.0, None, "nan", {"b": torch.arange(3)}], "c": (True, 2)}
    tensors.save_tensors(path, {"format": 2, **finite})
    found = tensors.load_tensors(path, "detector", 2, "evaluate again")
    assert found["c"] == (True, 2) and found["a"][:3] == [1.0, None, "nan"]
    tensors.save_tensors(path, {"format": 2, **content})
    with pytest.raises(FileError, match="holds a number that is not finite; evaluate again"):
        tensors.load_tensors(path, "detector", 2, "evaluate again")
    for wrong in (1, None):
        with pytest.raises(FileError, match=f"of format {wrong}"):
            tensors.save_tensors(path, {"format": wrong})
            tensors.load_tensors(path, "detector", 2, "evaluate again")


def test_the_table_of_scores_is_read_back_exactly(tmp_path: Path) -> None:
    rows = [
        {"split": "test", "row": n, "score": np.nextafter(0.1, n), "class": 'ü, "x"\n'}
        for n in range(3)
    ]
    runs.save_score_table(tmp_path, iter(rows))
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [{**row, "row": int(row["row"]), "score": float(row["score"])} for row in found] == rows


@pytest.mark.parametrize("name", ["beats.json", "scaler.json", "strips.json"])
@pytest.mark.parametrize("content", ["[]", "{}", "[3]", '{"timing": 1}', '"x"'])
def test_descriptions_of_splits_that_say_something_else_are_refused(
    preprocessed: Path, name: str, content: str
) -> None:
    folder = preprocessed / "data"
    (folder / name).write_text(content)
    if (name, content) == ("strips.json", "[]"):
        assert processed.load_strips(folder) == []
        return
    if (name, content) == ("strips.json", "{}"):
        return
    with pytest.raises(FileError, match=rf"{name} is damaged, or by another version"):
        processed.load_split(folder, "test")
        processed.load_format(folder)
        processed.load_scaler(folder)
        processed.load_strips(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 1},
        {"epoch": 3},
        {"best_epoch": 0},
        {"best_epoch": 3},
        {"history": []},
        {"history": [{"epoch": 1}, {"epoch": 2}]},
        {"weights": {}},
        {"best_weights": {}},
        {"optimizer": {}},
        {"optimizer": {"mean": torch.zeros(3)}},
        {"optimizer": {"square": torch.zeros(3)}},
        {"optimizer": {"count": torch.zeros(3)}},
        {"optimizer": {"product": torch.zeros(0)}},
        {"optimizer": {"steps": 1.0}},
        {"further": 1},
        None,
    ],
)
def test_a_training_goes_on_from_a_whole_state_alone(
    preprocessed: Path, change: dict[str, Any] | None
) -> None:
    experiment = experiment_of(preprocessed)
    stage = stage_of("train", experiment, preprocessed)
    known = training.new_checkpoint(stage, processed.load_split(preprocessed / "data", "train"))
    whole = vars(states(experiment, 2)[-1])
    assert training._whole(replace(known, training=whole))
    if change and change.get("optimizer"):
        change = {"optimizer": {**whole["optimizer"], **change["optimizer"]}}
    broken = None if change is None else {**whole, **change}
    assert not training._whole(replace(known, training=broken))


def test_ranks_and_restarts_go_on_as_one_process_does(
    preprocessed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other ranks than the first look at nothing; what torchrun starts again goes on."""
    experiment = experiment_of(preprocessed)
    stage = stage_of("train", experiment, preprocessed)
    empty = training.new_checkpoint(stage, processed.load_split(preprocessed / "data", "train"))
    with training.TrainingWriter(stage, empty) as write:
        write(states(experiment, 2)[-1])
    monkeypatch.setattr(processes, "ATTEMPT", 1)
    for overwrite in (False, True):
        _, found = training.find_training(stage, resume=False, overwrite=overwrite)
        assert found["epoch"] == 2
    monkeypatch.setattr(processes, "RANK", 1)
    assert training.find_training(stage, resume=False, overwrite=False) == (None, {})
    content = (preprocessed / "run" / runs.LAST).read_bytes()
    with training.TrainingWriter(stage, empty) as write:
        write(states(experiment, 1)[-1])
    assert (preprocessed / "run" / runs.LAST).read_bytes() == content


def test_a_stage_holds_what_it_reads_and_what_it_writes(preprocessed: Path) -> None:
    held: list[tuple[str, bool]] = []

    def hold(of: Path, write: bool) -> FolderLock:
        held.append((of.name, write))
        lock = FolderLock(of, write, pytest.fail)
        lock.close()
        return lock

    experiment, run = experiment_of(preprocessed), preprocessed / "run"
    Stage("train", experiment, run, hold)
    assert sorted(held) == [("data", False), ("run", True)]
    Stage("preprocess", experiment, run, hold, {})
    assert held[2:] == [("data", True)]


def test_what_is_missing_or_cut_short_among_the_splits_is_named(preprocessed: Path) -> None:
    folder = preprocessed / "data"
    loaders: dict[str, Callable[[], object]] = {
        "rr_test.npy": lambda: processed.load_split(folder, "test"),
        "beats.json": lambda: processed.load_format(folder),
        "scaler.json": lambda: processed.load_scaler(folder),
        "strips.json": lambda: processed.load_strips(folder),
    }
    for name, load in loaders.items():
        load()
        for content in (b"{", None):
            (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
            with pytest.raises(FileError, match=rf"cannot read .*{name}"):
                load()


def test_a_config_is_replaced_where_it_says_something_else(tmp_path: Path) -> None:
    first, second = experiment_of(tmp_path), experiment_of(tmp_path, epochs=4)
    path = tmp_path / "config.yaml"
    runs.save_config(tmp_path, first)
    written = path.read_text()
    path.write_text("# mine\n" + written)
    runs.save_config(tmp_path, first)
    assert path.read_text() == "# mine\n" + written
    runs.save_config(tmp_path, second)
    again = load_experiment(path)
    assert again.training == second.training and again.processed_dir == tmp_path / "data"
    # Where its data lie by default is said as well.
    runs.save_config(tmp_path, Experiment(name="x"))
    assert load_experiment(path).data.processed_dir == "data/processed/x"
    assert load_experiment(path).data.raw_dir == "data/raw/synthetic"
    path.write_text("epochs: [")
    runs.save_config(tmp_path, first)
    assert path.read_text() == written
