"""A trained detector as one ONNX file: raw beats in, scores, verdicts and shares of errors out."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ecgad.artifacts import files, manifest, processed, runs
from ecgad.artifacts.stages import Stage
from ecgad.data.beats import Beats
from ecgad.data.sources import SOURCES
from ecgad.data.splits import SPLITS
from ecgad.detection import onnx
from ecgad.detection.trained import TrainedDetector
from ecgad.errors import ConfigError, UserError
from ecgad.models import Autoencoder
from ecgad.processing.causal import LOOK_AHEAD
from ecgad.processing.evidence import RHYTHM, RHYTHM_BEND, RHYTHM_WEIGHTS
from ecgad.scoring.components import (
    COMPONENTS,
    SAME,
    SMALLEST,
    TEMPLATE_WEIGHTS,
    Fitted,
)
from ecgad.scoring.inference import ERRORS, before, shares_of
from ecgad.scoring.parts import part_bounds

OPSET = 20
NOTICE = "An ecgad detector, for research and education only; not a medical device."
# Test beats that a file is checked on, by how much of their size scores may differ, and by how much
# shares of the error.
CHECKED, RELATIVE, SHARES = 1000, 1e-6, 1e-4
# Beats at a time, and the numbers that an array for them may have.
LARGEST_BATCH, BATCH_NUMBERS = 256, 4_000_000
# Nearest reference beats by a sum that rounds, over those that are needed: of these the distances
# are computed exactly.
SPARE = 8


class Graph(nn.Module):
    """What a detector computes, as a module whose every step has a form in ONNX.

    From raw beats, float32 (n_beats, n_leads, n_samples), and where they are padded their lengths,
    int64 (n_beats,), it gives scores, float64 (n_beats,); whether they exceed the threshold; and
    the shares of the errors by part, float32 (n_beats, 3).
    """

    offset: Tensor
    scale: Tensor
    weights: Tensor
    medians: Tensor
    threshold: Tensor

    def __init__(self, detector: TrainedDetector) -> None:
        super().__init__()
        assert detector.threshold is not None
        scorer = detector.scorer
        self.timing, self.n_seen = scorer.timing, detector.model.n_leads
        self.bounds = part_bounds(detector.beat_format, detector.model.n_samples)
        self.plain, self.names = scorer.plain, list(scorer.components)
        self.members = nn.ModuleList(detector.model.members)
        self.components = nn.ModuleList()
        if scorer.reference is not None:
            for features, fitted in zip(scorer.reference.members, scorer.fitted, strict=True):
                kinds = (
                    _of(name, features[COMPONENTS[name].feature], fitted[name], scorer.neighbours)
                    for name in self.names
                )
                self.components.append(nn.ModuleList(kinds))
        weights = np.array(list(scorer.components.values()))
        numbers = {
            "offset": detector.scaler.offset,
            "scale": detector.scaler.scale,
            "weights": weights / weights.sum(),
            "medians": [[of[name]["median"] for name in self.names] for of in scorer.fitted],
            "threshold": detector.threshold.value,
        }
        # As tensors: a number that is a constant of the code would be rounded to float32.
        for name, values in numbers.items():
            self.register_buffer(name, torch.from_numpy(np.array(values, np.float64)))

    def forward(self, beats: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, ...]:
        # One beat more, which is left out at the end: not every operator can do with none at all.
        beats = functional.pad(beats, (0, 0, 0, 0, 0, 1))
        scaled = ((beats.double() - self.offset) / self.scale).float()
        evidence = scaled[:, self.n_seen :, 0].double()
        scaled = scaled[:, : self.n_seen]
        n_leads, n_samples = scaled.shape[1:]
        counts: Tensor | int = n_leads * n_samples
        inside = None
        if lengths is not None:
            lengths = functional.pad(lengths, (0, 1), value=1)
            inside = torch.arange(n_samples) < lengths[:, None]
            counts = lengths * n_leads
        n_ecg = n_leads - len(self.timing)
        intervals = scaled[:, n_ecg:].double().mean(dim=2)
        features = {
            "timing": intervals,
            "before": intervals[:, before(self.timing)],
            "rhythm": evidence[:, : len(RHYTHM)],
            "template": evidence[:, len(RHYTHM) :],
        }
        total, of_members = [], []
        for number, member in enumerate(self.members):
            assert isinstance(member, Autoencoder)
            codes = member.encode(scaled)
            errors = (member.decode(codes) - scaled).abs()
            if inside is not None:
                errors = errors * inside[:, None]
            features["codes"], features["beats"] = codes.double(), scaled.flatten(1).double()
            for name, error in ERRORS.items():
                features[name] = error(errors.double(), counts)
            total.append(errors[:, :n_ecg].sum(dim=1))
            of_members.append(self._score(number, features))
        score = torch.stack(of_members).mean(dim=0)[:-1]
        score = score if self.plain else score.exp()
        shares = shares_of(torch.stack(total).sum(dim=0), self.bounds)[:-1]
        return score, score > self.threshold, shares

    def _score(self, number: int, features: Mapping[str, Tensor]) -> Tensor:
        """Return the score of a member; its logarithm, where there are several components."""
        if self.plain:
            return features[self.names[0]]
        kinds = self.components[number]
        assert isinstance(kinds, nn.ModuleList)
        values = [
            kind(features[COMPONENTS[name].feature])
            for name, kind in zip(self.names, kinds, strict=True)
        ]
        logarithms = torch.stack(values, dim=1).clamp(min=SMALLEST).log()
        return ((logarithms - self.medians[number]) * self.weights).sum(dim=1)


class Distance(nn.Module):
    """The mean distance to the nearest reference beats, as `ecgad.scoring.components` has it.

    All in float64, and without an array of the size of beats times reference beats times numbers.
    """

    reference: Tensor
    expanded: Tensor

    def __init__(self, reference: np.ndarray, neighbours: int) -> None:
        super().__init__()
        values = torch.from_numpy(reference.astype(np.float64))
        self.neighbours = neighbours
        self.candidates = min(len(values), neighbours + 1 + SPARE)
        self.register_buffer("reference", values)
        squares = values.square().sum(dim=1, keepdim=True)
        self.register_buffer("expanded", torch.cat([-2 * values, squares], dim=1).T.contiguous())

    def forward(self, values: Tensor) -> Tensor:
        # Squared distances but for the square of the beat itself, which does not order them. They
        # cancel where a neighbour is near: those of the nearest are computed again by differences.
        rough = functional.pad(values, (0, 1), value=1.0) @ self.expanded
        _, nearest = rough.topk(self.candidates, dim=1, largest=False, sorted=False)
        apart = self.reference[nearest] - values[:, None]
        exact = apart.square().sum(dim=2).sqrt()
        distances, _ = exact.topk(self.neighbours + 1, dim=1, largest=False, sorted=True)
        itself = distances[:, :1] < SAME * distances[:, 1:2]
        return torch.where(itself, distances[:, 1:], distances[:, :-1]).mean(dim=1)


class Mahalanobis(nn.Module):
    """The distance from the middle of the codes in units of their spread."""

    scale: Tensor
    middle: Tensor
    precision: Tensor

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        for name in ("scale", "middle", "precision"):
            self.register_buffer(name, torch.from_numpy(fitted[name].astype(np.float64)))

    def forward(self, codes: Tensor) -> Tensor:
        apart = codes / self.scale - self.middle
        return ((apart @ self.precision) * apart).sum(dim=1).sqrt()


class Prematurity(nn.Module):
    """How early a beat comes, of the intervals before it."""

    middle: Tensor
    spread: Tensor

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        for name in ("middle", "spread"):
            self.register_buffer(name, torch.from_numpy(fitted[name].astype(np.float64)))

    def forward(self, intervals: Tensor) -> Tensor:
        return ((self.middle - intervals) / self.spread).clamp(min=0).mean(dim=1).exp()


class Rhythm(nn.Module):
    """How early a beat comes and how late the next one, over what is usual in the record."""

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(RHYTHM_WEIGHTS, dtype=torch.float64))

    def forward(self, evidence: Tensor) -> Tensor:
        total = (evidence[:, :-1] * self.weights).sum(dim=1)
        early = RHYTHM_BEND * (1 + total / RHYTHM_BEND).log()
        return (early - evidence[:, -1]).clamp(min=0).exp()


class Template(nn.Module):
    """How far a beat is from its patient's template."""

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(TEMPLATE_WEIGHTS, dtype=torch.float64))

    def forward(self, evidence: Tensor) -> Tensor:
        return (evidence * self.weights).sum(dim=1).exp()


