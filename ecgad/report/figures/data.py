"""Pictures of the beats themselves. Beats are in the source's unit; of several leads, the first."""

import textwrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ecgad.data.beats import Beats
from ecgad.report.figures.style import (
    GREY,
    amplitude_label,
    class_colours,
    class_label,
    class_order,
    hide_unused,
    new_figure,
    time_axis,
)

ROLLING_WINDOW = 10  # samples


def class_examples(beats: Beats, n_examples: int) -> Figure:
    """The first beats of each class, a row a class."""
    order = class_order(beats)
    colours = class_colours(beats, order)
    x, x_label = time_axis(beats)
    figure, axes = new_figure(
        len(order),
        n_examples,
        width=max(7.0, 2.1 * n_examples),
        height=0.6 + 1.45 * len(order),
        sharex=True,
        sharey=True,
    )
    for row, symbol in zip(axes, order, strict=True):
        places = np.flatnonzero(np.asarray(beats.symbols) == symbol)[:n_examples]
        for axis, place in zip(row, places, strict=False):
            axis.plot(x, beats.waveforms[place, 0], color=colours[symbol], linewidth=1.2)
        for axis in row[len(places) :]:
            axis.set_visible(False)
        row[0].set_title(class_label(beats, symbol), loc="left")
    figure.supxlabel(x_label, fontsize=10)
    figure.supylabel(amplitude_label(beats), fontsize=10)
    return figure


def label_distribution(splits: dict[str, Beats]) -> Figure:
    """How many beats each class has in each split."""
    beats = splits["train"]
    everywhere = {symbol for part in splits.values() for symbol in part.class_counts}
    order = class_order(beats) + sorted(everywhere - beats.class_counts.keys())
    colours = class_colours(beats, order)
    figure, axes = new_figure(height=0.9 + 0.75 * len(order))
    axis = axes[0, 0]
    thickness = 0.8 / len(splits)
    longest = max(max(part.class_counts.values()) for part in splits.values())
    for number, (name, part) in enumerate(splits.items()):
        counts = [part.class_counts.get(symbol, 0) for symbol in order]
        places = np.arange(len(order)) + (number - (len(splits) - 1) / 2) * thickness
        axis.barh(
            places,
            counts,
            thickness * 0.9,
            color=[colours.get(symbol, "black") for symbol in order],
            alpha=1 - 0.3 * number,
        )
        for place, count in zip(places, counts, strict=True):
            share = count / len(part)
            axis.text(
                count + 0.01 * longest,
                place,
                f"{name}  {count} ({share:.1%})",
                va="center",
                fontsize=8,
            )
    axis.set_yticks(range(len(order)), [class_label(beats, symbol) for symbol in order])
    axis.invert_yaxis()
    axis.set_xlim(0, longest * 1.4)
    axis.set_xlabel("beats")
    axis.grid(False, axis="y")
    return figure


def class_profiles(beats: Beats) -> Figure:
    """Mean beat of each class, with one standard deviation to either side."""
    order = class_order(beats)
    colours = class_colours(beats, order)
    x, x_label = time_axis(beats)
    columns = min(3, len(order))
    rows = -(-len(order) // columns)
    figure, axes = new_figure(
        rows, columns, width=max(7.0, 3.1 * columns), height=0.5 + 2.3 * rows, sharey=True
    )
    for axis, symbol in zip(axes.flat, order, strict=False):
        of_class = beats.waveforms[np.asarray(beats.symbols) == symbol, 0]
        mean, spread = of_class.mean(axis=0), of_class.std(axis=0)
        axis.fill_between(
            x,
            mean - spread,
            mean + spread,
            color=colours[symbol],
            alpha=0.25,
            linewidth=0,
        )
        axis.plot(x, mean, color=colours[symbol])
        title = textwrap.fill(f"{class_label(beats, symbol)} ({len(of_class)} beats)", 28)
        axis.set_title(title, loc="left")
        axis.set_xlabel(x_label)
    hide_unused(axes, len(order))
    for row in axes:
        row[0].set_ylabel(amplitude_label(beats))
    handles = [
        Line2D([], [], color=GREY, label="mean"),
        Patch(color=GREY, alpha=0.3, linewidth=0, label="± 1 standard deviation"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def rolling_statistics(beats: Beats) -> Figure:
    """Rolling mean and rolling standard deviation along the mean beat of each class."""
    order = class_order(beats)
    colours = class_colours(beats, order)
    x, x_label = time_axis(beats)
    window = min(ROLLING_WINDOW, len(x))
    figure, axes = new_figure(1, 2, width=9.0, height=3.9, sharex=True)
    for symbol in order:
        mean_beat = beats.waveforms[np.asarray(beats.symbols) == symbol, 0].mean(axis=0)
        windows = np.lib.stride_tricks.sliding_window_view(mean_beat, window)
        # Each window stands at its middle.
        middle = x[: len(windows)] + (x[window - 1] - x[0]) / 2
        for axis, values in zip(axes[0], (windows.mean(1), windows.std(1)), strict=True):
            axis.plot(middle, values, color=colours[symbol], label=class_label(beats, symbol))
    for axis, name in zip(axes[0], ("mean", "standard deviation"), strict=True):
        axis.set_title(f"rolling {name}, {window} samples", loc="left")
        axis.set_xlabel(x_label)
        axis.set_ylabel(amplitude_label(beats))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure
