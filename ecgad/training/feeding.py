"""Normal beats on their way to the network: held in memory, or streamed from the file of a split.

Where there are several ranks (`ecgad.runtime.processes`), each reads its own share of the file
alone. Batches are drawn from all beats, by the same seed on all ranks, and a rank gets those of its
share, so that a batch is the same however many ranks there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from ecgad.data.beats import NORMAL, Beats
from ecgad.errors import ConfigError
from ecgad.runtime import interruption, processes
from ecgad.runtime.reading import read_ahead, read_rows

# Blocks of neighbouring beats that are in memory at once, and shuffled together; the more, the
# better beats are mixed, and the smaller the pieces that a disk is asked for.
BLOCKS = 16
# Without gradients a large batch costs little memory.
CHUNK = 4096

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Batch:
    """A rank's part of a batch.

    beats: float32, (n_own, n_leads, n_samples). own: which of the batch they are, bool, (n,); None:
    all of it. n: how many the batch has on all ranks.
    """

    beats: Tensor
    own: Tensor | None
    n: int


class Normals(Protocol):
    """Normal beats to train with or to measure a loss on. n: how many, on all ranks."""

    n: int

    def batches(
        self, size: int, generator: torch.Generator, kept: Tensor | None = None
    ) -> Iterator[Batch]:
        """Give all beats once, in random order, or those at the indices `kept`, ascending."""

    def chunks(self) -> Iterator[Tensor]:
        """Give this rank's beats in order, at most CHUNK at a time."""


class Held:
    """Normal beats on the device, of which a batch is picked by index.

    beats: this rank's, float32, (n_own, n_leads, n_samples). first: the index of the first of them
    among the `n` of all ranks.
    """

    def __init__(self, beats: Tensor, first: int = 0, n: int | None = None) -> None:
        self.beats = beats
        self.first = first
        self.n = len(beats) if n is None else n

    def batches(
        self, size: int, generator: torch.Generator, kept: Tensor | None = None
    ) -> Iterator[Batch]:
        """Give batches, as `Normals` says."""
        kept = torch.arange(self.n) if kept is None else kept
        order = kept[torch.randperm(len(kept), generator=generator)]
        for indices in order.to(self.beats.device).split(size):
            interruption.check()
            if len(self.beats) == self.n:
                yield Batch(self.beats[indices], None, len(indices))
                continue
            own = (indices >= self.first) & (indices < self.first + len(self.beats))
            yield Batch(self.beats[indices[own] - self.first], own, len(indices))

    def chunks(self) -> Iterator[Tensor]:
        """Give chunks, as `Normals` says."""
        for chunk in self.beats.split(CHUNK):
            interruption.check()
            yield chunk


class Streamed:
    """Normal beats that stay in the file: blocks in random order, shuffled some BLOCKS at a time.

    While the network has some of them, a thread reads the next.
    """

    def __init__(self, beats: Beats, device: torch.device, budget: int) -> None:
        """Look at which beats are normal. budget: bytes that the beats in memory may take."""
        self.file, self.n_seen = beats.waveforms, beats.format.n_seen
        self.device = device
        labels = np.zeros(len(beats), np.int8) if beats.labels is None else beats.labels
        self.normal = np.asarray(labels) == NORMAL
        # At most four times BLOCKS are in memory: read ahead, read, joined to a rest, and in use.
        self.rows = max(1, budget // (4 * BLOCKS * self.file[0].nbytes))
        starts = np.arange(0, len(beats), self.rows)
        counts = np.add.reduceat(self.normal, starts, dtype=np.int64)
        ends = np.cumsum(counts)
        self.n = int(ends[-1])
        # Of each block, its span among all normals, and whether it is of this rank's share.
        self.spans = list(zip(ends - counts, ends, strict=True))
        self.own = np.arange(len(starts)) * processes.SIZE // len(starts) == processes.RANK

    def batches(
        self, size: int, generator: torch.Generator, kept: Tensor | None = None
    ) -> Iterator[Batch]:
        """Give batches, as `Normals` says."""
        wanted = np.full(self.n, kept is None)
        if kept is not None:
            wanted[kept.numpy()] = True
        order = torch.randperm(len(self.spans), generator=generator).split(BLOCKS)
        beats, own = self._read([], wanted)
        for more, more_own in read_ahead(lambda part: self._read(part.tolist(), wanted), order):
            beats, own = torch.cat([beats, more]), torch.cat([own, more_own])
            del more
            # Of each beat that some rank has, its index among those of this one.
            held = own.cumsum(0) - 1
            *parts, rest = torch.randperm(len(own), generator=generator).split(size)
            for indices in parts:
                interruption.check()
                of_batch = own[indices]
                yield Batch(
                    beats[held[indices[of_batch]].to(self.device)],
                    None if of_batch.all() else of_batch.to(self.device),
                    len(indices),
                )
            beats, own = beats[held[rest[own[rest]]].to(self.device)], own[rest]
        yield Batch(beats, None if own.all() else own.to(self.device), len(own))

    def chunks(self) -> Iterator[Tensor]:
        """Give chunks, as `Normals` says."""
        wanted = np.ones(self.n, bool)
        blocks = [[block] for block in np.flatnonzero(self.own).tolist()]
        for beats, _ in read_ahead(lambda block: self._read(block, wanted), blocks):
            for chunk in beats.split(CHUNK):
                interruption.check()
                yield chunk

    def _read(self, blocks: list[int], wanted: np.ndarray) -> tuple[Tensor, Tensor]:
        """Read this rank's of the wanted beats of some blocks, and say which of them these are."""
        rows, own = [np.empty(0, int)], [np.empty(0, bool)]
        for block in blocks:
            begin = block * self.rows
            normal = begin + np.flatnonzero(self.normal[begin : begin + self.rows])
            chosen = normal[wanted[slice(*self.spans[block])]]
            own.append(np.full(len(chosen), self.own[block]))
            if self.own[block]:
                rows.append(chosen)
        beats = torch.from_numpy(read_rows(self.file, np.concatenate(rows))[:, : self.n_seen])
        return beats.to(self.device), torch.from_numpy(np.concatenate(own))


def feed(train: Beats, validation: Beats, device: torch.device, budget: int) -> list[Normals]:
    """Feed the normal beats of both splits: held on the device, or streamed where they take more
    bytes than `budget`. Raises ConfigError where there are fewer of them than ranks.
    """
    splits = (train, validation)
    fewest = min(len(beats.normals) for beats in splits)
    if fewest < processes.SIZE:
        raise ConfigError(
            f"torchrun started {processes.SIZE} processes for {fewest} normal beats; start fewer, "
            f"or give more beats"
        )
    if sum(len(beats.normals) for beats in splits) * train.waveforms[0].nbytes > budget:
        return [Streamed(beats, device, budget) for beats in splits]
    held: list[Normals] = []
    for beats in splits:
        indices = beats.normals
        first, last = processes.shard(len(indices))
        rows = read_rows(beats.waveforms, indices[first:last])[:, : beats.format.n_seen]
        own = torch.from_numpy(np.ascontiguousarray(rows))
        held.append(Held(own.to(device), first, len(indices)))
    return held
