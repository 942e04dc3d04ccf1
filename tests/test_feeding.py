"""Beats on their way to the network: held or streamed, on one rank or several."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from ecgad.config.training import TrainingConfig
from ecgad.data.beats import Beats
from ecgad.errors import ConfigError
from ecgad.models import build_model
from ecgad.runtime import processes
from ecgad.runtime.reading import read_ahead, read_rows
from ecgad.training.feeding import Held, Normals, Streamed, feed
from ecgad.training.fit import best_reconstructed, fit
from tests.helpers import some_beats, with_evidence

CPU = torch.device("cpu")


def in_file(folder: Path, n: int) -> Beats:
    """Memory-mapped beats, each of its own number, every fifth anomalous."""
    beats = np.arange(n, dtype=np.float32)[:, None, None] + np.zeros((1, 1, 20), np.float32)
    np.save(folder / "beats.npy", beats)
    labels = (np.arange(n) % 5 == 0).astype(np.int8)
    mapped = np.load(folder / "beats.npy", mmap_mode="r")
    return Beats(mapped, labels.astype(str), labels, np.arange(n))


def numbers(beats: torch.Tensor) -> list[int]:
    return beats[:, 0, 0].int().tolist()


def flat(lists: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(lists))


def drawn(normals: Normals, kept: torch.Tensor | None = None) -> list[list[int]]:
    generator = torch.Generator().manual_seed(7)
    return [numbers(batch.beats) for batch in normals.batches(32, generator, kept)]


def test_streamed_beats_come_once_each_in_full_batches_and_mixed(tmp_path: Path) -> None:
    beats = in_file(tmp_path, 2000)
    # Blocks of 10 beats, so that a buffer has 128 normal ones.
    streamed = Streamed(beats, CPU, budget=64 * 10 * beats.waveforms[0].nbytes)
    batches = drawn(streamed)
    assert [len(batch) for batch in batches] == [32] * 50
    assert sorted(flat(batches)) == beats.normals.tolist()
    assert batches == drawn(streamed)
    # From one end of the file to the other.
    assert np.ptp(batches[0]) > 1000
    assert flat([numbers(chunk) for chunk in streamed.chunks()]) == beats.normals.tolist()
    kept = torch.arange(100, 1500, 7)
    assert sorted(flat(drawn(streamed, kept))) == beats.normals[kept.numpy()].tolist()


def test_beats_beyond_the_budget_are_streamed(tmp_path: Path) -> None:
    beats = in_file(tmp_path, 500)
    size = 400 * beats.waveforms[0].nbytes
    assert all(isinstance(part, Held) for part in feed(beats, beats, CPU, 2 * size))
    assert all(isinstance(part, Streamed) for part in feed(beats, beats, CPU, 2 * size - 1))


@pytest.mark.parametrize("budget", [10**9, 64 * 10 * 360])
def test_evidence_is_not_learned_from(tmp_path: Path, budget: int) -> None:
    """In memory or streamed, all that is fed is what a network sees."""
    beats = with_evidence(some_beats(500))
    np.save(tmp_path / "beats.npy", beats.waveforms)
    mapped = np.load(tmp_path / "beats.npy", mmap_mode="r")
    for part in feed(replace(beats, waveforms=mapped), beats, CPU, budget):
        given = torch.cat(list(part.chunks())).numpy()
        np.testing.assert_array_equal(given, beats.seen[beats.normals])


@pytest.mark.parametrize("budget", [10**9, 64 * 3 * 80])
def test_ranks_share_the_batches_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    beats = in_file(tmp_path, 400)
    whole = drawn(feed(beats, beats, CPU, budget)[0])
    parts = []
    monkeypatch.setattr(processes, "SIZE", 3)
    for rank in range(3):
        monkeypatch.setattr(processes, "RANK", rank)
        share = feed(beats, beats, CPU, budget)[0]
        parts.append(drawn(share))
        own = flat([numbers(chunk) for chunk in share.chunks()])
        # Of its own part of the file alone.
        assert set(flat(parts[-1])) == set(own)
        assert own == sorted(own)
    together = [sorted(flat(batches)) for batches in zip(*parts, strict=True)]
    assert together == [sorted(batch) for batch in whole]


def test_training_on_streamed_beats_learns_and_trims(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(600, 1, 1)) * np.sin(np.linspace(0, 3, 20))
    waves[::10] = rng.normal(size=(60, 1, 20))
    np.save(tmp_path / "beats.npy", waves.astype(np.float32))
    mapped = np.load(tmp_path / "beats.npy", mmap_mode="r")
    beats = Beats(mapped, np.zeros(600, str), np.zeros(600, np.int8), np.arange(600))
    torch.manual_seed(0)
    model = build_model("dense", 1, 20, {"layers": [16], "code_size": 2})
    config = TrainingConfig(epochs=15, batch_size=20, learning_rate=0.01, contamination=0.05)
    streamed = Streamed(beats, CPU, budget=64 * 8 * 80)
    states = list(fit(model, streamed, streamed, config, seed=0))
    assert states[-1].history[-1]["train_loss"] < 0.3 * states[0].history[0]["train_loss"]
    kept = best_reconstructed(model, streamed, "mae", 500).numpy()
    assert (kept % 10 == 0).mean() < 0.02


def test_rows_of_a_mapped_file_are_those_of_the_array(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((1000, 3, 4), np.float32)
    np.save(tmp_path / "array.npy", array)
    mapped = np.load(tmp_path / "array.npy", mmap_mode="r")
    indices = np.array([900, 3, 3, 500])
    np.testing.assert_array_equal(read_rows(mapped, indices), array[indices])
    # Of a part of it as well, which does not begin where the file does.
    np.testing.assert_array_equal(read_rows(mapped[100:][200:], slice(5, 9)), array[305:309])
    np.testing.assert_array_equal(read_rows(mapped[100:], indices[1:3]), array[[103, 103]])
    np.testing.assert_array_equal(
        read_rows(mapped[::2, 1], indices[1:3]), array[::2, 1][indices[1:3]]
    )


def test_reading_ahead_keeps_the_order_and_passes_errors_on() -> None:
    assert list(read_ahead(lambda item: item * 2, range(5))) == [0, 2, 4, 6, 8]
    with pytest.raises(ZeroDivisionError):
        list(read_ahead(lambda item: 1 // item, [1, 0, 2]))


def test_streamed_neighbours_are_parted(tmp_path: Path) -> None:
    """A batch is no stretch of the file, within a block as little as from block to block."""
    beats = in_file(tmp_path, 2000)
    place = {number: index for index, number in enumerate(beats.normals.tolist())}
    for rows in (10, 4000):
        streamed = Streamed(beats, CPU, budget=64 * rows * beats.waveforms[0].nbytes)
        generator = torch.Generator().manual_seed(1)
        order = flat([numbers(batch.beats) for batch in streamed.batches(32, generator)])
        steps = np.diff([place[number] for number in order])
        assert (np.abs(steps) == 1).mean() < 0.05, rows
        assert (steps > 0).mean() == pytest.approx(0.5, abs=0.05)
        # Another epoch has another order.
        again = flat([numbers(batch.beats) for batch in streamed.batches(32, generator)])
        assert again != order and sorted(again) == sorted(order)


def test_held_beats_come_once_each_and_in_another_order_each_epoch() -> None:
    held = Held(torch.arange(100.0)[:, None, None].expand(100, 1, 4))
    generator = torch.Generator().manual_seed(1)
    first, second = (
        flat([numbers(batch.beats) for batch in held.batches(32, generator)]) for _ in range(2)
    )
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second and first != sorted(first)
    sizes = [batch.n for batch in held.batches(32, generator)]
    assert sizes == [32, 32, 32, 4]
    kept = torch.tensor([3, 5, 90])
    (batch,) = held.batches(32, generator, kept)
    assert sorted(numbers(batch.beats)) == [3, 5, 90] and batch.n == 3 and batch.own is None


def test_fewer_normal_beats_than_ranks_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = in_file(tmp_path, 10)
    monkeypatch.setattr(processes, "SIZE", 8)
    assert len(feed(beats, beats, CPU, 10**9)) == 2
    monkeypatch.setattr(processes, "SIZE", 9)
    with pytest.raises(ConfigError, match="started 9 processes for 8 normal beats"):
        feed(beats, beats, CPU, 10**9)


@pytest.mark.parametrize("budget", [1, 64 * 80 * 7, 64 * 80 * 7 + 5000, 10**9])
def test_streamed_beats_take_no_more_memory_than_they_may(tmp_path: Path, budget: int) -> None:
    """Read ahead, read, joined to a rest, and in use: four times sixteen blocks."""
    beats = in_file(tmp_path, 100)
    streamed = Streamed(beats, CPU, budget)
    size = 4 * 16 * beats.waveforms[0].nbytes
    assert streamed.rows == 1 or size * streamed.rows <= budget
    assert size * (streamed.rows + 1) > budget
    assert streamed.n == 80 and sum(map(len, streamed.chunks())) == 80
    unlabelled = Streamed(replace(beats, labels=None), CPU, budget)
    assert unlabelled.n == 100 and sorted(flat(drawn(unlabelled))) == list(range(100))
