"""Pictures of the beats themselves. Beats are in the source's unit; of several leads, the first."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ecgad.data.beats import BeatFormat, Beats
from ecgad.report.figures.classes import Classes, Profiles
from ecgad.report.figures.style import (
    GREY,
    amplitude_label,
    hide_unused,
    new_figure,
    time_axis,
)

ROLLING_WINDOW = 10  # samples


def class_examples(beats: Beats, classes: Classes, n_examples: int) -> Figure:
    """Draw beats of each class, a row a class.

    beats: `n_examples` of each class, or fewer where there are no more.
    """
    colours = classes.colours
    x, x_label = time_axis(beats.format, beats.waveforms.shape[2])
    n_classes = len(classes.counts)
    figure, axes = new_figure(
        n_classes,
        n_examples,
        width=max(7.0, 2.1 * n_examples),
        height=0.6 + 1.45 * n_classes,
        sharex=True,
        sharey=True,
    )
    for row, symbol in zip(axes, classes.counts, strict=True):
        indices = np.flatnonzero(beats.symbols == symbol)
        for axis, index in zip(row, indices, strict=False):
            axis.plot(x, beats.waveforms[index, 0], color=colours[symbol], linewidth=1.2)
        for axis in row[len(indices) :]:
            axis.set_visible(False)
        row[0].set_title(classes.label(symbol), loc="left")
    figure.supxlabel(x_label, fontsize=10)
    figure.supylabel(amplitude_label(beats.format), fontsize=10)
    return figure


def label_distribution(splits: Mapping[str, Classes]) -> Figure:
    """Draw how many beats each class has in each split."""
    train = splits["train"]
    everywhere = {symbol for classes in splits.values() for symbol in classes.counts}
    order = [*train.counts, *sorted(everywhere - train.counts.keys())]
    colours = train.colours
    figure, axes = new_figure(height=0.9 + 0.75 * len(order))
    axis = axes[0, 0]
    thickness = 0.8 / len(splits)
    longest = max(max(classes.counts.values()) for classes in splits.values())
    for number, (name, classes) in enumerate(splits.items()):
        n_beats = sum(classes.counts.values())
        counts = [classes.counts.get(symbol, 0) for symbol in order]
        heights = np.arange(len(order)) + (number - (len(splits) - 1) / 2) * thickness
        axis.barh(
            heights,
            counts,
            thickness * 0.9,
            color=[colours.get(symbol, "black") for symbol in order],
            alpha=1 - 0.3 * number,
        )
        for height, count in zip(heights, counts, strict=True):
            axis.text(
                count + 0.01 * longest,
                height,
                f"{name}  {count} ({count / n_beats:.1%})",
                va="center",
                fontsize=8,
            )
    axis.set_yticks(range(len(order)), [train.label(symbol) for symbol in order])
    axis.invert_yaxis()
    axis.set_xlim(0, longest * 1.4)
    axis.set_xlabel("beats")
    axis.grid(False, axis="y")
    return figure


def class_profiles(profiles: Profiles, classes: Classes, beat_format: BeatFormat) -> Figure:
    """Draw the mean beat of each class, with one standard deviation to either side."""
    order, colours = list(classes.counts), classes.colours
    x, x_label = time_axis(beat_format, len(profiles[order[0]][0]))
    columns = min(3, len(order))
    rows = -(-len(order) // columns)
    figure, axes = new_figure(
        rows, columns, width=max(7.0, 3.1 * columns), height=0.5 + 2.3 * rows, sharey=True
    )
    for axis, symbol in zip(axes.flat, order, strict=False):
        mean, spread = profiles[symbol]
        axis.fill_between(
            x,
            mean - spread,
            mean + spread,
            color=colours[symbol],
            alpha=0.25,
            linewidth=0,
        )
        axis.plot(x, mean, color=colours[symbol])
        title = f"{classes.label(symbol)} ({classes.counts[symbol]} beats)"
        axis.set_title(textwrap.fill(title, 28), loc="left")
        axis.set_xlabel(x_label)
    hide_unused(axes, len(order))
    for row in axes:
        row[0].set_ylabel(amplitude_label(beat_format))
    handles = [
        Line2D([], [], color=GREY, label="mean"),
        Patch(color=GREY, alpha=0.3, linewidth=0, label="± 1 standard deviation"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def rolling_statistics(profiles: Profiles, classes: Classes, beat_format: BeatFormat) -> Figure:
    """Draw rolling mean and rolling standard deviation along the mean beat of each class."""
    order, colours = list(classes.counts), classes.colours
    x, x_label = time_axis(beat_format, len(profiles[order[0]][0]))
    window = min(ROLLING_WINDOW, len(x))
    figure, axes = new_figure(1, 2, width=9.0, height=3.9, sharex=True)
    for symbol in order:
        mean_beat, _ = profiles[symbol]
        windows = np.lib.stride_tricks.sliding_window_view(mean_beat, window)
        # Each window stands at its middle.
        middle = x[: len(windows)] + (x[window - 1] - x[0]) / 2
        for axis, values in zip(axes[0], (windows.mean(1), windows.std(1)), strict=True):
            axis.plot(middle, values, color=colours[symbol], label=classes.label(symbol))
    for axis, name in zip(axes[0], ("mean", "standard deviation"), strict=True):
        axis.set_title(f"rolling {name}, {window} samples", loc="left")
        axis.set_xlabel(x_label)
        axis.set_ylabel(amplitude_label(beat_format))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure
