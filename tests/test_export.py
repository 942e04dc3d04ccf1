"""A detector as one ONNX file: it does what the detector does, and others are refused."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ecgad import Detector
from ecgad.artifacts import files, runs
from ecgad.commands.export import export as command
from ecgad.config.segmentation import SegmentationConfig
from ecgad.data.beats import BeatFormat
from ecgad.data.scaling import Scaler
from ecgad.detection.export import Distance, check, export, to_onnx
from ecgad.detection.onnx import KEY, OnnxDetector, encoded_metadata
from ecgad.detection.trained import TrainedDetector
from ecgad.errors import ConfigError, FileError, UserError
from ecgad.models import Ensemble, build_model
from ecgad.processing.evidence import EVIDENCE
from ecgad.scoring.components import COMPONENTS
from ecgad.scoring.levels import Levels
from ecgad.scoring.reference_beats import compute_reference
from ecgad.scoring.scorer import Scorer
from ecgad.scoring.thresholds import Threshold

from .conftest import REPOSITORY, SMOKE, STAGES

# Of PyTorch, about its own parts.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

TIMING = ("rr_previous_ratio", "rr_next_ratio")
FORMAT = BeatFormat(
    ("II", "a", "b", *EVIDENCE.values()),
    TIMING,
    100.0,
    segmentation=SegmentationConfig(timing=list(TIMING), sampling_rate=100),  # type: ignore[arg-type]
    evidence=tuple(EVIDENCE),
)
MODELS: dict[str, dict[str, Any]] = {
    "dense": {"layers": [6], "code_size": 3, "activation": "tanh"},
    "cnn": {"filters": 2, "depth": 2, "code_size": 3, "decoder": "upsampling", "output": "sigmoid"},
    "lstm": {"hidden_size": 3, "code_size": 3, "patch_size": 40},
}


def beats_of(seed: int, n: int = 120) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ecg = np.cumsum(rng.normal(size=(n, 1, 70)), axis=2)
    intervals = rng.normal(1, 0.1, size=(n, 2, 1))
    early = np.maximum(0, rng.normal(0, 0.3, size=(n, 5, 1)))
    beside = np.concatenate([intervals, early, rng.normal(size=(n, 2, 1))], axis=1)
    return np.concatenate([ecg, np.repeat(beside, 70, axis=2)], axis=1).astype(np.float32)


def detector_of(kinds: list[str], components: dict[str, float], lengths: Any) -> TrainedDetector:
    """An ensemble of these kinds of networks, untrained."""
    torch.manual_seed(1)
    built = [build_model(kind, 3, 70, MODELS[kind]).eval() for kind in kinds]
    model = built[0] if len(built) == 1 else Ensemble(built)
    scaler = Scaler.fit(known := beats_of(0), "standard", "lead", len(EVIDENCE))
    reference = compute_reference(model, scaler.transform(known), lengths, TIMING)
    scorer = Scorer(model, components, reference, 3, TIMING, evidence=FORMAT.evidence)
    detector = TrainedDetector(scorer, scaler, FORMAT, origin={"seed": 3})
    value = float(np.quantile(detector.scores(known, lengths), 0.9))
    detector.threshold = Threshold(value, "quantile", {"quantile": 0.9}, "validation", "all", 120)
    return detector


ALL = {name: 1.0 + number for number, name in enumerate(COMPONENTS)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedDetector, Path]:
    """A detector of all kinds of networks and all components, for padded beats, and its file.

    Its scores are relative to their record.
    """
    detector = detector_of(list(MODELS), ALL, np.full(120, 60))
    detector.levels = Levels(0.5, 1.7)
    path = tmp_path_factory.mktemp("exported") / "all.onnx"
    path.write_bytes(export(detector, True, {"licence": "none"}))
    return detector, path


def test_a_file_does_what_its_detector_does(exported: tuple[TrainedDetector, Path]) -> None:
    """Of every kind of network and every component, of any number of beats."""
    detector, path = exported
    loaded = Detector.load(path)
    assert isinstance(loaded, OnnxDetector)
    # Reference beats among them, which are not their own neighbours.
    beats = np.concatenate([beats_of(1, 500), beats_of(0)[:20]])
    lengths = np.random.default_rng(0).integers(30, 71, len(beats))
    lengths[500:] = 60
    for of in (lengths, None):
        scores, shares = loaded.explained(beats, of)
        wanted, parts = detector.explained(beats, of)
        np.testing.assert_allclose(scores, wanted, rtol=3e-6)
        np.testing.assert_allclose(shares, parts, atol=1e-6)
        assert (str(scores.dtype), str(shares.dtype)) == ("float64", "float32")
        np.testing.assert_array_equal(loaded.predict(beats, of), detector.predict(beats, of))
        alone, wanted = (each.of_beats_alone(beats, of)[0] for each in (loaded, detector))
        np.testing.assert_allclose(alone, wanted, rtol=3e-6)
        assert np.abs(scores / alone - 1).max() > 0.01
    halves = np.arange(len(beats)) % 2
    by_record = loaded.scores(beats, records=halves)
    np.testing.assert_allclose(by_record, detector.scores(beats, records=halves), rtol=3e-6)
    for n in (0, 1, loaded.batch):
        np.testing.assert_array_equal(loaded.scores(beats[:n]), loaded.scores(beats)[:n])
    assert loaded.scores(beats[:0]).shape == (0,)
    assert loaded.threshold == detector.threshold
    assert loaded.levels == detector.levels == Levels(0.5, 1.7)
    assert loaded.beat_format == detector.beat_format
    assert loaded.metadata["origin"] == {"seed": 3}
    assert "not a medical device" in loaded.metadata["notice"]
    with pytest.raises(ValueError, match="from 1 to 70 expected"):
        loaded.scores(beats[:2], np.array([0, 3]))
    with pytest.raises(ValueError, match=r"\(n_beats, 10, 70\) expected"):
        loaded.scores(beats[:, :2])
    # Of onnxruntime alone; no beat at all ends no process.
    session = onnxruntime.InferenceSession(path)
    for n in (0, 1, 7):
        fed = {"beats": beats[:n], "lengths": lengths[:n]}
        score, anomalous, shares = session.run(None, fed)
        assert (score.shape, anomalous.shape, shares.shape) == ((n,), (n,), (n, 3))
        assert detector.threshold is not None
        np.testing.assert_array_equal(anomalous, score > detector.threshold.value)
    # Nothing of the machine that wrote it.
    assert str(REPOSITORY).encode() not in path.read_bytes()


@pytest.mark.parametrize("offset", [0, 1e4])
def test_distances_are_exact_where_reference_beats_are_near(offset: float) -> None:
    rng = np.random.default_rng(0)
    reference = (offset + rng.normal(size=(300, 4))).astype(np.float32)
    reference[5] = reference[6]
    near = reference + rng.choice((0, 1e-3), reference.shape).astype(np.float32)
    for values in (reference, near):
        exact = COMPONENTS["code_distance"].prepare(reference, {}, 5)(values)
        found = Distance(reference, 5)(torch.from_numpy(values).double()).numpy()
        np.testing.assert_allclose(found, exact, rtol=1e-12)


def test_scores_that_depend_on_the_record_are_not_exported() -> None:
    detector = detector_of(["dense"], {"mae": 1}, None)
    detector.adaptation_minutes = 12
    with pytest.raises(ConfigError, match=r"^evaluation.adaptation_minutes: .* depend on the rec"):
        export(detector, False, {})


def test_a_file_that_does_otherwise_is_not_written(exported: tuple[TrainedDetector, Path]) -> None:
    detector, path = exported
    beats, content = beats_of(2), path.read_bytes()
    check(content, detector, beats, None)
    parts = (detector.scorer, detector.scaler, detector.beat_format)
    assert detector.threshold is not None
    moved = replace(detector.threshold, value=float(np.median(detector.scores(beats))))
    with pytest.raises(UserError, match=r"no file was written: .* [1-9]\d* verdicts"):
        check(content, TrainedDetector(*parts, moved), beats, None)
    larger = replace(detector.scaler, scale=detector.scaler.scale * 1.001)
    other = TrainedDetector(detector.scorer, larger, *parts[2:], detector.threshold)
    with pytest.raises(UserError, match="scores differ by up to"):
        check(content, other, beats, None)
    with pytest.raises(UserError, match="the graph does not run"):
        check(content[:500], detector, beats, None)


def damaged(change: Callable[[onnx.ModelProto], None], content: bytes) -> bytes:
    """A file that was changed by somebody who knows how to make the checksum fit."""
    proto = onnx.ModelProto.FromString(content)
    change(proto)
    known = json.loads(next(entry.value for entry in proto.metadata_props if entry.key == KEY))
    known.pop("sha256")
    del proto.metadata_props[:]
    text = encoded_metadata(known, proto.graph.SerializeToString())
    proto.metadata_props.add(key=KEY, value=text)
    return proto.SerializeToString()


def external(proto: onnx.ModelProto) -> None:
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def other_domain(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].domain = "com.example"


def loops(proto: onnx.ModelProto) -> None:
    proto.graph.node.append(helper.make_node("Loop", ["a"], ["b"], body=proto.graph))


def other_output(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT


def bomb(proto: onnx.ModelProto) -> None:
    """A score that is the sum of a hundred billion ones."""
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(1), "one"))
    proto.graph.initializer.append(numpy_helper.from_array(np.array([10**11]), "size"))
    for node in proto.graph.node:
        node.output[:] = ["score before" if name == "score" else name for name in node.output]
    proto.graph.node.extend(
        [
            helper.make_node("Expand", ["one", "size"], ["many"]),
            helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
            helper.make_node("Add", ["score before", "sum"], ["score"]),
        ]
    )


def no_metadata(proto: onnx.ModelProto) -> None:
    (entry,) = proto.metadata_props
    known = json.loads(entry.value)
    entry.value = json.dumps({**known, "threshold": {"value": "high"}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external, "numbers lie in another file"),
        (other_domain, "no detector has the operator"),
        (loops, "no detector has the operator 'Loop'"),
        (other_output, "type|outputs"),
        (bomb, "does not run|memory"),
        (no_metadata, "metadata is none"),
    ],
)
def test_files_from_elsewhere_are_refused(
    exported: tuple[TrainedDetector, Path],
    change: Callable[[onnx.ModelProto], None],
    words: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(damaged(change, exported[1].read_bytes()))
    with pytest.raises(FileError, match=words) as error:
        Detector.load(path)
    assert "\n" not in str(error.value) and "export it again" in str(error.value)


def test_damaged_files_are_refused(
    exported: tuple[TrainedDetector, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = exported[1].read_bytes(), tmp_path / "damaged.onnx"
    with pytest.raises(FileError, match=r"no detector .*; `ecgad export` makes one"):
        Detector.load(path)
    rng = np.random.default_rng(0)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    kept = sorted(rng.integers(0, len(whole), 30).tolist())
    garbage = [rng.bytes(1000), b"", bytes(100), b"\xff" * 100, b"\x0a" * 1001]
    for content in [*garbage, *(whole[:n] for n in kept), bytes(flipped)]:
        path.write_bytes(content)
        with pytest.raises(FileError, match="is no detector") as error:
            Detector.load(path)
        assert "\n" not in str(error.value)
    proto = onnx.ModelProto.FromString(whole)
    del proto.metadata_props[:]
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(FileError, match="has no entry 'ecgad'"):
        Detector.load(path)
    path.write_bytes(whole)
    monkeypatch.setattr("ecgad.detection.onnx.MOST_BYTES", 1000)
    with pytest.raises(FileError, match=r"it has 0\.0 GB"):
        Detector.load(path)
    monkeypatch.undo()
    # A graph that takes too long is stopped, by whatever it does next.
    monkeypatch.setattr("ecgad.detection.onnx.LONGEST", 0.0)
    n_threads = threading.active_count()
    with pytest.raises(FileError, match="does not run"):
        Detector.load(path).scores(beats_of(1, 5000))
    assert threading.active_count() <= n_threads + 1


ALONE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "sklearn", "matplotlib", "requests", "onnx"}:
            raise ImportError(name)
        if name in {"scipy.signal", "scipy.ndimage"}:
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import numpy as np
from ecgad import Detector
detector = Detector.load(sys.argv[1])
beats = np.load(sys.argv[2])
print(float(detector.scores(beats).sum()), detector.predict(beats).sum())
try:
    Detector.load("detector.pt")
except ValueError as error:
    print(error)
"""


