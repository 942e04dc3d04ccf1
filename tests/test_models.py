"""Every model, for any number of leads and samples."""

from typing import Any

import pytest
import torch

from ecgad.models import MODELS, build_model

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("dense", {}),
    ("dense", {"layers": [5], "code_size": 2, "activation": "relu", "output": "sigmoid"}),
    ("cnn", {"filters": 4, "decoder": "transposed"}),
    ("cnn", {"filters": 4, "decoder": "upsampling", "kernel_size": 3, "depth": 2}),
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
    assert codes.shape == (3, parameters.get("code_size", 8))
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
