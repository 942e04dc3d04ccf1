"""Pictures of how well anomalous beats are told from normal ones."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ecgad.data.beats import ANOMALOUS, NORMAL
from ecgad.report.figures.style import (
    ANOMALOUS_COLOUR,
    BLACK,
    CLASS_COLOURS,
    GREY,
    NORMAL_COLOUR,
    new_figure,
    plain,
    plain_numbers,
    score_label,
    threshold_line,
)

# Of each class: as many scores, spread by rank, are points of a curve.
CURVE_POINTS = 2000


def operating_points(
    scores: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return thresholds, and the false-alarm rate and recall at each: float64, (n_points,).

    scores, labels: (n_beats,). Each threshold is a score, from the highest to the lowest, and comes
    twice: higher scores are called anomalous, then equal ones as well. So both ends of each step
    are there. Where a class has many beats, scores are left out: between two points lies about one
    in CURVE_POINTS of its beats, or less.
    """
    normal, anomalous = (np.sort(scores[labels == label]) for label in (NORMAL, ANOMALOUS))
    thresholds = np.unique([*normal[-_ranks(len(normal))], *anomalous[-_ranks(len(anomalous))]])
    thresholds = thresholds[::-1]

    def called(part: np.ndarray) -> np.ndarray:
        below = [np.searchsorted(part, thresholds, side) for side in ("right", "left")]
        return (len(part) - np.column_stack(below).ravel()) / len(part)

    return np.repeat(thresholds, 2), called(normal), called(anomalous)


def _ranks(n: int) -> np.ndarray:
    """Return ranks from 1, the highest, to `n`; denser at the top, where precision jumps."""
    ranks = [np.geomspace(1, n, CURVE_POINTS // 4), np.linspace(1, n, CURVE_POINTS)]
    return np.unique(np.concatenate(ranks).round().astype(int))


def score_distributions(
    scores: np.ndarray, labels: np.ndarray | None, threshold: float, score: str
) -> Figure:
    """Draw histograms of the scores of normal and of anomalous beats, with the threshold."""
    figure, axes = new_figure()
    axis = axes[0, 0]
    # Scores spread over orders of magnitude; a logarithmic axis has no 0.
    lowest = max(scores.min(), scores.max() * 1e-4, 1e-12)
    bins = np.geomspace(lowest, max(scores.max(), threshold, lowest * 1.001) * 1.05, 60)
    parts = (
        [("all beats", np.ones(len(scores), bool), GREY)]
        if labels is None
        else [
            ("normal", labels == NORMAL, NORMAL_COLOUR),
            ("anomalous", labels == ANOMALOUS, ANOMALOUS_COLOUR),
        ]
    )
    for name, of_part, colour in parts:
        axis.hist(
            np.maximum(scores[of_part], lowest),
            bins,
            color=colour,
            alpha=0.55,
            label=f"{name} ({of_part.sum()})",
        )
    threshold_line(axis, threshold)
    axis.set_xscale("log")
    plain_numbers(axis.xaxis)
    axis.set_xlabel(score_label(score))
    axis.set_ylabel("beats")
    axis.legend(frameon=False)
    return figure


def roc_curve(
    curves: dict[str, tuple[np.ndarray, np.ndarray, dict[str, Any]]],
    baselines: dict[str, tuple[np.ndarray, float]],
) -> Figure:
    """Draw the receiver operating characteristic of validation and test.

    curves: for each split, scores and labels (n_beats,) and its entry in `metrics.json`, of which a
    dot shows the chosen threshold. baselines: by title, scores of the test beats and their AUROC.
    """
    figure, axes = new_figure(width=8.4, height=5.2)
    axis = axes[0, 0]
    # A good detector's curve lies in the corner.
    corner = axis.inset_axes((0.40, 0.14, 0.56, 0.56), xlim=(-0.005, 0.15), ylim=(0.85, 1.005))
    corner.set_title("the corner, magnified", fontsize=8)
    corner.tick_params(labelsize=8)
    for (name, (scores, labels, entry)), colour in zip(curves.items(), (GREY, BLACK), strict=True):
        _, false_alarms, recall = operating_points(scores, labels)
        for drawn_on in (axis, corner):
            drawn_on.plot(
                false_alarms, recall, color=colour, label=f"{name}, AUROC {entry['auroc']:.4f}"
            )
            drawn_on.plot(1 - entry["specificity"], entry["recall"], "o", color=colour)
    labels = curves["test"][1]
    for (name, (scores, auroc)), colour in zip(baselines.items(), CLASS_COLOURS, strict=False):
        _, false_alarms, recall = operating_points(scores, labels)
        label = f"{name}, {auroc:.4f}"
        for drawn_on in (axis, corner):
            drawn_on.plot(false_alarms, recall, color=colour, linewidth=1, label=label)
    axis.plot([], [], "o", color=BLACK, label="at the threshold")
    axis.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="chance")
    axis.set_xlabel("false alarm rate (1 − specificity)")
    axis.set_ylabel("sensitivity (recall)")
    axis.set_aspect("equal")
    axis.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False)
    return figure