def _of(name: str, reference: np.ndarray, fitted: Fitted, neighbours: int) -> nn.Module:
    match name:
        case "mae" | "mse":
            return nn.Identity()
        case "code_distance" | "beat_distance" | "timing":
            return Distance(reference, neighbours)
        case "code_mahalanobis":
            return Mahalanobis(fitted)
        case "prematurity":
            return Prematurity(fitted)
        case "rhythm":
            return Rhythm()
        case "template":
            return Template()
    raise ConfigError(f"evaluation.score: {name} has no form in ONNX yet; evaluate without it")


def export_run(stage: Stage) -> bytes:
    """Return the bytes of the ONNX file of an evaluated run, checked on test beats.

    stage: one that needs the evaluation. Raises ConfigError where the scores depend on the record,
    and UserError where the file would not do what the detector does.
    """
    detector = TrainedDetector.load(stage.run_dir)
    test = processed.load_split(stage.experiment.processed_dir, "test")
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(test))[:CHECKED])
    beats = detector.scaler.unscaled(test.take(chosen))
    known = {**_about_run(stage), "checked_beats": len(beats)}
    content = export(detector, beats.lengths is not None, known)
    check(content, detector, beats.waveforms, beats.lengths)
    return content


def export(detector: TrainedDetector, padded: bool, known: Mapping[str, Any]) -> bytes:
    """Return the bytes of the ONNX file of a detector, not yet checked.

    padded: whether it is to take the lengths of beats. known: what the metadata is to say besides.
    Raises ConfigError where the scores depend on the record that a beat is of.
    """
    if detector.adaptation_minutes:
        raise ConfigError(
            "evaluation.adaptation_minutes: such scores depend on the record that a beat is of, "
            "and a graph knows none; evaluate again without it"
        )
    assert detector.threshold is not None
    model, scorer, cut = detector.model, detector.scorer, detector.beat_format.segmentation
    says = {
        "format": onnx.FORMAT,
        "notice": NOTICE,
        "ecgad": metadata.version("ecgad"),
        "beat_format": detector.beat_format.to_dict(),
        "parts": part_bounds(detector.beat_format, model.n_samples),
        "threshold": vars(detector.threshold),
        "score": scorer.components,
        "neighbours": scorer.neighbours,
        "usual_shares": detector.usual_shares,
        "levels": detector.levels and vars(detector.levels),
        "look_ahead_seconds": LOOK_AHEAD if cut is not None and cut.causal else None,
        "batch": _batch(detector),
        "origin": detector.origin,
        **known,
    }
    proto = to_onnx(detector, padded)
    says = json.loads(json.dumps(says, allow_nan=False))
    digested = onnx.encoded_metadata(says, proto.graph.SerializeToString())
    del proto.metadata_props[:]
    proto.metadata_props.add(key=onnx.KEY, value=digested)
    proto.doc_string = NOTICE
    proto.producer_name, proto.producer_version = "ecgad", says["ecgad"]
    return proto.SerializeToString()


