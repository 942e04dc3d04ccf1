"""Training: exact resumption, early stopping, divergence, and that it learns."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from ecgad.config.training import TrainingConfig
from ecgad.errors import DivergedError
from ecgad.models import Autoencoder, build_model
from ecgad.training.feeding import Held
from ecgad.training.fit import (
    TrainingState,
    _generators,
    best_reconstructed,
    fit,
    mean_loss,
    mixes,
)
from ecgad.training.optimizers import rates
from ecgad.training.synced_batch_norm import SyncedBatchNorm, _summed, synced

CPU = torch.device("cpu")


def waves(n: int, seed: int) -> torch.Tensor:
    """Sines of random height and phase, (n, 1, 32)."""
    draw = torch.Generator().manual_seed(seed)
    height, phase = torch.rand(2, n, 1, 1, generator=draw)
    return (0.5 + height) * torch.sin(torch.linspace(0, 6, 32) + phase)


def small_model() -> Autoencoder:
    torch.manual_seed(0)
    return build_model("dense", 1, 32, {"layers": [16], "code_size": 3})


def run(config: dict[str, Any], state: TrainingState | None = None) -> list[TrainingState]:
    settings = TrainingConfig(**{"epochs": 6, "batch_size": 16, "learning_rate": 0.01, **config})
    return list(fit(small_model(), waves(50, 1), waves(20, 2), settings, seed=5, state=state))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nadam", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_going_on_gives_the_numbers_of_an_uninterrupted_run(optimizer: str, schedule: str) -> None:
    config = {
        "optimizer": optimizer,
        "schedule": schedule,
        "input_noise": 0.1,
        "gradient_clip": 1.0,
    }
    whole = run(config)
    resumed = run(config, state=whole[2])
    assert len(resumed) == 3
    for name, weights in whole[-1].weights.items():
        assert torch.equal(weights, resumed[-1].weights[name])
    for row, again in zip(whole[-1].history, resumed[-1].history, strict=True):
        assert {**row, "seconds": 0} == {**again, "seconds": 0}


@pytest.mark.parametrize("loss", ["mae", "mse"])
def test_it_learns(loss: str) -> None:
    last = run({"loss": loss, "epochs": 60})[-1]
    assert last.history[-1]["validation_loss"] < 0.2 * last.history[0]["validation_loss"]
    losses = [row["validation_loss"] for row in last.history]
    assert last.best_epoch == losses.index(min(losses)) + 1
    model = small_model()
    model.load_state_dict(last.best_weights)
    assert mean_loss(model, waves(20, 2), loss) == pytest.approx(min(losses))


def test_learning_rates_follow_their_schedule() -> None:
    rates = {
        schedule: [row["learning_rate"] for row in run({"schedule": schedule})[-1].history]
        for schedule in ("constant", "cosine", "one_cycle")
    }
    assert rates["constant"] == [0.01] * 6
    expected = [0.01 * (1 + math.cos(math.pi * epoch / 6)) / 2 for epoch in range(6)]
    assert rates["cosine"] == pytest.approx(expected)
    assert rates["one_cycle"][0] == pytest.approx(0.01 / 25)
    assert max(rates["one_cycle"]) > 0.009


def test_it_stops_when_patience_ends() -> None:
    # So slow that float32 sees no progress.
    states = run({"learning_rate": 1e-12, "schedule": "constant", "patience": 3, "epochs": 50})
    assert states[-1].epoch < 50
    assert states[-1].epoch - states[-1].best_epoch == 3
    assert len(run({"learning_rate": 1e-12, "schedule": "constant", "epochs": 8})) == 8


def test_a_loss_that_is_not_finite_stops_it_and_the_last_good_state_stays() -> None:
    states = []
    # The rate climbs, and becomes too high after some epochs.
    config = TrainingConfig(epochs=20, learning_rate=3.0, optimizer="sgd", loss="mse")
    with pytest.raises(DivergedError, match="no longer finite"):
        for state in fit(small_model(), 5 * waves(500, 1), 5 * waves(20, 2), config, seed=0):
            states.append(state)
    assert states
    assert all(torch.isfinite(weights).all() for weights in states[-1].best_weights.values())
    assert all(math.isfinite(row["validation_loss"]) for row in states[-1].history)


def test_the_best_weights_are_those_of_the_best_epoch_and_not_the_last() -> None:
    """Learning waves makes silence worse reconstructed: judged by that, an early epoch is best."""
    config = TrainingConfig(epochs=6, batch_size=16, learning_rate=0.01, schedule="constant")
    silence = torch.zeros(20, 1, 32)
    last = list(fit(small_model(), waves(50, 1), silence, config, seed=5))[-1]
    losses = [row["validation_loss"] for row in last.history]
    assert last.best_epoch == 1 + losses.index(min(losses)) < 6
    assert last.best_loss == min(losses)
    assert [row["epoch"] for row in last.history] == [1, 2, 3, 4, 5, 6]
    assert all(0 < row["seconds"] < 60 for row in last.history)
    model = small_model()
    for weights, epoch in ((last.best_weights, last.best_epoch), (last.weights, 6)):
        model.load_state_dict(weights)
        assert mean_loss(model, silence, "mae") == pytest.approx(losses[epoch - 1])


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_a_step_is_no_longer_than_the_rate_times_the_largest_gradient(clip: float) -> None:
    """Plain descent, one batch: what the weights move by is the rate times the gradient's norm."""
    config = TrainingConfig(
        epochs=1,
        batch_size=50,
        learning_rate=0.01,
        optimizer="sgd",
        gradient_clip=clip,
        schedule="constant",
    )
    model = small_model()
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    functional.l1_loss(model(waves(50, 1)), waves(50, 1)).backward()
    norm = float(
        torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None]).norm()
    )
    model.zero_grad()
    (state,) = fit(model, waves(50, 1), waves(20, 2), config, seed=5)
    moved = math.sqrt(
        sum(float((state.weights[name] - before[name]).square().sum()) for name in before)
    )
    assert moved == pytest.approx(0.01 * min(norm, clip), rel=1e-3)


