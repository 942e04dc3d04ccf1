"""Pictures of the training and of what the model makes of beats."""

import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from ecgad.data.beats import Beats
from ecgad.report.figures.classes import Classes
from ecgad.report.figures.style import (
    ANOMALOUS_COLOUR,
    BLACK,
    GREY,
    MARKERS,
    NORMAL_COLOUR,
    amplitude_label,
    hide_unused,
    new_figure,
    plain,
    plain_numbers,
    time_axis,
)


def training_history(history: dict[str, np.ndarray], loss: str) -> Figure:
    """Draw losses and learning rate by epoch, the best epoch marked."""
    figure, axes = new_figure(
        2, 1, height=4.8, sharex=True, gridspec_kw={"height_ratios": [2.4, 1]}
    )
    losses, rate = axes[:, 0]
    epochs = history["epoch"]
    validation = history["validation_loss"]
    best = int(validation.argmin())
    marker = "o" if len(epochs) == 1 else ""
    losses.plot(epochs, history["train_loss"], color=GREY, marker=marker, label="training")
    losses.plot(epochs, validation, color=NORMAL_COLOUR, marker=marker, label="validation")
    losses.plot(
        epochs[best],
        validation[best],
        "o",
        color=BLACK,
        label=f"best: epoch {epochs[best]:.0f}, {validation[best]:.4g}",
    )
    if min(history["train_loss"].min(), validation.min()) > 0:
        losses.set_yscale("log")
        plain_numbers(losses.yaxis)
    scale = ", logarithmic" if losses.get_yscale() == "log" else ""
    losses.set_ylabel(f"{loss} loss (scaled beats{scale})")
    losses.legend(frameon=False)
    rate.plot(epochs, history["learning_rate"], color=BLACK, marker=marker)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("epoch")
    rate.set_ylim(bottom=0)
    return figure


def reconstructions(
    beats: Beats, reconstructed: np.ndarray, scores: np.ndarray, threshold: float, title: str
) -> Figure:
    """Draw beats, what the model made of them, and the error between the two, shaded.

    beats: those to show. reconstructed: their reconstructions, in the same unit and shape.
    scores: (n_beats,).
    """
    x, x_label = time_axis(beats.format, beats.waveforms.shape[2])
    n = len(beats)
    columns = min(4, n)
    rows = -(-n // columns)
    figure, axes = new_figure(
        rows,
        columns,
        width=max(7.0, 2.6 * columns),
        height=1.1 + 2.1 * rows,
        sharex=True,
        sharey=True,
    )
    for index, axis in enumerate(axes.flat[:n]):
        beat, made = beats.waveforms[index, 0], reconstructed[index, 0]
        axis.fill_between(
            x, beat, made, color=ANOMALOUS_COLOUR, alpha=0.3, linewidth=0, label="error"
        )
        axis.plot(x, beat, color=NORMAL_COLOUR, label="beat")
        axis.plot(x, made, color=BLACK, linewidth=1.1, linestyle="--", label="reconstruction")
        file, number = beats.format.place(int(beats.rows[index]))
        several = len(beats.format.files) > 1
        row = f"{plain(file)} {number}" if several else f"row {number}"
        if beats.records is not None:
            row = f"{plain(str(beats.records[index]))} beat {beats.rows[index]}"
        kind = "" if beats.labels is None else f", {plain(beats.symbols[index])}"
        axis.set_title(f"{row}{kind}: {scores[index]:#.3g}", loc="left", fontsize=9)
    hide_unused(axes, n)
    for row in axes:
        row[0].set_ylabel(amplitude_label(beats.format))
    # The lowest of each column; below some of the last row but one there is nothing.
    for axis in axes.flat[max(0, n - columns) : n]:
        axis.set_xlabel(x_label)
    figure.suptitle(f"{title}: row, class and score (threshold {threshold:#.3g})", fontsize=11)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def latent_space(codes: np.ndarray, symbols: np.ndarray, classes: Classes) -> Figure:
    """Draw codes on their first two principal components, by class.

    codes: (n_codes, code_size). symbols: (n_codes,), of the beats with these codes. classes: of the
    split that these beats are from.
    """
    plane = PCA(min(2, *codes.shape)).fit(codes)
    points = plane.transform(codes)
    if points.shape[1] == 1:
        points = np.c_[points, np.zeros(len(points))]
    shares = [*plane.explained_variance_ratio_, 0.0]
    colours = classes.colours
    figure, axes = new_figure(width=7.0, height=5.2)
    axis = axes[0, 0]
    present = set(symbols.tolist())
    order = [symbol for symbol in classes.counts if symbol in present]
    for number, symbol in enumerate(order):
        of_class = points[symbols == symbol]
        axis.scatter(
            *of_class.T,
            s=16,
            marker=MARKERS[number % len(MARKERS)],
            alpha=0.6,
            linewidth=0,
            color=colours[symbol],
            label=f"{classes.label(symbol)} ({len(of_class)})",
        )
    axis.set_xlabel(f"first principal component ({shares[0]:.0%} of the variance)")
    axis.set_ylabel(f"second principal component ({shares[1]:.0%})")
    figure.legend(loc="outside lower center", ncols=2, markerscale=1.6, frameon=False)
    return figure
