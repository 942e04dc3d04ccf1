"""The page of a recording: what it holds, and, in a real browser, what it draws and does."""

import base64
import csv
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import wfdb

from ecgad.detection import drawing, recording_page
from ecgad.detection.archive import load, own_detector
from ecgad.detection.findings import Findings
from ecgad.detection.whole import Wanted, detect
from ecgad.recordings.find import found_at
from ecgad.recordings.open import open_recording
from ecgad.recordings.reader import Reader
from tests.conftest import Open
from tests.helpers import RATE, Save, easy_recording

if TYPE_CHECKING:
    from playwright.sync_api import Page

RECORD, SECONDS = "208", 180.0
Made = tuple[Findings, Reader, str]


def judged(path: Path, stop: float | None = None) -> Made:
    """Judge a recording, and make its page."""
    detector, about = load(own_detector())
    (found,) = found_at(path, tables=False)
    reader = open_recording(found, None, None)
    findings = detect(detector, reader, Wanted(stop=stop))
    summary = {**findings.summary(), "detector": about, "made_by": {}}
    pieces = recording_page.recording_page(findings, reader, summary, findings.reasons())
    return findings, reader, "".join(pieces)


@pytest.fixture(scope="module")
def made(mitdb: Path) -> Made:
    return judged(mitdb / RECORD, SECONDS)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str], Path]:
    def save(text: str) -> Path:
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        return path

    return save


@pytest.fixture
def show(look: Open) -> Open:
    """Open a page, and wait until all of it is drawn."""

    def opened(path: Path, **options: Any) -> "Page":
        page = look(path, **options)
        page.wait_for_selector("html[data-ready=yes]")
        return page

    return opened