def accuracy_by_threshold(
    curves: dict[str, tuple[np.ndarray, np.ndarray, dict[str, Any]]], threshold: float, score: str
) -> Figure:
    """Draw accuracy and false-alarm rate of test beats by threshold.

    curves: as of `roc_curve`.
    """
    figure, axes = new_figure(width=9.4)
    axis = axes[0, 0]
    scores, labels, entry = curves["test"]
    # Where a score is the threshold, beats of this score are called normal.
    thresholds, false_alarms, recall = (points[::2] for points in operating_points(scores, labels))
    n_right = (1 - false_alarms) * entry["n_normal"] + recall * entry["n_anomalous"]
    thresholds = np.maximum(thresholds, 1e-12)
    axis.plot(thresholds, n_right / len(scores), color=BLACK, label="accuracy")
    axis.plot(thresholds, (recall + 1 - false_alarms) / 2, color=GREY, label="balanced accuracy")
    axis.plot(thresholds, recall, color=ANOMALOUS_COLOUR, label="sensitivity")
    axis.plot(thresholds, false_alarms, color=NORMAL_COLOUR, label="false-alarm rate")
    threshold_line(axis, threshold)
    axis.set_xscale("log")
    axis.set_xlim(*np.maximum(np.quantile(scores, (0.02, 0.999)), 1e-12))
    plain_numbers(axis.xaxis)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel(f"threshold on the {score_label(score)}".replace("score: ", "score, "))
    axis.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False)
    return figure


def false_alarms(entry: dict[str, Any]) -> Figure:
    """Draw the false-alarm rate promised, and those observed over all normal beats and by record.

    entry: of the test split in `metrics.json`.
    """
    alarms = entry["false_alarms"]
    rates = {"all": (alarms["observed"], entry["n_normal"])}
    for record, found in entry.get("by_record", {}).items():
        if found["specificity"] is not None:
            rates[record] = (1 - found["specificity"], found["n_normal"])
    figure, axes = new_figure(height=1.4 + 0.28 * len(rates))
    axis = axes[0, 0]
    for y, (rate, n) in enumerate(rates.values()):
        low, high = _wilson(rate, n)
        colour = BLACK if y == 0 else NORMAL_COLOUR
        axis.plot([low, high], [y, y], color=colour, linewidth=1.5)
        axis.plot(rate, y, "o", color=colour, markersize=5)
    axis.axvline(alarms["promised"], color=GREY, linestyle="--", label="promised")
    if not alarms.get("patients"):
        axis.axvspan(*(alarms["allowed_95"] or alarms["binomial_95"]), color=GREY, alpha=0.15)
    axis.set_yticks(range(len(rates)), [plain(name) for name in rates])
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set_xlabel("false-alarm rate among normal test beats (line: 95% interval)")
    axis.grid(False, axis="y")
    axis.legend(frameon=False)
    return figure


