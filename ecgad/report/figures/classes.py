"""The classes of the beats of a split, read in blocks: a split need not fit into memory."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ecgad.data.beats import NORMAL, Beats
from ecgad.data.scaling import RunningStatistics, Scaler
from ecgad.report.figures.style import CLASS_COLOURS, NORMAL_COLOUR, plain
from ecgad.runtime.reading import read_rows

# Of waveforms, read at a time: a megabyte.
BLOCK_SAMPLES = 250_000

# By class, its mean beat and the standard deviation around it; both (n_samples,).
Profiles = Mapping[str, tuple[np.ndarray, np.ndarray]]


def blocks(beats: Beats) -> Iterator[slice]:
    """Give the indices of the beats, some at a time."""
    n_beats, *shape = beats.waveforms.shape
    n = max(1, BLOCK_SAMPLES // int(np.prod(shape)))
    for start in range(0, n_beats, n):
        yield slice(start, min(start + n, n_beats))


@dataclass(frozen=True)
class Classes:
    """The classes of a split.

    counts: the beats of each, by symbol: normal classes first, then the most common. normal:
    symbols of the classes with normal beats; without labels, of all. names: what a symbol means,
    where that is known.
    """

    counts: dict[str, int]
    normal: frozenset[str]
    names: Mapping[str, str]

    @property
    def colours(self) -> dict[str, str]:
        """Choose a colour for each class; blue for normal."""
        others = [symbol for symbol in self.counts if symbol not in self.normal]
        colours = {symbol: CLASS_COLOURS[i % len(CLASS_COLOURS)] for i, symbol in enumerate(others)}
        return colours | dict.fromkeys(self.normal, NORMAL_COLOUR)

    def label(self, symbol: str) -> str:
        """Return the symbol and what it means, for matplotlib."""
        return plain(self.name(symbol))

    def name(self, symbol: str) -> str:
        """Return the symbol and what it means."""
        name = self.names.get(symbol)
        return f"{symbol}: {name}" if name else symbol


def classes_of(beats: Beats) -> Classes:
    """Count the beats of each class."""
    counts, normal = Counter[str](), set[str]()
    for rows in blocks(beats):
        symbols = read_rows(beats.symbols, rows)
        counts.update(symbols.tolist())
        if beats.labels is not None:
            symbols = symbols[read_rows(beats.labels, rows) == NORMAL]
        normal.update(symbols.tolist())
    order = sorted(counts, key=lambda symbol: (symbol not in normal, -counts[symbol], symbol))
    ordered = {symbol: counts[symbol] for symbol in order}
    return Classes(ordered, frozenset(normal), beats.format.class_names)


def counts_by_record(splits: Iterable[Beats]) -> dict[str, Counter[str]]:
    """Count the beats of each class in each record, over all these splits."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for beats in splits:
        assert beats.records is not None
        for rows in blocks(beats):
            records, symbols = read_rows(beats.records, rows), read_rows(beats.symbols, rows)
            for record in np.unique(records):
                counts[str(record)].update(symbols[records == record].tolist())
    return dict(counts)


def first_of_each_class(beats: Beats, n: int) -> np.ndarray:
    """Return the indices of the first `n` beats of each class, ascending."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for rows in blocks(beats):
        for index, symbol in enumerate(read_rows(beats.symbols, rows).tolist(), rows.start):
            if len(found[symbol]) < n:
                found[symbol].append(index)
    return np.array(sorted(index for indices in found.values() for index in indices))


def profiles_of(beats: Beats, scaler: Scaler) -> Profiles:
    """Return the profile of each class: of the first lead, float64, in the source's unit.

    beats: scaled, by `scaler`.
    """
    found: defaultdict[str, RunningStatistics] = defaultdict(lambda: RunningStatistics("position"))
    for rows in blocks(beats):
        symbols = read_rows(beats.symbols, rows)
        waveforms = scaler.inverse_transform(read_rows(beats.waveforms, rows))
        for symbol in np.unique(symbols):
            found[str(symbol)].add(waveforms[symbols == symbol, :1])
    return {
        symbol: (statistics.mean[0], np.sqrt(statistics.squares[0] / statistics.n))
        for symbol, statistics in found.items()
    }