def test_noise_has_the_deviation_asked_for_and_the_beats_stay_what_is_to_be_made() -> None:
    """What the network reads is noisy, drawn anew each epoch; the loss is of the clean beats."""
    seen: list[torch.Tensor] = []

    class Silent(Autoencoder):
        """Makes zeros of everything."""

        def __init__(self) -> None:
            super().__init__(1, 32)
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def encode(self, beats: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(beats.detach().clone())
            return beats[:, 0, :2]

        def decode(self, codes: torch.Tensor) -> torch.Tensor:
            return self.weight * torch.ones(len(codes), 1, 32)

    beats = waves(200, 1)
    config = TrainingConfig(epochs=2, batch_size=200, learning_rate=1e-9, input_noise=0.3)
    states = list(fit(Silent(), beats, beats, config, seed=1))
    assert states[0].history[0]["train_loss"] == pytest.approx(float(beats.abs().mean()), rel=1e-4)
    assert states[0].history[0]["validation_loss"] == pytest.approx(float(beats.abs().mean()))
    for epoch, read in enumerate(seen, 1):
        order, _ = _generators(1, epoch, CPU)
        (batch,) = Held(beats).batches(200, order)
        noise = read - batch.beats
        assert (float(noise.mean()), float(noise.std())) == pytest.approx((0, 0.3), abs=0.01)
    assert not torch.isclose(seen[0], seen[1]).all()


def test_a_loss_is_the_mean_over_beats_however_they_are_batched() -> None:
    """With weights that stay, the loss of a training epoch is that of all beats at once."""
    beats = torch.cat([waves(50, 1), waves(50, 2)], dim=1)
    for members in (1, 2):
        torch.manual_seed(0)
        model = build_model("dense", 2, 32, {"layers": [16], "code_size": 3}, members)
        expected = [
            float(functional.l1_loss(member(beats), beats).detach()) for member in model.members
        ]
        for size in (7, 16, 50):
            config = TrainingConfig(epochs=1, batch_size=size, learning_rate=1e-12, optimizer="sgd")
            (state,) = fit(model, beats, beats, config, seed=1)
            mean = sum(expected) / members
            assert state.history[0]["train_loss"] == pytest.approx(mean, rel=1e-5)
            assert state.history[0]["validation_loss"] == pytest.approx(mean, rel=1e-5)


def test_the_epochs_of_a_seed_are_in_orders_of_their_own() -> None:
    """Another seed is another training, the same one the same; no two epochs have one order."""

    def weights(seed: int) -> torch.Tensor:
        config = TrainingConfig(epochs=2, batch_size=16, learning_rate=0.01, input_noise=0.1)
        state = list(fit(small_model(), waves(50, 1), waves(20, 2), config, seed=seed))[-1]
        return torch.cat([part.flatten() for part in state.weights.values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    drawn = [torch.rand(4, generator=g) for e in (1, 2) for g in _generators(5, e, CPU)]
    assert len({tuple(numbers.tolist()) for numbers in drawn}) == 4


@pytest.mark.parametrize("loss", ["mae", "mse"])
def test_the_best_reconstructed_are_those_of_brute_force(loss: str) -> None:
    beats = waves(40, 3)
    torch.manual_seed(0)
    model = build_model("dense", 1, 32, {"layers": [16], "code_size": 3}, 2)
    with torch.no_grad():
        apart = torch.stack([member(beats) - beats for member in model.members])
    errors = (apart.abs() if loss == "mae" else apart.square()).mean(dim=(0, 2, 3))
    expected = sorted(errors.argsort()[:7].tolist())
    assert best_reconstructed(model, Held(beats), loss, 7).tolist() == expected


@pytest.mark.parametrize(("contamination", "kept"), [(0.0, 50), (0.1, 42)])
def test_from_the_second_epoch_on_the_worst_are_left_out(contamination: float, kept: int) -> None:
    """Six hundredths more than there are said to be anomalous: 8 of 50."""
    given: list[int] = []

    class Counting(Held):
        def batches(self, size: int, generator: torch.Generator, kept: Any = None) -> Any:
            given.append(self.n if kept is None else len(kept))
            return super().batches(size, generator, kept)

    config = TrainingConfig(epochs=3, batch_size=16, contamination=contamination)
    list(fit(small_model(), Counting(waves(50, 1)), waves(20, 2), config, seed=0))
    assert given == [50, kept, kept]
    # The loss of an epoch is the mean over those that it has seen.
    still = config.model_copy(update={"learning_rate": 1e-12, "optimizer": "sgd"})
    model, beats = small_model(), waves(50, 1)
    errors = (model(beats) - beats).abs().mean(dim=(1, 2)).sort().values.detach()
    history = list(fit(model, beats, beats, still, seed=0))[-1].history
    expected = [float(errors[:n].mean()) for n in (50, kept, kept)]
    assert [row["train_loss"] for row in history] == pytest.approx(expected, rel=1e-5)


def test_one_cycle_climbs_to_its_peak_and_ends_below_its_start() -> None:
    """Smith & Topin 2018: three tenths of the steps up, momentum the other way round."""
    config = TrainingConfig(learning_rate=0.01, schedule="one_cycle")
    steps = [rates(config, step, 1000) for step in range(1000)]
    rate, momentum = (np.array(of) for of in zip(*steps, strict=True))
    assert rate[0] == pytest.approx(0.01 / 25)
    assert rate.argmax() in (299, 300) and rate.max() == pytest.approx(0.01, rel=1e-4)
    assert momentum[0] == pytest.approx(0.95)
    assert momentum.argmin() in (299, 300) and momentum.min() == pytest.approx(0.85, rel=1e-4)
    assert (np.diff(rate)[:299] > 0).all() and (np.diff(rate)[300:] < 0).all()
    assert rates(config, 1000, 1000) == pytest.approx((0.01 / 25 / 1e4, 0.95))
    # Of half the way up, half of the way between.
    assert rate[150] == pytest.approx((0.01 / 25 + 0.01) / 2, rel=0.01)


def test_batch_normalisation_over_one_rank_is_that_of_pytorch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Outputs, gradients, running statistics; in training and afterwards."""
    monkeypatch.setattr("torch.distributed.all_reduce", lambda _: None)
    draw = torch.Generator().manual_seed(0)
    maps = 3 + 2 * torch.randn(5, 3, 4, 2, generator=draw)
    maps[:, 0] = 0.002 * (maps[:, 0] - 3)  # so flat that it shows what is added to the variance
    found: list[torch.Tensor] = []
    expected: list[torch.Tensor] = []

    def of_ranks(n: int) -> Any:
        inner = nn.Sequential(nn.BatchNorm2d(n))
        synced(nn.Sequential(inner))
        return inner[0]

    kinds: list[Any] = [nn.BatchNorm2d, of_ranks]
    for make in kinds:
        norm, inputs = make(3), maps.clone().requires_grad_()
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            norm.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
        made = norm(inputs)
        (made * torch.arange(made.numel()).reshape(made.shape)).sum().backward()
        of = [made, inputs.grad, norm.weight.grad, norm.bias.grad, norm.running_mean]
        (found if isinstance(norm, SyncedBatchNorm) else expected).extend(
            [*of, norm.running_var, norm.eval()(maps)]
        )
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


def test_half_precision_is_where_it_is_asked_for_or_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself for the CNN alone, on a processor that multiplies matrices of bfloat16."""
    cnn = {"depth": 1, "filters": 2}
    models = {kind: build_model(kind, 1, 32, p) for kind, p in (("cnn", cnn), ("dense", {}))}
    models["cnns"] = build_model("cnn", 1, 32, cnn, 2)
    for able in (True, False):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda able=able: {"amx_bf16": able})
        for kind, model in models.items():
            assert mixes(TrainingConfig(precision="bfloat16"), model)
            assert not mixes(TrainingConfig(precision="float32"), model)
            assert mixes(TrainingConfig(precision="auto"), model) == (able and kind != "dense")
    losses = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = build_model("cnn", 1, 32, cnn)
        config = TrainingConfig.model_validate({"epochs": 2, "precision": precision})
        state = list(fit(model, waves(50, 1), waves(20, 2), config, seed=5))[-1]
        assert all(weights.dtype != torch.bfloat16 for weights in state.weights.values())
        losses.append(state.history[-1]["train_loss"])
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_validation_loss_that_is_not_finite_is_enough_to_stop() -> None:
    config = TrainingConfig(epochs=2, loss="mse")
    with pytest.raises(DivergedError, match=r"epoch 1: .*training 0\.\d+, validation inf"):
        list(fit(small_model(), waves(50, 1), 1e30 * waves(20, 2), config, seed=0))


def test_losses_do_not_depend_on_how_many_are_computed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, beats = small_model(), waves(20, 2)
    model.train()
    expected = float(functional.l1_loss(model(beats), beats).detach())
    kept = best_reconstructed(model, Held(beats), "mae", 6).tolist()
    monkeypatch.setattr("ecgad.training.feeding.CHUNK", 7)
    assert [len(chunk) for chunk in Held(beats).chunks()] == [7, 7, 6]
    assert mean_loss(model, beats, "mae") == pytest.approx(expected, rel=1e-6)
    assert not model.training
    assert best_reconstructed(model, Held(beats), "mae", 6).tolist() == kept


def test_a_training_is_finished_after_its_epochs_or_its_patience() -> None:
    def finished(epoch: int, best_epoch: int, **settings: int) -> bool:
        return TrainingState(epoch=epoch, best_epoch=best_epoch).finished(
            TrainingConfig.model_validate({"epochs": 9, **settings})
        )

    assert [finished(epoch, 0) for epoch in (0, 8, 9, 10)] == [False, False, True, True]
    assert [finished(epoch, 2, patience=3) for epoch in (4, 5, 6)] == [False, True, True]
    assert TrainingState().best_loss == math.inf
    history = [{"validation_loss": loss} for loss in (3.0, 1.0, 2.0)]
    assert TrainingState(best_epoch=2, history=history).best_loss == 1.0


def test_what_is_summed_over_ranks_stays_what_it_was_on_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside a rank that has ten of everything; gradients are summed as well."""
    monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: tensor.add_(10))
    own = torch.tensor([1.0, 2.0], requires_grad=True)
    total = _summed(own)
    assert total.tolist() == [11, 12] and own.tolist() == [1, 2]
    (total * torch.tensor([3.0, 4.0])).sum().backward()
    assert own.grad is not None and own.grad.tolist() == [13, 14]