def held(text: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The data of a page, and the ECG of each piece in mV, (n_leads, n_samples)."""
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])  # type: ignore[index]
    blob = re.search(r'id="ecg">(.*?)</script>', text)[1]  # type: ignore[index]
    planes = np.frombuffer(zlib.decompress(base64.b64decode(blob)), np.uint8).reshape(2, -1)
    codes = planes[0] + (planes[1].astype(int) << 8)
    differences = (codes >> 1) ^ -(codes & 1)
    pieces, at = [], 0
    for _, length in data["ecg"]["pieces"]:
        size = len(data["leads"]) * length
        values = np.cumsum(differences[at : at + size].reshape(-1, length), axis=1)
        values = ((values + 2**15) % 2**16 - 2**15).astype(float)
        pieces.append(np.where(values == -(2**15), np.nan, values * data["ecg"]["step"]))
        at += size
    assert at == len(differences)
    return data, pieces


def steps(leads: np.ndarray) -> Any:
    """From sample to sample of leads, (n_leads, n_samples), as near as steps of voltage allow.

    Leads are drawn less an offset.
    """
    return pytest.approx(np.diff(leads, axis=1), abs=0.0051, nan_ok=True)


def test_a_page_holds_the_ecg_and_what_was_found(made: Made, mitdb: Path) -> None:
    findings, _, text = made
    assert "://" not in text
    data, (ecg,) = held(text)
    record = wfdb.rdrecord(str(mitdb / RECORD), sampto=round(SECONDS * 360))
    assert data["leads"] == ["MLII", "V1"]
    assert np.diff(ecg) == steps(record.p_signal.T)
    assert np.abs(np.median(ecg, axis=1)).max() < 0.5

    beats, events = data["beats"], data["events"]
    assert beats["at"] == pytest.approx(findings.seconds, abs=5e-4)
    assert beats["verdict"] == findings.beats.verdicts.tolist()
    assert [data["reasons"][index] for index in beats["reason"]] == findings.reasons()
    spans = [
        (findings.seconds[a], findings.seconds[b - 1], b - a, findings.beats.scores[a:b].max())
        for a, b in findings.events()
    ]
    spans.sort(key=lambda span: -span[3])
    columns = zip(events["first"], events["last"], events["beats"], events["score"], strict=True)
    assert np.array(list(columns)) == pytest.approx(np.array(spans), abs=6e-3)

    course, minute = data["course"], findings.seconds // 60
    assert course["step"] == 10 and len(course["judged"]) == 18
    first = findings.seconds < 10
    assert course["anomalous"][0] == 6 * (findings.beats.verdicts[first] == 1).sum()
    assert course["score"][0] == pytest.approx(np.nanmedian(findings.beats.scores[first]), rel=1e-3)
    rr = findings.beats.rr[first]
    assert course["heart_rate"][0] == pytest.approx(60 / np.nanmean(rr), abs=0.1)
    assert minute.max() == 2

    # The usual beat: the middle of normal ones, each less its own median.
    normal = findings.beats.samples[findings.beats.verdicts == 0]
    normal = normal[(normal >= 108) & (normal + 144 <= round(SECONDS * 360))]
    windows = np.stack([record.p_signal[at - 108 : at + 144, 0] for at in normal])
    windows -= np.median(windows, axis=1, keepdims=True)
    assert len(normal) <= drawing.N_USUAL
    assert data["usual"]["beats"] == len(normal)
    assert data["usual"]["middle"][0] == pytest.approx(np.median(windows, axis=0), abs=0.01)


def test_a_long_recording_has_strips_of_its_most_anomalous_events(
    mitdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "CONTINUOUS", 60.0)
    monkeypatch.setattr(recording_page, "LARGEST", 200_000)
    monkeypatch.setattr(recording_page, "BESIDE", 80_000)
    monkeypatch.setattr(recording_page, "MOST_EVENTS", 200)
    findings, _, text = judged(mitdb / RECORD, 600.0)
    assert 120_000 < len(text) <= 200_000
    data, pieces = held(text)
    assert not data["continuous"]
    assert len(data["events"]["first"]) == 200 < data["events"]["all"] == len(findings.events())
    with_strip = [
        any(
            start <= peak - 0.2 and peak + 0.2 <= start + length / data["ecg"]["rate"]
            for start, length in data["ecg"]["pieces"]
        )
        for peak in data["events"]["peak"]
    ]
    n_drawn = with_strip.index(False)
    assert 5 < n_drawn < 100
    record = wfdb.rdrecord(str(mitdb / RECORD), sampto=600 * 360).p_signal.T
    for (start, length), piece in zip(data["ecg"]["pieces"], pieces, strict=True):
        first = round(start * 360)
        drawn = record[:, first : first + length]
        assert np.diff(piece) == steps(drawn)
    within = [
        any(start <= at < start + length / 360 for start, length in data["ecg"]["pieces"])
        for at in findings.seconds
    ]
    assert data["beats"]["at"] == pytest.approx(findings.seconds[within], abs=5e-4)


def test_a_page_that_is_large_without_strips_is_made(
    mitdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a recording of weeks with more gaps than a page may hold, say."""
    monkeypatch.setattr(drawing, "CONTINUOUS", 60.0)
    monkeypatch.setattr(recording_page, "LARGEST", 20_000)
    monkeypatch.setattr(recording_page, "BESIDE", 1000)
    data, pieces = held(judged(mitdb / RECORD, 90.0)[2])
    assert pieces == [] and data["events"]["all"] > 0


def test_missing_samples_high_rates_and_no_beats(save: Save) -> None:
    ecg, _, _ = easy_recording()
    ecg = np.repeat(ecg, 5)
    ecg[3000:4000] = np.nan
    _, _, text = judged(save("gap", ecg, rate=5 * RATE) / "gap")
    data, (drawn,) = held(text)
    assert data["ecg"]["rate"] == 250
    assert np.isnan(drawn[0, 750:1000]).all() and not np.isnan(drawn[0, 1000:]).any()
    means = ecg[: len(drawn[0]) * 4].reshape(-1, 4).mean(axis=1)
    assert np.diff(drawn) == steps(means[None])
    # An offset of the electrodes is not drawn.
    _, _, moved = judged(save("moved", ecg + 250.0, rate=5 * RATE) / "moved")
    assert np.diff(held(moved)[1][0]) == steps(means[None])

    findings, _, text = judged(save("flat", np.zeros(round(60 * RATE))) / "flat")
    data, _ = held(text)
    assert len(findings.beats) == 0
    assert data["usual"] is None and data["events"]["all"] == 0


def points(page: "Page", selector: str) -> np.ndarray:
    """The points of a drawn path, (n, 2)."""
    path = page.locator(selector).first.get_attribute("d")
    assert path is not None
    return np.array([pair.split() for pair in re.split("[ML]", path)[1:]], float)


def course_box(page: "Page") -> dict[str, float]:
    """Where the course of the recording is on the screen."""
    page.locator(".course").scroll_into_view_if_needed()
    box = page.locator(".course").bounding_box()
    assert box is not None
    return dict(box)  # type: ignore[arg-type]


def test_strips_are_drawn_to_scale_with_their_verdicts(
    made: Made, saved: Callable[[str], Path], show: Open, mitdb: Path
) -> None:
    findings, _, text = made
    page = show(saved(text))
    card = page.locator(".events > li").first
    data, (ecg,) = held(text)
    start = min(max(data["events"]["centre"][0] - 5, 0), SECONDS - 10)
    svg = card.locator("svg.ecg").first
    assert svg.get_attribute("width") == "250mm"
    # Ten seconds are 250 mm, a millivolt is 10 mm.
    drawn = points(page, ".events > li .trace")
    first, last = round(start * 360), round((start + 10) * 360)
    values = ecg[0, first:last]
    assert drawn[-1, 0] == pytest.approx(250, abs=0.2)
    height = np.ptp(drawn[:, 1])
    assert height == pytest.approx(10 * np.ptp(values), abs=0.1)
    peak = drawn[drawn[:, 1].argmin(), 0]
    assert peak == pytest.approx(25 * values.argmax() / 360, abs=0.2)

    within = (findings.seconds >= start) & (findings.seconds < start + 10)
    verdicts = findings.beats.verdicts[within]
    assert card.locator(".mark").count() == within.sum()
    assert card.locator(".mark.anomalous").count() == (verdicts == 1).sum()
    assert card.locator(".overlay .usual").count() == 1
    card.locator("summary").click()
    card.locator("tbody tr").first.wait_for()
    cells = card.locator("tbody td:nth-child(4)").all_inner_texts()
    words = {1: "anomalous", 0: "normal", -1: "not judged"}
    assert cells == [words[verdict] for verdict in verdicts.tolist()]
    assert f"{within.sum()} beats" in (svg.get_attribute("aria-label") or "")


def test_events_are_ordered_filtered_and_stepped_through(
    made: Made, saved: Callable[[str], Path], show: Open
) -> None:
    _, _, text = made
    page = show(saved(text))
    data, _ = held(text)
    events = data["events"]
    items = page.locator(".events > li")
    ranks = "items => items.map(item => Number(item.dataset.rank))"
    assert items.evaluate_all(ranks) == list(range(10))
    page.select_option("#order", "time")
    in_time = np.argsort(events["first"], kind="stable")[:10].tolist()
    assert items.evaluate_all(ranks) == in_time
    for kind in ("single", "couplet"):
        page.click(f"button[data-kind={kind}]")
    runs = [rank for rank in np.argsort(events["first"]).tolist() if events["beats"][rank] > 2]
    assert items.evaluate_all(ranks) == runs[:10]
    page.click("button[data-kind=single]")
    page.select_option("#order", "score")

    # Keys go on beyond what is shown at first.
    for _ in range(12):
        page.keyboard.press("n")
    page.keyboard.press("p")
    focused = page.evaluate("Number(document.activeElement.dataset.rank)")
    of_kinds = [rank for rank, n in enumerate(events["beats"]) if n != 2]
    assert focused == of_kinds[10]
    assert items.count() == 20

    # A range of the course holds the events of that time alone.
    box = course_box(page)
    y = box["y"] + 100
    page.mouse.move(box["x"] + 0.5 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], y)
    page.mouse.up()
    from_, to = page.evaluate(
        "document.querySelector('#events [role=status]').textContent.match(/\\d:\\d\\d:\\d\\d/g)"
    )
    assert (from_[:4], to[:4]) == ("0:01", "0:02")
    n_before = items.count()
    page.click("text=Whole recording")
    assert items.count() == 10 >= n_before
    assert page.locator(".course .selection").get_attribute("width") == "0"


