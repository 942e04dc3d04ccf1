"""Pictures of recordings: what each holds, how it beats, and how well its beats are told apart."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecgad.data.beats import ANOMALOUS, Beats, Strip
from ecgad.report.figures.classes import Classes, blocks
from ecgad.report.figures.style import ANOMALOUS_COLOUR, BLACK, BLUE, GREY, new_figure, plain
from ecgad.runtime.reading import read_rows

# More rows than this are too small to read.
MOST_RECORDS = 60
# Seconds; RR intervals beyond are drawn at the ends.
SHORTEST_RR, LONGEST_RR = 0.2, 2.0
# Seconds to either side of a beat that was called anomalous.
SHADED = 0.2


def classes_by_record(counts_by_record: Mapping[str, Counter[str]], classes: Classes) -> Figure:
    """Draw how many beats of each class each record has.

    classes: of the training split, whose order is kept; those that it lacks come last.
    """
    names = sorted(counts_by_record)[:MOST_RECORDS]
    everywhere = {symbol for counts in counts_by_record.values() for symbol in counts}
    order = [*classes.counts, *sorted(everywhere - classes.counts.keys())]
    counts = np.array([[counts_by_record[name][symbol] for symbol in order] for name in names])
    figure, axes = new_figure(width=1.6 + 0.9 * len(order), height=1.0 + 0.2 * len(names))
    axis = axes[0, 0]
    axis.imshow(np.log10(counts + 1), cmap="Blues", aspect="auto", vmin=0, vmax=4)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if count > 300 else BLACK
            axis.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axis.set_yticks(range(len(names)), map(plain, names), fontsize=8)
    axis.set_xticks(range(len(order)), [plain(symbol) for symbol in order])
    axis.xaxis.tick_top()
    axis.set_ylabel("record")
    axis.set_title("beats of each class", fontsize=10)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    return figure


def rr_distributions(beats: Beats, classes: Classes) -> Figure:
    """Draw previous and next RR interval of the beats of each class, as shares of the class."""
    assert beats.rr is not None
    bins = np.linspace(SHORTEST_RR, LONGEST_RR, 60)
    counts = {symbol: np.zeros((2, len(bins) - 1), int) for symbol in classes.counts}
    for rows in blocks(beats):
        symbols, rr = read_rows(beats.symbols, rows), read_rows(beats.rr, rows)
        for symbol in np.unique(symbols):
            for column, of_class in enumerate(rr[symbols == symbol].T):
                known = np.clip(of_class[np.isfinite(of_class)], bins[0], bins[-1])
                counts[str(symbol)][column] += np.histogram(known, bins)[0]
    colours = classes.colours
    figure, axes = new_figure(1, 2, width=9.0, height=4.0, sharex=True, sharey=True)
    for axis, column, name in zip(axes[0], (0, 1), ("previous", "next"), strict=True):
        for symbol, of_class in counts.items():
            if total := of_class[column].sum():
                axis.stairs(of_class[column] / total, bins, linewidth=1.6, color=colours[symbol])
        axis.set_xlabel(f"{name} RR interval (s)")
    axes[0, 0].set_ylabel("share of the class")
    handles = [Line2D([], [], color=colours[s], label=classes.label(s)) for s in counts]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def results_by_record(entry: dict[str, Any]) -> Figure:
    """Draw AUROC, sensitivity and specificity of each record; lines are means over records.

    entry: of a split in `metrics.json`. The records of lowest AUROC come first.
    """
    by_record = entry["by_record"]
    names = sorted(by_record, key=lambda name: (_or_last(by_record[name]["auroc"]), name))[
        :MOST_RECORDS
    ]
    figure, axes = new_figure(width=8.0, height=1.5 + 0.22 * len(names))
    axis = axes[0, 0]
    measures = (
        ("auroc", "AUROC", BLACK, "o"),
        ("sensitivity", "sensitivity", ANOMALOUS_COLOUR, "D"),
        ("specificity", "specificity", BLUE, "s"),
    )
    for key, title, colour, marker in measures:
        found = [(by_record[name][key], y) for y, name in enumerate(names)]
        points = [(value, y) for value, y in found if value is not None]
        mean = entry["mean_over_records"][key]
        if not points:
            continue
        x, y = zip(*points, strict=True)
        label = f"{title} (mean {mean:.3f})"
        axis.plot(x, y, marker, color=colour, alpha=0.8, markersize=5, label=label)
        axis.axvline(mean, color=colour, linewidth=1, linestyle=":")
    labels = [f"{plain(n)}  ({by_record[n]['n_anomalous']} anomalous)" for n in names]
    axis.set_yticks(range(len(names)), labels, fontsize=8)
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel("test beats of the record")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _or_last(value: float | None) -> float:
    return np.inf if value is None else value


def in_strip(strip: Strip, records: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return which beats lie in a strip: bool, (n_beats,).

    records, samples: (n_beats,), as in `Beats`.
    """
    times = samples / strip.record_rate
    end = strip.start + (len(strip.ecg) - 1) / strip.sampling_rate
    return (records == strip.record) & (times >= strip.start) & (times <= end)


def strips(strips: list[Strip], beats: Beats, predicted: np.ndarray, classes: Classes) -> Figure:
    """Draw some seconds of records, the classes of their beats, and which were called anomalous.

    beats: those in the strips. predicted: their predicted labels, (n_beats,). classes: of the split
    that they are from.
    """
    assert beats.records is not None
    assert beats.samples is not None
    figure, axes = new_figure(len(strips), 1, width=10.0, height=0.8 + 1.7 * len(strips))
    colours = classes.colours
    for axis, strip in zip(axes[:, 0], strips, strict=True):
        seconds = strip.start + np.arange(len(strip.ecg)) / strip.sampling_rate
        axis.plot(seconds, strip.ecg, color=GREY, linewidth=0.9)
        top = float(strip.ecg.max())
        for index in np.flatnonzero(in_strip(strip, beats.records, beats.samples)):
            symbol, time = str(beats.symbols[index]), beats.samples[index] / strip.record_rate
            axis.text(
                time,
                top,
                plain(symbol),
                color=colours[symbol],
                ha="center",
                va="bottom",
                fontsize=9,
                fontweight="bold",
            )
            if predicted[index] == ANOMALOUS:
                axis.axvspan(
                    time - SHADED, time + SHADED, color=ANOMALOUS_COLOUR, alpha=0.18, linewidth=0
                )
        axis.set_title(
            plain(f"record {strip.record}, {strip.lead}"), loc="left", fontsize=9, pad=14
        )
        axis.set_ylabel(strip.unit)
        axis.set_xlim(seconds[0], seconds[-1])
        axis.grid(False, axis="y")
    axes[-1, 0].set_xlabel("time in the record (s)")
    return figure
