"""A trained detector as one ONNX file: raw beats in, scores, verdicts and shares of errors out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ecgad.detection.trained import TrainedDetector
from ecgad.models import Autoencoder
from ecgad.scoring.components import COMPONENTS, SAME, SMALLEST, Fitted
from ecgad.scoring.inference import ERRORS, before, shares_of
from ecgad.scoring.parts import part_bounds

OPSET = 20
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
        self.timing = scorer.timing
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
        n_leads, n_samples = beats.shape[1:]
        counts: Tensor | int = n_leads * n_samples
        inside = None
        if lengths is not None:
            lengths = functional.pad(lengths, (0, 1), value=1)
            inside = torch.arange(n_samples) < lengths[:, None]
            counts = lengths * n_leads
        n_ecg = n_leads - len(self.timing)
        intervals = scaled[:, n_ecg:].double().mean(dim=2)
        features = {"timing": intervals, "before": intervals[:, before(self.timing)]}
        total, of_members = [], []
        for number, member in enumerate(self.members):
            assert isinstance(member, Autoencoder)
            codes = member.encode(scaled)
            errors = (member.decode(codes) - scaled).abs()
            if inside is not None:
                errors = errors * inside[:, None]
            features["codes"] = codes.double()
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

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        for name in ("scale", "middle", "precision"):
            self.register_buffer(name, torch.from_numpy(fitted[name].astype(np.float64)))

    def forward(self, codes: Tensor) -> Tensor:
        apart = codes / self.scale - self.middle
        return ((apart @ self.precision) * apart).sum(dim=1).sqrt()


class Prematurity(nn.Module):
    """How early a beat comes, of the intervals before it."""

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        for name in ("middle", "spread"):
            self.register_buffer(name, torch.from_numpy(fitted[name].astype(np.float64)))

    def forward(self, intervals: Tensor) -> Tensor:
        return ((self.middle - intervals) / self.spread).clamp(min=0).mean(dim=1).exp()


def _of(name: str, reference: np.ndarray, fitted: Fitted, neighbours: int) -> nn.Module:
    match name:
        case "mae" | "mse":
            return nn.Identity()
        case "code_distance" | "timing":
            return Distance(reference, neighbours)
        case "code_mahalanobis":
            return Mahalanobis(fitted)
        case "prematurity":
            return Prematurity(fitted)
    raise NotImplementedError(name)


def to_onnx(detector: TrainedDetector, padded: bool) -> Any:
    """Return the graph of a detector as a `ModelProto`. padded: whether it takes lengths."""
    graph = Graph(detector).cpu().eval()
    beats = torch.zeros(3, detector.model.n_leads, detector.model.n_samples)
    lengths = torch.full((3,), detector.model.n_samples)
    n_beats = torch.export.Dim("n_beats")
    names = ["beats", "lengths"] if padded else ["beats"]
    program = torch.onnx.export(
        graph,
        (beats, lengths) if padded else (beats,),
        input_names=names,
        output_names=["score", "anomalous", "shares"],
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes={name: {0: n_beats} for name in names},
        external_data=False,
        verbose=False,
    )
    assert program is not None
    return program.model_proto
