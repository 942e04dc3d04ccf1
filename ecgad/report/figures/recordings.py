"""Pictures of recordings: what each holds, how it beats, and how well it is judged."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecgad.data.beats import ANOMALOUS, Beats, Strip
from ecgad.report.figures.style import (
    ANOMALOUS_COLOUR,
    BLACK,
    BLUE,
    GREY,
    class_colours,
    class_label,
    class_order,
    new_figure,
    plain,
)

# More rows than this are too small to read.
MOST_RECORDS = 60
# Seconds; longer RR intervals are drawn at the end.
LONGEST_RR = 2.0


def classes_by_record(splits: dict[str, Beats]) -> Figure:
    """How many beats of each class each record has, over all splits."""
    symbols = np.concatenate([np.asarray(part.symbols) for part in splits.values()])
    records = np.concatenate([np.asarray(part.records) for part in splits.values()])
    names, places = np.unique(records, return_inverse=True)
    order = class_order(splits["train"])
    order += sorted(set(symbols.tolist()) - set(order))
    counts = np.stack(
        [np.bincount(places[symbols == symbol], minlength=len(names)) for symbol in order], axis=1
    )
    names, counts = names[:MOST_RECORDS], counts[:MOST_RECORDS]
    figure, axes = new_figure(width=1.6 + 0.9 * len(order), height=1.0 + 0.2 * len(names))
    axis = axes[0, 0]
    axis.imshow(np.log10(counts + 1), cmap="Blues", aspect="auto", vmin=0, vmax=4)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if count > 300 else BLACK
            axis.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axis.set_yticks(range(len(names)), map(plain, names.tolist()), fontsize=8)
    axis.set_xticks(range(len(order)), [plain(symbol) for symbol in order])
    axis.xaxis.tick_top()
    axis.set_ylabel("record")
    axis.set_title("beats of each class", fontsize=10)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    return figure


def rr_distributions(beats: Beats) -> Figure:
    """Previous and next RR interval of the beats of each class, as shares of the class."""
    assert beats.rr is not None
    order = class_order(beats)
    colours = class_colours(beats, order)
    bins = np.linspace(0.2, LONGEST_RR, 60)
    figure, axes = new_figure(1, 2, width=9.0, height=4.0, sharex=True, sharey=True)
    for axis, column, name in zip(axes[0], (0, 1), ("previous", "next"), strict=True):
        for symbol in order:
            rr = np.asarray(beats.rr)[np.asarray(beats.symbols) == symbol, column]
            rr = np.clip(rr[np.isfinite(rr)], bins[0], bins[-1])
            if len(rr):
                axis.hist(
                    rr,
                    bins,
                    weights=np.full(len(rr), 1 / len(rr)),
                    histtype="step",
                    linewidth=1.6,
                    color=colours[symbol],
                )
        axis.set_xlabel(f"{name} RR interval (s)")
    axes[0, 0].set_ylabel("share of the class")
    handles = [Line2D([], [], color=colours[s], label=class_label(beats, s)) for s in order]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def results_by_record(entry: dict[str, Any]) -> Figure:
    """AUROC, sensitivity and specificity of each record; the lines are means over records.

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


def strips(strips: list[Strip], beats: Beats, predicted: np.ndarray) -> Figure:
    """Some seconds of records, the classes of their beats, and which were called anomalous.

    beats, predicted: of the test split, (n_beats,).
    """
    assert beats.samples is not None
    figure, axes = new_figure(len(strips), 1, width=10.0, height=0.8 + 1.7 * len(strips))
    order = class_order(beats)
    colours = class_colours(beats, order)
    records, samples = np.asarray(beats.records), np.asarray(beats.samples)
    for axis, strip in zip(axes[:, 0], strips, strict=True):
        seconds = strip.start + np.arange(len(strip.ecg)) / strip.sampling_rate
        axis.plot(seconds, strip.ecg, color=GREY, linewidth=0.9)
        times = samples / strip.record_rate
        within = (records == strip.record) & (times >= seconds[0]) & (times <= seconds[-1])
        top = float(strip.ecg.max())
        for place in np.flatnonzero(within):
            symbol = str(beats.symbols[place])
            axis.text(
                times[place],
                top,
                plain(symbol),
                color=colours[symbol],
                ha="center",
                va="bottom",
                fontsize=9,
                fontweight="bold",
            )
            if predicted[place] == ANOMALOUS:
                axis.axvspan(
                    times[place] - 0.2,
                    times[place] + 0.2,
                    color=ANOMALOUS_COLOUR,
                    alpha=0.18,
                    linewidth=0,
                )
        axis.set_title(
            plain(f"record {strip.record}, {strip.lead}"), loc="left", fontsize=9, pad=14
        )
        axis.set_ylabel(strip.unit)
        axis.set_xlim(seconds[0], seconds[-1])
        axis.grid(False, axis="y")
    axes[-1, 0].set_xlabel("time in the record (s)")
    return figure