def test_a_file_is_used_where_there_is_no_pytorch(
    exported: tuple[TrainedDetector, Path], tmp_path: Path
) -> None:
    detector, path = exported
    np.save(tmp_path / "beats.npy", beats := beats_of(4, 50))
    words = [sys.executable, "-c", ALONE, str(path), str(tmp_path / "beats.npy")]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    scores, line = done.stdout.splitlines()
    assert float(scores.split()[0]) == pytest.approx(detector.scores(beats).sum())
    assert int(scores.split()[1]) == detector.predict(beats).sum()
    assert "pip install 'ecgad[train]'" in line


def test_the_command_exports_a_run(
    stages: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    stages(STAGES[:3], "-c", SMOKE, "--set", "training.epochs=1")
    run, path = Path("runs/smoke"), Path("out/smoke.onnx")

    def called(*arguments: Any, code: int = 0, **options: Any) -> str:
        capsys.readouterr()
        settings = {"overwrite": False, "json": True, "quiet": True, **options}
        assert command(*arguments, **settings) == code
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        assert (told.err.count("\n"), bool(told.out)) == ((1, False) if code else (0, True))
        return told.out or told.err

    assert "no run dir" in called(Path("nothing"), path, code=3)
    assert "ends in .onnx" in called(run, Path("smoke.pt"), code=2)
    done = json.loads(called(run, path))
    assert done["file"] == str(path) and done["sha256"] == files.sha256(path)
    assert [file.name for file in path.parent.iterdir()] == ["smoke.onnx"]
    detector, stored = Detector.load(path), np.load(run / "scores_test.npy")
    assert isinstance(detector, OnnxDetector) and done["checked_beats"] == len(stored)
    scaled = np.load("data/processed/smoke/beats_test.npy")
    raw = TrainedDetector.load(run).scaler.inverse_transform(scaled)
    np.testing.assert_allclose(detector.scores(raw), stored, rtol=1e-5)
    known = detector.metadata
    metrics = json.loads((run / runs.METRICS).read_text())
    assert known["measured_on"]["metrics"] == metrics["test"]
    assert known["measured_on"]["test"]["beats"] == len(stored)
    assert known["trained_on"]["source"] == "synthetic" and "MIT licence" in known["licence"]
    assert known["versions"]["torch"] == torch.__version__
    # Another file is kept, and one that would be wrong is not written.
    before = path.read_bytes()
    assert json.loads(called(run, path)) == done
    (other := Path("out/other.onnx")).write_bytes(before[:1000])
    assert "give --overwrite" in called(run, other, code=4)
    assert other.read_bytes() == before[:1000]
    other.unlink()
    wrong = to_onnx(detector_of(["dense"], {"mae": 1}, None), padded=False)
    monkeypatch.setattr("ecgad.detection.export.to_onnx", lambda *_: wrong)
    assert "no file was written" in called(run, path, overwrite=True, code=1)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["smoke.onnx"]