def test_in_a_long_recording_one_goes_to_events(
    mitdb: Path, monkeypatch: pytest.MonkeyPatch, saved: Callable[[str], Path], show: Open
) -> None:
    monkeypatch.setattr(drawing, "CONTINUOUS", 60.0)
    monkeypatch.setattr(recording_page, "LARGEST", 300_000)
    monkeypatch.setattr(recording_page, "BESIDE", 80_000)
    _, _, text = judged(mitdb / RECORD, 600.0)
    data, pieces = held(text)
    page = show(saved(text))
    items = page.locator(".events > li")
    box = course_box(page)
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 60)
    # Those after that moment, and not all before it.
    assert items.count() <= 30
    rank = page.evaluate("Number(document.activeElement.dataset.rank)")
    moment = 600 * (0.8 * box["width"] - 46) / (box["width"] - 46)
    away = np.abs(np.array(data["events"]["first"]) - moment)
    assert away[rank] < away.min() + 3
    assert "in time" in page.locator("#events [role=status]").inner_text()
    page.keyboard.press("n")
    later = page.evaluate("Number(document.activeElement.dataset.rank)")
    assert data["events"]["first"][later] > data["events"]["first"][rank]
    page.click("text=Show those before")

    # A strip is there whole, or not at all.
    page.select_option("#order", "score")
    for _ in range(12):
        page.click("#events > button >> text=more")
    drawn = items.evaluate_all(
        "items => items.map(i => [Number(i.dataset.rank), i.querySelectorAll('.trace').length])"
    )
    ends = [
        (start, start + len(piece[0]) / data["ecg"]["rate"])
        for (start, _), piece in zip(data["ecg"]["pieces"], pieces, strict=True)
    ]
    for rank, n_leads in drawn:
        start = min(max(data["events"]["centre"][rank] - 5, 0), 590)
        whole = any(a - 0.01 <= start and start + 10 <= b + 0.01 for a, b in ends)
        assert n_leads == (2 if whole else 0)
    assert 20 < sum(n_leads > 0 for _, n_leads in drawn) < len(drawn)


