"""What the figures show: labels, units, scales and data, of small arrays with known truth."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scipy.stats import binomtest

from ecgad.data.beats import BeatFormat, Beats, Strip
from ecgad.data.scaling import Scaler
from ecgad.evaluation.metrics import ranking_metrics
from ecgad.evaluation.results import evaluate_scores
from ecgad.report import gallery
from ecgad.report.figures import classes, data, detection, model, recordings
from ecgad.report.figures.style import ANOMALOUS_COLOUR, CLASS_COLOURS, NORMAL_COLOUR
from ecgad.scoring.thresholds import Threshold

V_COLOUR, S_COLOUR = CLASS_COLOURS[:2]
SYMBOLS = np.array(list("NSVNNVNNVNNN"))
SCALER = Scaler("standard", np.array([[0.5], [0.0]]), np.array([[2.0], [1.0]]))
RAW = np.random.default_rng(0).normal(size=(12, 2, 24)).astype(np.float32)
TIMES = np.arange(24) / 50


@pytest.fixture(autouse=True)
def five_beats_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "BLOCK_SAMPLES", 5 * 2 * 24)


def scaled_beats() -> Beats:
    """Twelve beats of two leads at 50 Hz, every sixth second one, of two records."""
    return Beats(
        waveforms=SCALER.transform(RAW),
        symbols=SYMBOLS,
        labels=(SYMBOLS != "N").astype(np.int8),
        rows=np.arange(100, 112),
        records=np.repeat(["r2", "r1"], 6),
        samples=np.tile(np.arange(1, 7) * 300, 2),
        rr=np.tile([0.8, 1.2], (12, 1)).astype(np.float32),
        format=BeatFormat(
            leads=("MLII", "V1"), sampling_rate=50.0, unit="mV", class_names={"V": "ventricular"}
        ),
    )


BEATS = scaled_beats()
OF_BEATS = classes.Classes({"N": 8, "V": 3, "S": 1}, frozenset("N"), {"V": "ventricular"})


def legend_of(owner: Figure | Axes) -> list[str]:
    (legend,) = [owner.get_legend()] if isinstance(owner, Axes) else owner.legends
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def labels_of(axis: Axes) -> tuple[str, str]:
    return axis.get_xlabel(), axis.get_ylabel()


def ticks_of(axis: Axes) -> list[str]:
    return [text.get_text() for text in axis.get_yticklabels()]


def texts_of(axis: Axes) -> list[tuple[float, float, str]]:
    return [(*text.get_position(), text.get_text()) for text in axis.texts]


def boxes_of(axis: Axes) -> np.ndarray:
    """Return x, y, width and height of the bars and shaded parts, (n, 4)."""
    patches: Any = axis.patches
    return np.array([patch.get_bbox().bounds for patch in patches])


def points_of(axis: Any, index: int) -> np.ndarray:
    """Return x and y of the points of a line, (n_points, 2)."""
    return np.asarray(axis.lines[index].get_xydata())


def assert_line(axis: Any, index: int, x: Any, y: Any, colour: str | None = None) -> None:
    expected = np.column_stack([x, y])
    np.testing.assert_allclose(points_of(axis, index), expected, rtol=1e-4, atol=1e-5)
    assert colour in (None, axis.lines[index].get_color())


def wilson(n_hits: int, n: int) -> tuple[float, float]:
    """Return the 95% interval of a share."""
    interval = binomtest(n_hits, n).proportion_ci(0.95, "wilson")
    return interval.low, interval.high


def test_classes_are_counted_in_blocks() -> None:
    assert classes.classes_of(BEATS) == OF_BEATS
    assert list(classes.classes_of(BEATS).counts) == ["N", "V", "S"]
    assert OF_BEATS.colours == {"N": NORMAL_COLOUR, "V": V_COLOUR, "S": S_COLOUR}
    assert classes.counts_by_record([BEATS, BEATS]) == {
        "r1": Counter(N=10, V=2),
        "r2": Counter(N=6, V=4, S=2),
    }
    unlabelled = classes.classes_of(replace(BEATS, labels=None))
    assert unlabelled.normal == {"N", "V", "S"}


def test_class_examples_are_the_first_beats_of_a_class() -> None:
    few = BEATS.take(classes.first_of_each_class(BEATS, 2))
    figure = data.class_examples(SCALER.unscaled(few), OF_BEATS, 2)
    assert figure.get_supxlabel() == "time (s)"
    assert figure.get_supylabel() == "MLII (mV)"
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title(loc="left") for axis in shown] == ["N", "", "V: ventricular", "", "S"]
    colours = [NORMAL_COLOUR, NORMAL_COLOUR, V_COLOUR, V_COLOUR, S_COLOUR]
    for axis, index, colour in zip(shown, (0, 3, 2, 5, 1), colours, strict=True):
        assert_line(axis, 0, TIMES, RAW[index, 0], colour)


def test_label_distribution_has_a_bar_for_each_class_and_split() -> None:
    other = classes.Classes({"N": 3, "F": 1}, frozenset("N"), {})
    (axis,) = data.label_distribution({"train": OF_BEATS, "test": other}).axes
    assert ticks_of(axis) == ["N", "V: ventricular", "S", "F"]
    assert axis.get_xlabel() == "beats"
    _, y, width, height = boxes_of(axis).T
    assert width.tolist() == [8, 3, 1, 0, 3, 0, 0, 1]
    # A bar is at its class, that of the test below that of training.
    np.testing.assert_allclose(y + height / 2, [-0.2, 0.8, 1.8, 2.8, 0.2, 1.2, 2.2, 3.2])
    assert [text for *_, text in texts_of(axis)][::4] == ["train  8 (66.7%)", "test  3 (75.0%)"]


def test_class_profiles_are_means_and_deviations_in_the_unit_of_the_source() -> None:
    profiles = classes.profiles_of(BEATS, SCALER)
    figure = data.class_profiles(profiles, OF_BEATS, BEATS.format)
    titles = ["N (8 beats)", "V: ventricular (3 beats)", "S (1 beats)"]
    assert [axis.get_title(loc="left") for axis in figure.axes] == titles
    assert labels_of(figure.axes[0]) == ("time (s)", "MLII (mV)")
    assert legend_of(figure) == ["mean", "± 1 standard deviation"]
    for axis, symbol in zip(figure.axes, "NVS", strict=True):
        of_class = RAW[symbol == SYMBOLS, 0]
        mean, spread = of_class.mean(axis=0), of_class.std(axis=0)
        assert_line(axis, 0, TIMES, mean, OF_BEATS.colours[symbol])
        (band,) = axis.collections
        edges = np.asarray(band.get_paths()[0].vertices)
        for time, low, high in zip(TIMES, mean - spread, mean + spread, strict=True):
            # Within the precision of scaled beats, which are float32.
            at_time = edges[np.isclose(edges[:, 0], time), 1]
            assert (at_time.min(), at_time.max()) == pytest.approx((low, high), abs=1e-5)


def test_rolling_statistics_stand_at_the_middle_of_their_window() -> None:
    profiles = {"N": (np.arange(24.0), np.zeros(24)), "V": (np.ones(24), np.zeros(24))}
    known = classes.Classes({"N": 2, "V": 1}, frozenset("N"), {})
    figure = data.rolling_statistics(profiles, known, BEATS.format)
    means, deviations = figure.axes
    assert means.get_title(loc="left") == "rolling mean, 10 samples"
    assert deviations.get_title(loc="left") == "rolling standard deviation, 10 samples"
    assert labels_of(means) == labels_of(deviations) == ("time (s)", "MLII (mV)")
    assert legend_of(figure) == ["N", "V"]
    # Of samples 0 to 9 the middle is 4.5, and so is their mean.
    middles = np.arange(15) + 4.5
    assert_line(means, 0, middles / 50, middles, NORMAL_COLOUR)
    assert_line(means, 1, middles / 50, np.ones(15), V_COLOUR)
    assert_line(deviations, 0, middles / 50, np.full(15, np.arange(10).std()))
    assert_line(deviations, 1, middles / 50, np.zeros(15))


def test_beats_without_a_sampling_rate_have_samples_on_their_axis() -> None:
    table = BeatFormat()
    figure = data.class_profiles(classes.profiles_of(BEATS, SCALER), OF_BEATS, table)
    assert labels_of(figure.axes[0]) == ("sample", "amplitude (source units)")
    assert_line(figure.axes[0], 0, np.arange(24), RAW[SYMBOLS == "N", 0].mean(axis=0))


def test_classes_by_record_has_the_counts() -> None:
    counts = {"r2": Counter(N=500, V=2), "r1": Counter(N=7, Q=1)}
    (axis,) = recordings.classes_by_record(counts, OF_BEATS).axes
    assert ticks_of(axis) == ["r1", "r2"]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["N", "V", "S", "Q"]
    assert texts_of(axis) == [(0, 0, "7"), (3, 0, "1"), (0, 1, "500"), (1, 1, "2")]
    assert axis.get_ylabel() == "record"
    (image,) = axis.images
    shades = image.get_array()
    assert shades is not None
    np.testing.assert_allclose(shades, np.log10([[8, 1, 1, 2], [501, 3, 1, 1]]))


def test_rr_distributions_are_shares_of_a_class() -> None:
    rr = np.tile([0.8, 1.2], (12, 1)).astype(np.float32)
    # The first beat of a record has no previous one; a pause is drawn at the end.
    rr[0, 0], rr[2, 0], rr[5, 0] = np.nan, 5.0, 0.5
    figure = recordings.rr_distributions(replace(BEATS, rr=rr), OF_BEATS)
    previous, following = figure.axes
    assert labels_of(previous) == ("previous RR interval (s)", "share of the class")
    assert following.get_xlabel() == "next RR interval (s)"
    assert legend_of(figure) == ["N", "V: ventricular", "S"]

    def shares(axis: Axes, index: int, colour: str) -> dict[float, float]:
        """Which share of a class lies at which interval, by the tenth of a second."""
        step: Any = axis.patches[index]
        assert to_hex(step.get_edgecolor()) == colour.lower()
        values, edges, _ = step.get_data()
        middles = (edges[:-1] + edges[1:]) / 2
        return {round(float(middles[i]), 1): float(values[i]) for i in np.flatnonzero(values)}

    third = pytest.approx(1 / 3)
    assert shares(previous, 0, NORMAL_COLOUR) == {0.8: 1}
    assert shares(previous, 1, V_COLOUR) == {0.5: third, 0.8: third, 2.0: third}
    assert shares(following, 2, S_COLOUR) == {1.2: 1}


def test_training_history_marks_the_best_epoch() -> None:
    history = {
        "epoch": np.array([1.0, 2, 3]),
        "train_loss": np.array([0.5, 0.25, 0.125]),
        "validation_loss": np.array([0.6, 0.3, 0.4]),
        "learning_rate": np.array([1e-3, 2e-3, 1e-3]),
    }
    losses, rate = model.training_history(history, "mse").axes
    assert losses.get_yscale() == "log"
    assert losses.get_ylabel() == "mse loss (scaled beats, logarithmic)"
    assert labels_of(rate) == ("epoch", "learning rate")
    assert legend_of(losses) == ["training", "validation", "best: epoch 2, 0.3"]
    assert_line(losses, 0, [1, 2, 3], history["train_loss"])
    assert_line(losses, 1, [1, 2, 3], history["validation_loss"])
    assert_line(losses, 2, 2, 0.3)
    assert_line(rate, 0, [1, 2, 3], history["learning_rate"])


def test_reconstructions_lie_over_their_beats() -> None:
    beats = SCALER.unscaled(BEATS.take(np.array([1, 2])))
    made = beats.waveforms + 1
    figure = model.reconstructions(beats, made, np.array([0.5, 1.25]), 0.75, "Worst misses")
    assert figure.get_suptitle() == "Worst misses: row, class and score (threshold 0.750)"
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["r2 beat 101, S: 0.500", "r2 beat 102, V: 1.25"]
    assert labels_of(figure.axes[0]) == ("time (s)", "MLII (mV)")
    assert legend_of(figure) == ["error", "beat", "reconstruction"]
    for axis, raw in zip(figure.axes, RAW[1:3, 0], strict=True):
        assert_line(axis, 0, TIMES, raw)
        assert_line(axis, 1, TIMES, raw + 1)
        assert [line.get_label() for line in axis.lines] == ["beat", "reconstruction"]


def test_latent_space_has_the_codes_of_each_class() -> None:
    # In a plane already: the first axis has the larger variance.
    codes = np.array([[4.0, 0, 1], [-4, 0, 1], [0, 3, 1], [0, -3, 1]], np.float32)
    figure = model.latent_space(codes, np.array(["N", "V", "N", "N"]), OF_BEATS)
    (axis,) = figure.axes
    assert labels_of(axis) == (
        "first principal component (64% of the variance)",
        "second principal component (36%)",
    )
    assert legend_of(figure) == ["N (3)", "V: ventricular (1)"]
    normal, ventricular = (np.abs(np.asarray(dots.get_offsets())) for dots in axis.collections)
    np.testing.assert_allclose(normal, [[4, 0], [0, 3], [0, 3]], atol=1e-6)
    np.testing.assert_allclose(ventricular, [[4, 0]], atol=1e-6)
    colours = [to_hex(np.asarray(dots.get_facecolor())[0]) for dots in axis.collections]
    assert colours == [NORMAL_COLOUR.lower(), V_COLOUR.lower()]


# Of test beats: scores, and at the threshold two of three anomalous ones found, one false alarm.
SCORES = np.array([0.1, 0.5, 0.2, 0.9, 0.3, 0.4, 0.7])
LABELS = np.array([0, 0, 0, 1, 1, 0, 1], np.int8)
THRESHOLD = 0.45


def judged(scores: np.ndarray = SCORES, labels: np.ndarray = LABELS) -> dict[str, Any]:
    """Return the entry in `metrics.json` of beats of the classes N, V and S, in two records."""
    symbols = np.where(labels == 0, "N", np.where(scores > 0.8, "S", "V"))
    beats = Beats(
        waveforms=np.zeros((len(scores), 1, 4), np.float32),
        symbols=symbols,
        labels=labels,
        rows=np.arange(len(scores)),
        records=np.where(np.arange(len(scores)) < len(scores) - 2, "a", "b"),
    )
    threshold = Threshold(THRESHOLD, "fixed", {}, None, None, 0)
    return evaluate_scores(scores, beats, threshold, 0, 0)


def curves() -> dict[str, tuple[np.ndarray, np.ndarray, dict[str, Any]]]:
    better = np.where(LABELS == 1, SCORES + 1, SCORES)
    return {
        "validation": (better, LABELS, judged(better)),
        "test": (SCORES, LABELS, judged()),
    }


def test_score_distributions_stand_beside_the_threshold() -> None:
    (axis,) = detection.score_distributions(SCORES, LABELS, THRESHOLD, "mae").axes
    assert axis.get_xscale() == "log"
    assert labels_of(axis) == (
        "score: mean absolute error of the scaled beat (logarithmic)",
        "beats",
    )
    assert legend_of(axis) == ["normal (4)", "anomalous (3)", "threshold 0.45"]
    assert_line(axis, 0, [THRESHOLD, THRESHOLD], [0, 1])
    for label, bars in enumerate(np.split(boxes_of(axis), 2)):
        scores = SCORES[label == LABELS]
        left, width, height = bars[:, [0, 2, 3]].T
        counts = [
            ((x <= scores) & (scores < x + w)).sum() for x, w in zip(left, width, strict=True)
        ]
        assert height.tolist() == counts
        assert sum(counts) == len(scores)
    (axis,) = detection.score_distributions(SCORES, None, THRESHOLD, "mae + code_distance").axes
    assert legend_of(axis) == ["all beats (7)", "threshold 0.45"]
    assert axis.get_xlabel() == (
        "score: mae + code distance, 1 = typical normal beat (logarithmic)"
    )


def test_roc_curve_passes_through_the_operating_point() -> None:
    figure = detection.roc_curve(curves(), {"PCA": (-SCORES, 0.25)})
    (axis,) = figure.axes
    (corner,) = axis.child_axes
    assert labels_of(axis) == ("false alarm rate (1 − specificity)", "sensitivity (recall)")
    auroc = curves()["test"][2]["auroc"]
    assert auroc == pytest.approx(10 / 12)
    assert legend_of(axis) == [
        "validation, AUROC 1.0000",
        "test, AUROC 0.8333",
        "PCA, 0.2500",
        "at the threshold",
        "chance",
    ]
    for drawn_on in (axis, corner):
        # Lines: validation, its dot, test, its dot, the baseline.
        assert_line(drawn_on, 3, 1 / 4, 2 / 3)
        alarms, hits = np.unique(points_of(drawn_on, 2), axis=0).T
        assert alarms.tolist() == [0, 0, 0, 1 / 4, 2 / 4, 2 / 4, 3 / 4, 1]
        assert hits.tolist() == [0, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 1, 1, 1]
        assert np.trapezoid(*points_of(drawn_on, 2).T[::-1]) == pytest.approx(auroc)
        assert np.trapezoid(*points_of(drawn_on, 4).T[::-1]) == pytest.approx(1 - auroc)


def test_precision_recall_curve_passes_through_the_operating_point() -> None:
    (axis,) = detection.precision_recall_curve(curves()).axes
    assert labels_of(axis) == ("recall (sensitivity)", "precision")
    assert legend_of(axis) == [
        "validation, average precision 1.0000",
        f"test, average precision {(1 + 1 + 3 / 5) / 3:.4f}",
        "at the threshold",
        "chance (0.43)",
    ]
    assert_line(axis, 3, 2 / 3, 2 / 3)
    recall, precision = np.unique(points_of(axis, 2), axis=0).T
    assert recall.tolist() == [0, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 1, 1, 1]
    assert precision.tolist() == [1, 1, 1 / 2, 2 / 3, 1, 3 / 7, 1 / 2, 3 / 5]
    assert_line(axis, 5, [0, 1], [3 / 7, 3 / 7])


def test_accuracy_by_threshold_has_the_metrics_at_every_score() -> None:
    (axis,) = detection.accuracy_by_threshold(curves(), THRESHOLD, "mse").axes
    assert axis.get_xscale() == "log"
    assert axis.get_xlabel() == (
        "threshold on the score, mean squared error of the scaled beat (logarithmic)"
    )
    assert legend_of(axis) == [
        "accuracy",
        "balanced accuracy",
        "sensitivity",
        "false-alarm rate",
        "threshold 0.45",
    ]
    assert_line(axis, 4, [THRESHOLD, THRESHOLD], [0, 1])
    entry = judged()
    # Between 0.4 and 0.5 there is no score: the metrics are those at 0.4.
    at = np.flatnonzero(points_of(axis, 0)[:, 0] == 0.4)
    for index, metric in enumerate(("accuracy", "balanced_accuracy", "recall")):
        assert points_of(axis, index)[at, 1] == pytest.approx(entry[metric])
    assert points_of(axis, 3)[at, 1] == pytest.approx(1 - entry["specificity"])


def test_long_curves_keep_their_shape() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(100_000) < 0.3).astype(np.int8)
    scores = rng.normal(labels, 1.0)
    # A tenth of the beats score alike, which makes a long step.
    scores[:10_000] = 0.5
    thresholds, false_alarms, recall = detection.operating_points(scores, labels)
    assert len(thresholds) < 12_000
    assert (false_alarms[[0, -1]].tolist(), recall[[0, -1]].tolist()) == ([0, 1], [0, 1])
    for index in np.flatnonzero(thresholds == 0.5):
        called = [scores > 0.5, scores >= 0.5][index % 2]
        assert false_alarms[index] == called[labels == 0].mean()
        assert recall[index] == called[labels == 1].mean()
    assert np.trapezoid(recall, false_alarms) == pytest.approx(
        ranking_metrics(scores, labels)["auroc"], abs=1e-6
    )
    # Where the step is, alone, is there more than a pixel between two points.
    gaps = np.maximum(np.diff(false_alarms), np.diff(recall))
    assert (gaps > 1e-3).sum() == 1


def test_false_alarms_stand_beside_the_promise() -> None:
    entry = {
        "n_normal": 100,
        "false_alarms": {
            "promised": 0.05,
            "observed": 0.04,
            "allowed_95": None,
            "binomial_95": [0.01, 0.1],
        },
        "by_record": {
            "r1": {"specificity": 0.9, "n_normal": 50},
            "r2": {"specificity": None, "n_normal": 0},
        },
    }
    (axis,) = detection.false_alarms(entry).axes
    assert ticks_of(axis) == ["all", "r1"]
    assert axis.get_xlabel() == "false-alarm rate among normal test beats (line: 95% interval)"
    assert legend_of(axis) == ["promised"]
    assert_line(axis, 0, wilson(4, 100), [0, 0])
    assert_line(axis, 1, 0.04, 0)
    assert_line(axis, 2, wilson(5, 50), [1, 1])
    assert_line(axis, 3, 0.1, 1)
    assert_line(axis, 4, [0.05, 0.05], [0, 1])
    np.testing.assert_allclose(boxes_of(axis), [[0.01, 0, 0.09, 1]])


def test_confusion_matrices_have_labels_in_rows() -> None:
    figure = detection.confusion_matrices({"validation": judged(), "test": judged()})
    for axis, split in zip(figure.axes, ("validation", "test"), strict=True):
        assert axis.get_title(loc="left") == f"{split}: accuracy 0.7143"
        assert labels_of(axis) == ("verdict", "label")
        assert ticks_of(axis) == ["normal", "anomalous"]
        assert texts_of(axis) == [
            (0, 0, "3\n75.0%"),
            (1, 0, "1\n25.0%"),
            (0, 1, "1\n33.3%"),
            (1, 1, "2\n66.7%"),
        ]
        (image,) = axis.images
        np.testing.assert_allclose(np.asarray(image.get_array()), [[3 / 4, 1 / 4], [1 / 3, 2 / 3]])


def test_recall_by_class_has_the_most_common_class_first() -> None:
    (axis,) = detection.recall_by_class({"test": judged()}, {"V": "ventricular"}).axes
    assert ticks_of(axis) == ["V: ventricular", "S"]
    assert axis.get_xlabel() == "recall among test beats (line: 95% interval)"
    assert boxes_of(axis)[:, 2].tolist() == [0.5, 1.0]
    assert [text for *_, text in texts_of(axis)] == ["50.0% of 2", "100.0% of 1"]
    assert_line(axis, 0, wilson(1, 2), [0, 0])


def test_results_by_record_have_the_lowest_auroc_first() -> None:
    # Record c has no anomalous beat.
    results = {
        "a": {"auroc": 0.9, "sensitivity": 0.5, "specificity": 0.8, "n_anomalous": 4},
        "b": {"auroc": 0.7, "sensitivity": 1.0, "specificity": 0.6, "n_anomalous": 2},
        "c": {"auroc": None, "sensitivity": None, "specificity": 1.0, "n_anomalous": 0},
    }
    means = {"auroc": 0.8, "sensitivity": 0.75, "specificity": 0.8}
    figure = recordings.results_by_record({"by_record": results, "mean_over_records": means})
    (axis,) = figure.axes
    assert ticks_of(axis) == ["b  (2 anomalous)", "a  (4 anomalous)", "c  (0 anomalous)"]
    assert legend_of(figure) == [
        "AUROC (mean 0.800)",
        "sensitivity (mean 0.750)",
        "specificity (mean 0.800)",
    ]
    # After the points of each measure, its mean.
    assert_line(axis, 0, [0.7, 0.9], [0, 1])
    assert_line(axis, 1, [0.8, 0.8], [0, 1])
    assert_line(axis, 2, [1.0, 0.5], [0, 1])
    assert_line(axis, 4, [0.6, 0.8, 1.0], [0, 1, 2])


def strip(record: str, start: float, seconds: float = 10) -> Strip:
    ecg = np.linspace(-1, 2, int(seconds * 50) + 1, dtype=np.float32)
    return Strip(record, "MLII", start, 50.0, 200.0, "mV", ecg)


def test_strips_shade_what_was_called_anomalous() -> None:
    # Beats at 1.5, 3, 4.5, 6, 7.5 and 9 s of each record; called are one before the strip, an N
    # and a V within, and one of the other record.
    called = np.zeros(12, np.int8)
    called[[6, 7, 8, 1]] = 1
    figure = recordings.strips([strip("r1", 2.0, 5)], BEATS, called, OF_BEATS)
    (axis,) = figure.axes
    assert axis.get_title(loc="left") == "record r1, MLII"
    assert labels_of(axis) == ("time in the record (s)", "mV")
    assert axis.get_xlim() == pytest.approx((2, 7))
    assert_line(axis, 0, 2 + np.arange(251) / 50, np.linspace(-1, 2, 251))
    assert texts_of(axis) == [(3.0, 2.0, "N"), (4.5, 2.0, "V"), (6.0, 2.0, "N")]
    assert [text.get_color() for text in axis.texts] == [NORMAL_COLOUR, V_COLOUR, NORMAL_COLOUR]
    np.testing.assert_allclose(boxes_of(axis), [[2.8, 0, 0.4, 1], [4.3, 0, 0.4, 1]])
    assert to_hex(axis.patches[0].get_facecolor()) == ANOMALOUS_COLOUR.lower()


def test_strips_are_of_the_records_with_most_classes() -> None:
    # Three classes in c; two in b and a, of which b has more anomalous beats.
    symbols, records = np.array(list("NSVNVVNNVNNN")), np.repeat(["c", "b", "a"], [3, 3, 6])
    beats = replace(BEATS, symbols=symbols, records=records)
    a, b, c = (strip(record, 0.0) for record in "abc")
    assert gallery._most_telling([a, b, c], beats, OF_BEATS, 1) == [c]
    assert gallery._most_telling([c, b, a], beats, OF_BEATS, 2) == [b, c]
    within = gallery._in_strips([strip("r2", 2.0, 2), strip("r1", 0.0)], BEATS)
    assert within.tolist() == [1, *range(6, 12)]