def precision_recall_curve(
    curves: dict[str, tuple[np.ndarray, np.ndarray, dict[str, Any]]],
) -> Figure:
    """Draw precision against recall of validation and test; `curves` as of `roc_curve`."""
    figure, axes = new_figure(width=5.6, height=5.2)
    axis = axes[0, 0]
    for (name, (scores, labels, entry)), colour in zip(curves.items(), (GREY, BLACK), strict=True):
        _, false_alarms, recall = operating_points(scores, labels)
        hits, alarms = recall * entry["n_anomalous"], false_alarms * entry["n_normal"]
        # With no alarm at all it is 1, as is the custom.
        precision = np.divide(hits, hits + alarms, out=np.ones_like(hits), where=hits + alarms > 0)
        label = f"{name}, average precision {entry['average_precision']:.4f}"
        axis.plot(recall, precision, color=colour, label=label)
        axis.plot(entry["recall"], entry["precision"], "o", color=colour)
    share = curves["test"][2]["n_anomalous"] / curves["test"][2]["n_beats"]
    axis.plot([], [], "o", color=BLACK, label="at the threshold")
    axis.axhline(share, color=GREY, linestyle=":", linewidth=1, label=f"chance ({share:.2f})")
    axis.set_xlabel("recall (sensitivity)")
    axis.set_ylabel("precision")
    axis.set_ylim(0, 1.03)
    axis.legend(loc=(0.02, min(share + 0.02, 0.6)), frameon=False)
    return figure


def confusion_matrices(entries: dict[str, dict[str, Any]]) -> Figure:
    """Draw predicted labels against labels, a matrix a split; `entries` of `metrics.json`."""
    figure, axes = new_figure(1, len(entries), width=4.2 * len(entries), height=3.7)
    for axis, (name, entry) in zip(axes[0], entries.items(), strict=True):
        matrix = np.array(entry["confusion_matrix"])
        shares = matrix / matrix.sum(axis=1, keepdims=True)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(matrix):
            axis.text(
                column,
                row,
                f"{count}\n{shares[row, column]:.1%}",
                ha="center",
                va="center",
                fontsize=12,
                color="white" if shares[row, column] > 0.5 else BLACK,
            )
        axis.set_xticks([0, 1], ["normal", "anomalous"])
        axis.set_yticks([0, 1], ["normal", "anomalous"], rotation=90, va="center")
        axis.set_xlabel("verdict")
        axis.set_ylabel("label")
        axis.set_title(f"{name}: accuracy {entry['accuracy']:.4f}", loc="left")
        axis.grid(False)
        axis.spines[:].set_visible(False)
    return figure


def recall_by_class(entries: dict[str, dict[str, Any]], class_names: dict[str, str]) -> Figure:
    """Draw the recall of each class of anomaly, with 95% Wilson intervals (Wilson 1927)."""
    test = entries["test"]
    symbols = sorted(test["recall_by_class"], key=test["n_by_class"].get, reverse=True)
    figure, axes = new_figure(height=1.2 + 0.6 * len(symbols))
    axis = axes[0, 0]
    for y, symbol in enumerate(symbols):
        recall, n = test["recall_by_class"][symbol], test["n_by_class"][symbol]
        low, high = _wilson(recall, n)
        axis.barh(y, recall, 0.6, color=ANOMALOUS_COLOUR, alpha=0.75)
        axis.plot([low, high], [y, y], color=BLACK, linewidth=1.5)
        axis.text(1.02, y, f"{recall:.1%} of {n}", va="center")
    names = [plain(f"{s}: {class_names[s]}" if s in class_names else s) for s in symbols]
    axis.set_yticks(range(len(symbols)), names)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.0)
    axis.set_xlabel("recall among test beats (line: 95% interval)")
    axis.grid(False, axis="y")
    return figure


def _wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half