def test_a_range_is_left_again(made: Made, saved: Callable[[str], Path], show: Open) -> None:
    page = show(saved(made[2]))
    selection = page.locator(".course .selection")
    n_all = page.locator("#events [role=status]").inner_text()
    box = course_box(page)
    y = box["y"] + 100

    def drag(*shares: float) -> None:
        page.mouse.move(box["x"] + shares[0] * box["width"], y)
        page.mouse.down()
        for share in shares[1:]:
            page.mouse.move(box["x"] + share * box["width"], y)
        page.mouse.up()

    # Out and back is a click.
    drag(0.3, 0.5, 0.3)
    assert selection.get_attribute("width") == "0"
    box = course_box(page)
    y = box["y"] + 100
    drag(0.3, 0.5)
    assert float(selection.get_attribute("width") or 0) > 100
    assert page.locator("#events [role=status]").inner_text() != n_all
    page.locator(".course").focus()
    page.keyboard.press("Escape")
    assert page.locator("#events [role=status]").inner_text() == n_all
    assert selection.get_attribute("width") == "0"


def test_the_ecg_is_scrolled_and_zoomed(
    made: Made, saved: Callable[[str], Path], show: Open
) -> None:
    findings, _, text = made
    page = show(saved(text))
    data, _ = held(text)
    viewer = page.locator(".viewer")

    def seen() -> tuple[float, float]:
        label = viewer.locator("svg").get_attribute("aria-label") or ""
        h1, m1, s1, h2, m2, s2 = map(
            float, re.findall(r"(\d+):(\d+):([\d.]+) to (\d+):(\d+):([\d.]+)", label)[0]
        )
        return 3600 * h1 + 60 * m1 + s1, 3600 * h2 + 60 * m2 + s2

    from_, to = seen()
    assert from_ == 0
    # 25 mm/s as a browser measures millimetres.
    width = viewer.evaluate("node => node.clientWidth")
    assert to - from_ == pytest.approx(width / (25 * 96 / 25.4), abs=0.11)
    in_view = findings.seconds < to
    assert viewer.locator(".mark").count() == pytest.approx(in_view.sum(), abs=1)

    viewer.focus()
    page.keyboard.press("End")
    assert seen()[1] == pytest.approx(SECONDS, abs=0.11)
    page.keyboard.press("-")
    assert seen()[1] - seen()[0] == pytest.approx(20, abs=0.11)
    while seen()[1] - seen()[0] < SECONDS - 1:
        page.keyboard.press("-")
    # All of it, in as many points as there are pixels to see them.
    drawn = points(page, ".viewer .trace")
    assert width <= len(drawn) <= 5 * width
    anomalous = (findings.beats.verdicts == 1).sum()
    assert viewer.locator(".mark").count() == anomalous
    page.get_by_role("button", name="Paper speed").click()

    page.locator(".events button:has-text('Show in the ECG')").nth(1).click()
    middle = data["events"]["centre"][1]
    from_, to = seen()
    assert from_ <= middle <= to
    # A click on the course goes there.
    box = course_box(page)
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 60)
    from_, to = seen()
    left = 46
    moment = SECONDS * (0.6 * box["width"] - left) / (box["width"] - left)
    assert (from_ + to) / 2 == pytest.approx(moment, abs=0.5)


