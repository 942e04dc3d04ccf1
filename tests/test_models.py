"""Every model, for any number of leads and samples."""

from typing import Any

import numpy as np
import pytest
import torch

from ecgad.models import MODELS, build_model
from ecgad.scoring.inference import ERRORS, reconstruct
from ecgad.scoring.scorer import Scorer

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("dense", {}),
    ("dense", {"layers": [5], "code_size": 2, "activation": "relu", "output": "sigmoid"}),
    ("cnn", {"filters": 4, "decoder": "transposed"}),
    ("cnn", {"filters": 4, "decoder": "upsampling", "kernel_size": 3, "depth": 2}),
    ("cnn", {"filters": 4, "kernel_size": 3, "code_size": None}),
    ("lstm", {"patch_size": 1, "hidden_size": 6}),
    ("lstm", {"patch_size": 10, "hidden_size": 6, "layers": 2}),
]


def test_every_model_is_tried() -> None:
    assert {kind for kind, _ in VARIANTS} == set(MODELS)


@pytest.mark.parametrize(("kind", "parameters"), VARIANTS)
@pytest.mark.parametrize(("n_leads", "n_samples"), [(1, 140), (2, 187), (12, 33)])
def test_beats_come_back_in_their_shape(
    kind: str, parameters: dict[str, Any], n_leads: int, n_samples: int
) -> None:
    torch.manual_seed(0)
    model = build_model(kind, n_leads, n_samples, parameters)
    beats = torch.randn(3, n_leads, n_samples)
    codes = model.encode(beats)
    # Without a dense code, the feature map of 4 filters after halving three times.
    assert codes.shape == (3, parameters.get("code_size", 8) or 4 * (n_samples >> 3))
    assert model.decode(codes).shape == beats.shape

    model.train()
    (model(beats) - beats).abs().mean().backward()
    for name, weights in model.named_parameters():
        assert weights.grad is not None, name
        assert torch.isfinite(weights.grad).all(), name
        assert weights.grad.abs().sum() > 0 or "bias" in name, name

    model.eval()
    twin = build_model(kind, n_leads, n_samples, parameters)
    twin.load_state_dict(model.state_dict())
    twin.eval()
    assert torch.equal(model(beats), twin(beats))
    # A beat's reconstruction does not depend on its company.
    torch.testing.assert_close(model(beats[:1]), model(beats)[:1])


def test_beats_too_short_for_the_network_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 samples, not 7"):
        build_model("cnn", 1, 7, {"depth": 3})


@pytest.mark.parametrize("score", ERRORS)
def test_padding_counts_for_nothing_in_the_score(score: str) -> None:
    torch.manual_seed(0)
    model = build_model("dense", 2, 30, {})
    beats = np.random.default_rng(0).normal(size=(5, 2, 30)).astype(np.float32)
    lengths = np.array([30, 1, 17, 29, 8])
    scorer = Scorer(model, {score: 1}, None)
    found = scorer.scores(beats, lengths)
    errors = np.abs(reconstruct(model, beats) - beats)
    real = [error[:, :n] for error, n in zip(errors, lengths, strict=True)]
    brute = {
        "mae": [error.mean() for error in real],
        "mse": [(error**2).mean() for error in real],
    }
    np.testing.assert_allclose(found, brute[score], rtol=1e-5)
    np.testing.assert_allclose(
        scorer.scores(beats), scorer.scores(beats, np.full(5, 30)), rtol=1e-6
    )
