"""The report of a run: what it says, and, in a real browser, what it shows and does."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from ecgad.artifacts import files
from ecgad.data.beats import Beats, Strip
from ecgad.data.sources.records import RecordSource
from ecgad.data.sources.wfdb import Wfdb, WfdbConfig
from ecgad.evaluation.baselines import Result
from ecgad.evaluation.results import evaluate_run
from ecgad.experiment import Experiment
from ecgad.report.figures import paper
from ecgad.report.figures.classes import Classes
from ecgad.report.mistakes import Mistakes, in_turns, read_mistakes
from ecgad.report.page import render
from ecgad.report.picture import FALSE_ALARMS, GROUPS, MISSES, Picture
from ecgad.report.picture import render as drawn
from ecgad.scoring.thresholds import Threshold
from tests.conftest import Open
from tests.helpers import RATE, Save, some_beats

if TYPE_CHECKING:
    from playwright.sync_api import Page

N_RECORDS = 250
TRAINING = {
    "n_weights": 1234,
    "epochs": 5,
    "best_epoch": 4,
    "n_train": 160,
    "labelled": True,
    "seconds": 1.0,
    "device": "cpu",
}


@cache
def metrics_of(labelled: bool = True) -> dict[str, Any]:
    """Metrics of records of five beats each, of which the first is anomalous but in the second
    record; the results by record many times over.
    """
    beats = some_beats(5 * 25)
    labels = np.array(beats.labels)
    labels[5] = 0
    beats = replace(
        beats,
        labels=labels if labelled else None,
        symbols=labels.astype(str),
        records=np.repeat([f"r{n}" for n in range(25)], 5),
    )
    ranks = np.arange(len(beats))
    scores = 2.0 * labels - ranks / len(beats) + (ranks % 7 == 3)
    splits = dict.fromkeys(("train", "validation", "test"), beats)
    of_splits = dict.fromkeys(splits, scores)
    threshold = Threshold(0.8, "fixed", {"max_false_alarm_rate": 0.125}, None, None, 0)
    simple = {"pca": Result(of_splits, 10, 20, 0.5)} if labelled else {}
    experiment = Experiment(name="<b>'x'&", evaluation={"bootstrap": 20})  # type: ignore[arg-type]
    metrics = evaluate_run(experiment, splits, of_splits, threshold, simple, {"training": 1.0})
    if labelled:
        known = list(metrics["test"]["by_record"].values())
        metrics["test"]["by_record"] = {f"r{n}": known[n % 25] for n in range(N_RECORDS)}
    return metrics


def pictures() -> list[tuple[Picture, bytes]]:
    """A picture of each group, each of another width."""
    made = []
    for number, group in enumerate(GROUPS):
        figure = Figure(figsize=(6 + number, 3))
        picture = Picture(f"p{number}", group, f"Title {number}", f"<{number}>", f'Alt "{number}"')
        made.append(drawn(picture, figure, 100))
    return made


NONE_LOST = Mistakes({MISSES: (7, 1), FALSE_ALARMS: (0, 0)}, [], {})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(metrics_of(), TRAINING, pictures(), NONE_LOST), encoding="utf-8")
    return path


def test_the_result_comes_first_then_contents_then_tables_then_pictures(report: Path) -> None:
    text = report.read_text()
    metrics = metrics_of()
    test = metrics["test"]
    words = re.search(r'<p class="result">(.*?)</p>', text)[1]  # type: ignore[index]
    assert words == (
        f"{test['recall']:.1%} of 24 anomalous test beats are found, and "
        f"{1 - test['specificity']:.1%} of 101 normal ones are called anomalous. AUROC is "
        f"{test['auroc']:.4f}; the best simple method (PCA, 8 components) has {test['auroc']:.4f}."
    )
    cards = re.findall(r"<li><strong>(.*?)</strong>(.*?)</li>", text)
    shown = [test[name] for name in ("auroc", "average_precision", "recall", "specificity")]
    assert [value for value, _ in cards[:4]] == [f"{value:.4f}" for value in shown]
    low, high = test["interval_95"]["auroc"]
    assert f"<span>95%: {low:.4f} to {high:.4f}</span>" in cards[0][1]
    assert cards[4][0] == f"{test['false_alarms']['observed']:.3%}"
    assert "<span>promised: 12.500%</span>" in cards[4][1]

    links = re.findall(r'<li><a href="#(.*?)">(.*?)</a></li>', text)
    tables = ["Measures", "Beside simple methods", "Recall by class", "Results by record"]
    assert [heading for _, heading in links] == [*tables, *GROUPS]
    places = [text.index(f'<section id="{name}">') for name, _ in links]
    assert [text.index('"result"'), text.index("<nav"), *places] == sorted(
        [text.index('"result"'), text.index("<nav"), *places]
    )
    ids = re.findall(r' id="(.*?)"', text)
    assert len(ids) == len(set(ids))
    assert "<title>ecgad: &lt;b&gt;&#x27;x&#x27;&amp;</title>" in text
    assert "7 of 24 anomalous test beats were called normal, in 1 record." in text
    assert "No normal test beat was called anomalous." in text


def test_a_report_without_labels_says_how_many_are_called_anomalous() -> None:
    metrics = metrics_of(labelled=False)
    text = render(metrics, {**TRAINING, "labelled": False}, [], None)
    assert f'<p class="result">{metrics["n_flagged"]} of 375 unlabelled beats' in text
    links = re.findall(r'<li><a href="#.*?">(.*?)</a></li>', text)
    assert links == ["Measures", "Most anomalous beats"]


def cells(page: "Page", section: str, column: int) -> list[str]:
    return page.locator(f"#{section} tbody tr > :nth-child({column})").all_text_contents()


def test_records_are_sorted_and_filtered(report: Path, look: Open) -> None:
    page = look(report)
    part = page.locator("#results-by-record")
    by_record = metrics_of()["test"]["by_record"]
    # So many at first, all when asked for, and when printed.
    assert cells(page, "results-by-record", 1) == list(by_record)[:200]
    status = part.get_by_role("status")
    assert status.inner_text() == "250 of 250 records, the first 200 shown"
    part.get_by_role("button", name="Show all").click()
    assert len(cells(page, "results-by-record", 1)) == N_RECORDS
    assert not part.get_by_role("button", name="Show all").is_visible()

    heading = part.locator("th", has_text="specificity")
    for order in ("ascending", "descending"):
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == order
        values = [float(value) for value in cells(page, "results-by-record", 6)]
        assert len(set(values)) > 1
        assert values == sorted(values, reverse=order == "descending")
    part.get_by_role("button", name="AUROC").click()
    assert heading.get_attribute("aria-sort") is None
    # A record with no value is last in both directions.
    for _ in range(2):
        assert cells(page, "results-by-record", 4)[-1] == "-"
        part.get_by_role("button", name="AUROC").click()
    part.get_by_role("button", name="record", exact=True).click()
    names = [f"r{n}" for n in range(N_RECORDS)]
    assert cells(page, "results-by-record", 1) == names

    part.get_by_label("Filter records").fill(" R24")
    assert cells(page, "results-by-record", 1) == [name for name in names if name.startswith("r24")]
    assert status.inner_text() == "11 of 250 records"
    page.get_by_label("Filter classes").fill("none of these")
    assert page.locator("#recall-by-class tbody tr").count() == 0


def test_pictures_open_large_and_step_by_keys(report: Path, look: Open) -> None:
    page = look(report)
    page.get_by_role("button", name="Open large: Title 1").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("heading").inner_text() == "Title 1"
    assert dialog.get_by_text("2 of 7").is_visible()
    page.wait_for_function("document.querySelector('dialog img').naturalWidth === 700")
    page.keyboard.press("ArrowRight")
    assert dialog.locator("img").get_attribute("alt") == 'Alt "2"'
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    # Before the first comes the last.
    assert dialog.get_by_role("heading").inner_text() == "Title 6"
    assert dialog.get_by_text("<6>").is_visible()
    dialog.get_by_role("button", name="Next").click()
    assert dialog.get_by_role("heading").inner_text() == "Title 0"
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    # Where one was in the pictures, one goes on.
    at = "document.activeElement?.getAttribute('aria-label')"
    page.wait_for_function(f"{at} === 'Open large: Title 0'")


def test_a_report_without_scripts_shows_all(report: Path, look: Open) -> None:
    page = look(report, java_script_enabled=False)
    assert page.locator("#results-by-record tbody tr").count() == N_RECORDS
    assert page.locator("figure img").count() == len(GROUPS)
    assert page.locator("button").count() == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_a_report_fits_the_window_in_the_dark(report: Path, look: Open, width: int) -> None:
    page = look(report, width=width, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    contents = page.get_by_role("navigation", name="Contents").bounding_box()
    table = page.locator("#measures").bounding_box()
    assert contents is not None and table is not None
    # Beside the text where there is room, else above it.
    assert (contents["x"] + contents["width"] <= table["x"]) == (width == 1280)
    assert (contents["y"] + contents["height"] <= table["y"]) == (width == 390)
    style = "element => getComputedStyle(element).backgroundColor"
    assert page.locator(".mat").first.evaluate(style) == "rgb(255, 255, 255)"
    assert page.locator("body").evaluate(style) == "rgb(19, 20, 22)"
    # A strip shows its middle, where its beat is.
    scrolled = page.locator(".wide .mat").first.evaluate("m => [m.scrollLeft, m.scrollWidth]")
    assert (scrolled[0] > 0) == (width == 390)


def test_records_take_turns_and_no_strip_shows_the_same_again() -> None:
    records = np.array(["b", "b", "a", "b", "c", "b", "a"])
    times = np.array([50.0, 54.0, 50.0, 70.0, 1.0, 80.0, 55.0])
    assert in_turns(records, times, 9).tolist() == [0, 2, 4, 3, 6, 5]
    assert in_turns(records, times, 2).tolist() == [0, 2]
    assert in_turns(records[:0], times[:0], 2).tolist() == []


def source_of(folder: Path) -> RecordSource:
    source = Wfdb(WfdbConfig.model_validate({"filter": {"band": None}}), folder)
    source.find()
    return source


def read_again(
    save: Save, change: Callable[[Path], None] = lambda folder: None
) -> tuple[Beats, Mistakes]:
    """Judge two records, of which beat 20 was missed in both and the last normal one falsely called
    in the second, and read these places again, after the records were changed.
    """
    save("r1")
    folder = save("r2")
    source = source_of(folder)
    sha256 = {name: files.sha256(path) for name, path in source.files.items()}
    test = Beats.concatenate([part.beats for part in source.read(jobs=1)])
    assert test.labels is not None and test.records is not None
    scores = test.labels + 0.0
    of_second = np.flatnonzero(test.records == "r2")
    anomalous = [rows[test.labels[rows] == 1][3] for rows in (of_second - of_second[0], of_second)]
    scores[anomalous] = 0.25, 0.2
    scores[of_second[test.labels[of_second] == 0][-1]] = 0.9
    change(folder)
    return test, read_mistakes(source, test, scores, 0.5, sha256, 4)


def test_strips_of_the_worst_are_read_again(save: Save) -> None:
    test, found = read_again(save)
    assert found.counts == {MISSES: (2, 2), FALSE_ALARMS: (1, 1)}
    assert found.lost == {}
    told = [(of.group, of.number, of.record, of.symbol, of.score) for of in found.worst]
    assert told == [
        (MISSES, 1, "r2", "V", 0.2),
        (MISSES, 2, "r1", "V", 0.25),
        (FALSE_ALARMS, 1, "r2", "N", 0.9),
    ]
    for mistake in found.worst:
        strip = mistake.strip
        assert strip is not None and test.samples is not None
        assert (strip.record, strip.sampling_rate, len(strip.ecg)) == (mistake.record, RATE, 2000)
        # The R peak is where the strip has it.
        at = mistake.sample - round(strip.start * RATE)
        assert mistake.time == mistake.sample / RATE
        assert abs(strip.ecg[at]) == pytest.approx(1, abs=0.05)
    # In the middle, or as near as the record allows.
    first, _, last = (of.strip for of in found.worst)
    assert first is not None and last is not None
    assert first.start == pytest.approx(found.worst[0].time - 5)
    assert last.start + 10 == pytest.approx(41 * 0.8)


def test_changed_and_missing_records_are_told_and_never_shown(save: Save) -> None:
    def change(folder: Path) -> None:
        content = bytearray((folder / "r1.dat").read_bytes())
        content[0] ^= 1
        (folder / "r1.dat").write_bytes(content)
        (folder / "r2.hea").unlink()

    _, found = read_again(save, change)
    assert [of.strip for of in found.worst] == [None] * 3
    text = render(metrics_of(), TRAINING, [], found)
    misses, alarms = re.findall(r'<section id="worst-.*?</section>', text, re.DOTALL)
    assert "record r2, whose files in data.raw_dir are missing or damaged" in misses
    assert "record r1, whose files in data.raw_dir have changed since its beats were cut" in misses
    assert "record r2" in alarms and "record r1" not in alarms
    assert "taking turns" not in text


def test_paper_is_of_25_mm_a_second_and_10_mm_a_millivolt() -> None:
    ecg = np.linspace(-0.7, 1.2, 1001, dtype=np.float32)
    strip = Strip("r", "II", 3.0, 100.0, 200.0, "mV", ecg)
    beats = Beats(
        np.zeros((3, 1, 4), np.float32),
        np.array(["N", "V", "rare"]),
        np.array([0, 1, 1], np.int8),
        np.arange(3),
        records=np.array(["r"] * 3),
        samples=np.array([800, 1600, 2400]),
    )
    classes = Classes({"N": 1, "V": 1, "rare": 1}, frozenset("N"), {})
    figure = paper.paper_strip(strip, beats, np.array([0, 1, 0]), classes, 1600, 0.123456)
    (axis,) = figure.axes
    box = axis.get_position()
    width, height = figure.get_size_inches() * 25.4
    low, high = axis.get_ylim()
    assert (low, high) == (-1.0, 1.5)
    assert box.width * width == pytest.approx(250)
    assert box.height * height == pytest.approx((high - low) * 10)
    words = {text.get_text(): text.get_position()[0] for text in axis.texts}
    assert {name: words[name] for name in ("N", "V", "•")} == {"N": 4, "V": 8, "•": 12}
    assert [word for word in words if ":" in word] == [f"0:00:{n:02}" for n in (4, 6, 8, 10, 12)]
    assert {"score 0.1235", "II   25 mm/s   10 mm/mV"} <= set(words)
    (shaded,) = axis.patches
    assert shaded.get_extents().transformed(axis.transData.inverted()).x0 == pytest.approx(7.8)
    # What an artefact does is cut off.
    ecg[500] = 99
    (axis,) = paper.paper_strip(strip, beats, np.zeros(3), classes, 1600, 1).axes
    assert np.ptp(axis.get_ylim()) <= 9


def test_times_are_hours_minutes_and_seconds() -> None:
    assert [paper.clock(s) for s in (0, 59.6, 3599.4, 90061)] == [
        "0:00:00",
        "0:01:00",
        "0:59:59",
        "25:01:01",
    ]