def test_pages_are_read_on_a_phone_in_the_dark_and_on_paper(
    made: Made, saved: Callable[[str], Path], show: Open
) -> None:
    _, _, text = made
    path = saved(text)
    page = show(path, width=390, color_scheme="dark", has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    colour = "getComputedStyle(document.body).backgroundColor"
    assert sum(map(int, re.findall(r"\d+", page.evaluate(colour)))) < 150
    page.emulate_media(media="print")
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    assert not page.locator(".controls").first.is_visible()
    # Millimetres are true on paper: nothing is wider than a page of A4, which would be shrunk.
    page.set_viewport_size({"width": round((297 - 2 * 5) / 25.4 * 96), "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    strip = page.locator(".events > li svg").first.bounding_box()
    assert strip is not None
    assert strip["width"] == pytest.approx(250 / 25.4 * 96, abs=1)


def test_what_a_recording_is_called_does_nothing(
    save: Save, saved: Callable[[str], Path], show: Open
) -> None:
    ecg, _, _ = easy_recording()
    lead = "II</script><script>alert(1)</script>"
    folder = save("r1", ecg, leads=(lead,))
    page = show(saved(judged(folder / "r1")[2]))
    # The policy alone would stop it; nothing of it became an element either.
    assert page.locator("script:not([type])").count() == len(recording_page.SCRIPTS) + 1
    assert lead in page.locator("header p").inner_text()


def test_the_command_writes_the_page(
    save: Save, tmp_path: Path, script: Callable[..., Any]
) -> None:
    save("a")
    outcome = script(
        "ecgad/__main__.py", "detect", tmp_path / "raw" / "a", "-o", tmp_path / "out", "--json"
    )
    assert outcome.code == 0, outcome.stderr
    (summary,) = json.loads(outcome.stdout)["recordings"]
    assert "a.html" in summary["files"]
    data, _ = held((tmp_path / "out" / "a.html").read_text(encoding="utf-8"))
    with (tmp_path / "out" / "a.events.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == data["events"]["all"]