def to_onnx(detector: TrainedDetector, padded: bool) -> Any:
    """Return the graph of a detector as a `ModelProto`. padded: whether it takes lengths."""
    graph = Graph(detector).cpu().eval()
    n_leads = detector.model.n_leads + len(detector.beat_format.evidence)
    beats = torch.zeros(3, n_leads, detector.model.n_samples)
    lengths = torch.full((3,), detector.model.n_samples)
    n_beats = torch.export.Dim("n_beats")
    names = ["beats", "lengths"] if padded else ["beats"]
    with _quiet():
        program = torch.onnx.export(
            graph,
            (beats, lengths) if padded else (beats,),
            input_names=names,
            output_names=list(onnx.OUTPUTS),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes={name: {0: n_beats} for name in names},
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    # Of each operator PyTorch says which lines of which file it comes from, and more.
    for part in (*proto.graph.node, *proto.graph.input, *proto.graph.output, proto.graph):
        del part.metadata_props[:]
    for part in (*proto.graph.initializer, *proto.graph.value_info):
        del part.metadata_props[:]
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch from telling which of its packages are not there."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _batch(detector: TrainedDetector) -> int:
    """Return how many beats are to be scored at a time, so that memory stays small."""
    model, reference = detector.model, detector.scorer.reference
    numbers = model.n_leads * model.n_samples
    for features in reference.members[:1] if reference else []:
        for of_feature in features.values():
            code = of_feature.shape[1] if of_feature.ndim > 1 else 1
            candidates = detector.scorer.neighbours + 1 + SPARE
            numbers = max(numbers, len(of_feature), candidates * code)
    return max(1, min(LARGEST_BATCH, BATCH_NUMBERS // numbers))


def check(
    content: bytes, detector: TrainedDetector, beats: np.ndarray, lengths: np.ndarray | None
) -> None:
    """Raise UserError where the ONNX file does not do on raw beats what the detector does.

    Scores may differ by RELATIVE, or by ten times what the last digits of the beats change: in
    float32, some codes cannot be had more exactly. Verdicts may differ where the score lies no
    farther than that from the threshold.
    """
    from onnx import ModelProto, checker

    try:
        checker.check_model(ModelProto.FromString(content), full_check=True)
        exported = onnx.OnnxDetector(content)
        found, anomalous, shares = exported.outputs(beats, lengths)
    except Exception as error:  # onnx and onnxruntime raise what they will
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"no file was written: the graph does not run ({reason})") from None
    assert detector.threshold is not None
    scores, parts = detector.of_beats_alone(beats, lengths)
    threshold = detector.threshold.value
    signs = np.random.default_rng(0).choice((-np.inf, np.inf), beats.shape).astype(np.float32)
    nudged, _ = detector.of_beats_alone(np.nextafter(beats, signs), lengths)
    allowed = max(RELATIVE, 10 * _largest(nudged, scores))
    differing = _largest(found, scores)
    other = anomalous != (scores > threshold)
    other &= np.abs(scores - threshold) > allowed * abs(threshold)
    elsewhere = float(np.abs(shares - parts).max(initial=0))
    if differing > allowed or other.any() or elsewhere > SHARES:
        raise UserError(
            f"no file was written: of {len(beats)} test beats, scores differ by up to "
            f"{differing:.1e} of their size ({allowed:.1e} is allowed), shares of the error by "
            f"up to {elsewhere:.1e}, and {other.sum()} verdicts"
        )


def _largest(found: np.ndarray, scores: np.ndarray) -> float:
    """Return the largest difference of scores, (n_beats,), relative to their size."""
    size = np.maximum(np.abs(scores), np.finfo(np.float64).tiny)
    return float((np.abs(found - scores) / size).max(initial=0))


def _about_run(stage: Stage) -> dict[str, Any]:
    """Return what the metadata says of the run that a detector is of."""
    experiment, run_dir = stage.experiment, stage.run_dir
    entry = manifest.load(run_dir).stages["train"]
    metrics = files.load_json(run_dir / runs.METRICS)
    splits = {s: _about_split(processed.load_split(experiment.processed_dir, s)) for s in SPLITS}
    data = experiment.data
    return {
        "name": experiment.name,
        "seed": experiment.seed,
        "trained_on": {
            "source": data.source,
            "settings": data.of_source.model_dump(mode="json"),
            "train": splits["train"],
            "validation": splits["validation"],
        },
        "measured_on": {
            "source": data.source,
            "test": splits["test"],
            "metrics": metrics["test"],
        },
        "licence": SOURCES[data.source].licence(data.of_source),
        "detector_sha256": files.sha256(run_dir / runs.DETECTOR),
        "versions": entry["versions"],
        "git_commit": entry["git_commit"],
    }


def _about_split(beats: Beats) -> dict[str, Any]:
    """Say which beats are in a split: how many, of which records or files."""
    about: dict[str, Any] = {"beats": len(beats), "classes": beats.class_counts}
    if beats.records is not None:
        about["records"] = np.unique(beats.records).tolist()
    elif beats.format.files:
        about["files"] = [file.name for file in beats.format.files]
    return about
