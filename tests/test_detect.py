"""`ecgad detect`: recordings in, annotations, tables and summaries out."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from ecgad.data.synthetic_record import write_record
from ecgad.detection.archive import own_detector
from ecgad.detection.detector import Detector
from ecgad.detection.findings import Findings
from ecgad.detection.live import JudgedBeats, LiveDetector
from ecgad.processing.evidence import EVIDENCE
from ecgad.recordings.annotations import annotation_bytes
from ecgad.recordings.lead_names import choose_ecg_leads, common_name, is_ecg
from tests.conftest import REPOSITORY, Call
from tests.helpers import RATE, Save, easy_recording

COMMAND = "ecgad/__main__.py"
COLUMNS = ["sample", "seconds", "clock", "rr", "score", "anomalous", "reason"]


@pytest.fixture
def detect(script: Call) -> Callable[..., Any]:
    """Run the command, which has to succeed, and return what it prints as JSON."""

    def run(*arguments: str | Path) -> Any:
        outcome = script(COMMAND, "detect", *arguments, "--json", "--quiet")
        assert outcome.code == 0, outcome.stderr
        return json.loads(outcome.stdout)

    return run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_record_becomes_annotations_tables_and_a_summary(
    mitdb: Path, tmp_path: Path, detect: Callable[..., Any]
) -> None:
    result = detect(mitdb / "119", "-o", tmp_path / "out", "--to", "5:00")
    (summary,) = result["recordings"]
    assert result["failed"] == []
    folder = tmp_path / "out"
    assert json.loads((folder / "119.json").read_text()) == summary
    beats = rows_of(folder / "119.beats.csv")
    assert list(beats[0])[:7] == COLUMNS
    assert len(beats) == summary["beats"] >= summary["judged"] >= summary["beats"] - 2
    anomalous = [row for row in beats if row["anomalous"] == "1"]
    assert len(anomalous) == summary["anomalous"]

    # Bigeminy: the premature ventricular beats of this record are wide and come early.
    known = wfdb.rdann(str(mitdb / "119"), "atr", sampto=300 * 360)
    ventricular = known.sample[np.array(known.symbol) == "V"]
    found = np.array([int(row["sample"]) for row in anomalous])
    near = np.abs(found[:, None] - ventricular).min(axis=1) < 54
    assert (~near).sum() <= 0.05 * len(beats)
    assert near.sum() >= 0.95 * len(ventricular)
    early = [row for row in anomalous if row["reason"].startswith("early by")]
    assert len(early) >= 0.5 * len(anomalous)

    written = wfdb.rdann(str(folder / "119"), "ecgad")
    assert written.sample.tolist() == [int(row["sample"]) for row in beats]
    symbols = ["Q" if row["anomalous"] == "1" else "N" for row in beats]
    assert written.symbol == symbols
    scores = [float(note) if note else np.nan for note in written.aux_note]
    of_table = [float(row["score"] or "nan") for row in beats]
    assert scores == pytest.approx(of_table, rel=1e-5, nan_ok=True)

    events = rows_of(folder / "119.events.csv")
    assert len(events) == summary["events"]["all"]
    assert sum(int(row["beats"]) for row in events) == summary["anomalous"]
    assert summary["heart_rate"]["lowest"] > 50
    assert summary["share_readable"] == 1
    assert "5.0% of the normal beats" in summary["detector"]["promise"]


def test_chunks_and_files_give_the_same(mitdb: Path, tmp_path: Path) -> None:
    record = wfdb.rdrecord(str(mitdb / "208"), sampto=360 * 60)
    leads = np.ascontiguousarray(record.p_signal.T)
    detector = Detector.load(own_detector())
    results = []
    for size in (1000, leads.shape[1]):
        live = LiveDetector(detector, 2, [0], 360.0)
        parts = [live.push(leads[:, i : i + size])[0] for i in range(0, leads.shape[1], size)]
        results.append(JudgedBeats.concatenate([*parts, live.finish()[0]]))
    assert np.array_equal(results[0].samples, results[1].samples)
    assert np.array_equal(results[0].verdicts, results[1].verdicts)
    assert results[0].scores == pytest.approx(results[1].scores, rel=1e-6, nan_ok=True)
    assert (results[0].verdicts == 1).sum() > 10


def test_what_is_done_is_skipped_and_what_is_others_is_kept(
    save: Save, tmp_path: Path, detect: Callable[..., Any], script: Call, fails: Callable[..., str]
) -> None:
    folder = save("a")
    save("b")
    out = tmp_path / "out"
    first = detect(folder, "-o", out)
    assert [of["recording"] for of in first["recordings"]] == ["a", "b"]
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert len(before) == 12
    again = script(COMMAND, "detect", folder, "-o", out)
    assert again.code == 0
    assert "2 of 2 recordings are done already" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert "--overwrite" in fails(4, COMMAND, "detect", folder, "-o", out, "--to", "10", "--quiet")
    detect(folder, "-o", out, "--to", "10", "--overwrite")
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()}.keys() == before.keys()
    # What was interrupted is done again.
    (out / "b.json").write_text(json.dumps({"unfinished": True, "made_by": {}}))
    (out / "b.events.csv").unlink()
    detect(folder / "b", "-o", out)
    assert (out / "b.events.csv").exists()
    # An annotation file of someone else is never replaced.
    (out / "a.json").unlink()
    (out / "a.ecgad").write_bytes(b"mine")
    for path in (out / "a.beats.csv", out / "a.events.csv"):
        path.unlink()
    assert "a.ecgad is there already" in fails(
        4, COMMAND, "detect", folder / "a", "-o", out, "--overwrite", "--quiet"
    )
    assert (out / "a.ecgad").read_bytes() == b"mine"


def test_a_broken_recording_does_not_stop_the_others(
    save: Save, tmp_path: Path, script: Call
) -> None:
    folder = save("a")
    for name in ("b", "c"):
        save(name)
    (folder / "b.dat").write_bytes((folder / "b.dat").read_bytes()[:1000])
    outcome = script(COMMAND, "detect", folder, "-o", tmp_path / "out", "--json")
    assert outcome.code == 3
    result = json.loads(outcome.stdout)
    assert [of["recording"] for of in result["recordings"]] == ["a", "c"]
    assert [of["recording"] for of in result["failed"]] == ["b"]
    assert "1 of 3 recordings failed" in outcome.stderr.splitlines()[-1]
    assert (tmp_path / "out" / "c.json").exists()


def test_a_name_that_is_wrong_does_not_stop_the_others_either(
    save: Save, tmp_path: Path, script: Call
) -> None:
    folder = save("a")
    outcome = script(COMMAND, "detect", folder / "x", folder / "a", "-o", tmp_path, "--json")
    assert outcome.code == 3
    result = json.loads(outcome.stdout)
    assert [of["recording"] for of in result["recordings"]] == ["a"]
    assert [of["recording"] for of in result["failed"]] == [str(folder / "x")]


def test_what_results_depend_on_is_noticed(
    save: Save, tmp_path: Path, detect: Callable[..., Any], script: Call
) -> None:
    folder = save("a", leads=("II", "V5"))
    call = (folder / "a", "-o", tmp_path, "--leads", "V5", "--annotator", "atr")
    (first,) = detect(*call)["recordings"]
    (again,) = detect(*call)["recordings"]
    assert again == first
    (tmp_path / "a.events.csv").unlink()
    detect(*call)
    assert (tmp_path / "a.events.csv").exists()
    wfdb.wrann("a", "atr", np.array([400, 800]), ["N", "N"], fs=RATE, write_dir=str(folder))
    assert script(COMMAND, "detect", *call).code == 4
    (tmp_path / "a.ecgad.edf").write_bytes(b"of an EDF file of the same name, earlier")
    known = json.loads((tmp_path / "a.json").read_text())
    (tmp_path.parent / "x.json").write_text("of somebody else")
    listed = ["a.ecgad.edf", "../x.json"]
    (tmp_path / "a.json").write_text(json.dumps({**known, "files": listed}))
    (third,) = detect(*call, "--overwrite")["recordings"]
    assert third["beats"] == 2
    assert not (tmp_path / "a.ecgad.edf").exists()
    assert (tmp_path.parent / "x.json").exists()


def test_annotated_beats_are_scored_as_in_an_evaluation(
    mitdb: Path, tmp_path: Path, detect: Callable[..., Any]
) -> None:
    from ecgad.data.sources.wfdb import WfdbConfig

    detector = Detector.load(own_detector())
    segmentation = detector.beat_format.segmentation
    assert segmentation is not None
    from tests.helpers import beats_of

    names = segmentation.model_dump()
    settings = {name: value for name, value in names.items() if name in WfdbConfig.model_fields}
    beats = beats_of(
        "wfdb", mitdb, **{**settings, "records": ["105"], "class_map": "ml_literature"}
    )
    expected = detector.scores(beats.waveforms)
    detect(mitdb / "105", "-o", tmp_path, "--annotator", "atr")
    rows = {int(row["sample"]): row for row in rows_of(tmp_path / "105.beats.csv")}
    assert beats.samples is not None
    of_beats = [rows[sample] for sample in beats.samples.tolist()]
    assert [float(row["score"]) for row in of_beats] == pytest.approx(expected, rel=1e-6)
    assert [int(row["anomalous"]) for row in of_beats] == detector.predict(beats.waveforms).tolist()


def test_edf_and_tables_are_read_and_clocks_told(
    tmp_path: Path, detect: Callable[..., Any]
) -> None:
    import edfio

    ecg, samples, _ = easy_recording(100)
    signal = edfio.EdfSignal(
        ecg[:16000] * 1000,
        RATE,
        label="ECG II",
        physical_dimension="uV",
        physical_range=(-3000, 3000),
    )
    start = datetime(2026, 3, 1, 23, 59, 30)
    edf = edfio.Edf(
        [signal], starttime=start.time(), recording=edfio.Recording(startdate=start.date())
    )
    edf.write(tmp_path / "night.edf")
    np.save(tmp_path / "table.npy", ecg[:16000])
    (of_edf,) = detect(tmp_path / "night.edf", "-o", tmp_path / "out")["recordings"]
    (of_table,) = detect(
        tmp_path / "table.npy", "--rate", "200", "--unit", "mV", "-o", tmp_path / "out"
    )["recordings"]
    assert of_edf["lead"] == "ECG II"
    assert of_edf["beats"] == of_table["beats"] >= 98
    rows = rows_of(tmp_path / "out" / "night.beats.csv")
    assert rows[0]["clock"] == f"2026-03-01T23:59:30.{int(samples[0]) * 5:03d}"
    assert rows[-1]["clock"].startswith("2026-03-02T00:00:")
    notes = edfio.read_edf(tmp_path / "out" / "night.ecgad.edf").annotations
    assert len(notes) == of_edf["anomalous"] + len(of_edf["unreadable"])
    assert wfdb.rdann(str(tmp_path / "out" / "table"), "ecgad").fs == 200
    # What was written is taken for no recording.
    (again,) = detect(tmp_path, "-o", tmp_path / "out")["recordings"]
    assert again == of_edf


@pytest.mark.parametrize(
    ("n_samples", "value"), [(100, 0.1), (4000, np.nan), (4000, 0.0)], ids=["short", "NaN", "flat"]
)
def test_no_beat_at_all_is_an_answer(
    tmp_path: Path, detect: Callable[..., Any], n_samples: int, value: float
) -> None:
    np.save(tmp_path / "x.npy", np.full(n_samples, value))
    (summary,) = detect(tmp_path / "x.npy", "--rate", "200", "--unit", "mV")["recordings"]
    assert summary["beats"] == summary["anomalous"] == 0
    assert summary["share_readable"] == 0
    assert summary["unreadable"] == [[0, n_samples / 200]]
    assert summary["heart_rate"]["median"] is None
    marks = wfdb.rdann(str(tmp_path / "x"), "ecgad")
    assert (marks.sample.tolist(), marks.symbol) == ([0, n_samples], ["~", "~"])
    assert marks.subtype.tolist() == [0x30, 0]


def test_the_recording_of_the_demo_is_judged(tmp_path: Path, detect: Callable[..., Any]) -> None:
    write_record(tmp_path / "demo" / "synthetic")
    (summary,) = detect(tmp_path / "demo" / "synthetic", "-o", tmp_path / "out")["recordings"]
    known = wfdb.rdann(str(tmp_path / "demo" / "synthetic"), "atr")
    assert summary["beats"] == pytest.approx(len(known.sample), abs=10)
    assert summary["share_readable"] == pytest.approx(0.95, abs=0.01)
    rows = rows_of(tmp_path / "out" / "synthetic.beats.csv")
    anomalous = np.array([int(row["sample"]) for row in rows if row["anomalous"] == "1"])
    apart = np.abs(anomalous[:, None] - known.sample[np.array(known.symbol) == "V"]).min(axis=1)
    assert len(anomalous) > 10
    assert (apart < 25).mean() > 0.9


def table(tmp_path: Path, *more: str) -> list[str | Path]:
    np.save(tmp_path / "x.npy", easy_recording(40)[0])
    return [tmp_path / "x.npy", *more]


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (3, lambda folder: [folder / "nothing"], "no recording"),
        (3, lambda folder: [folder], "no recordings in"),
        (2, table, "--rate HZ and --unit"),
        (3, lambda folder: table(folder, "--rate", "50", "--unit", "mV"), "100 Hz or more"),
        (2, lambda folder: table(folder, "--rate", "200", "--unit", "mV", "--from", "9:00"),
         "nothing there"),
        (2, lambda folder: table(folder, "--rate", "200", "--unit", "mV", "--to", "soon"), "H:M:S"),
        (2, lambda folder: table(folder, "--rate", "200", "--unit", "mV", "--to", "0"), "nothing"),
        (2, lambda folder: table(folder, "--rate", "200", "--unit", "mV", "--to", "9" * 400),
         "H:M:S"),
        (3, lambda folder: table(folder, "--rate", "200", "--unit", "mV", "--leads", "V9"),
         "no lead V9"),
        (2, lambda folder: table(folder, "--rate", "200", "--unit", "mV", "--leads", "I,II"),
         "1 leads"),
        (2, lambda folder: table(folder, "--rate", "200", "--unit", "mV", "--annotator", "atr"),
         "--annotator"),
        (3, lambda folder: table(folder, "--rate", "200", "--unit", "mV", "--detector", "x.onnx"),
         "no detector"),
        (2, lambda folder: table(folder, "--rate", "200", "--unit", "mV", "-o", folder / "x.npy"),
         "is a file"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_line(
    fails: Callable[..., str],
    tmp_path: Path,
    code: int,
    arguments: Callable[[Path], list[str | Path]],
    words: str,
) -> None:
    assert words in fails(code, COMMAND, "detect", *arguments(tmp_path))


def test_detect_needs_neither_torch_nor_scikit_learn_nor_matplotlib(
    save: Save, tmp_path: Path
) -> None:
    folder, blocked = save("a"), tmp_path / "blocked"
    for name in ("torch", "sklearn", "matplotlib", "scipy.signal"):
        path = blocked / name.replace(".", "/")
        path.mkdir(parents=True)
        (path / "__init__.py").write_text("raise ImportError('not here')\n")
    # scipy itself may be there.
    shutil.rmtree(blocked / "scipy")
    done = subprocess.run(
        [sys.executable, "-m", "ecgad", "detect", str(folder), "-o", str(tmp_path / "out")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{blocked}{os.pathsep}{REPOSITORY}"},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "a.json").exists()


def findings(verdicts: list[int], **known: Any) -> Findings:
    n_beats = len(verdicts)
    rr = np.full(n_beats, 0.8, np.float32)
    beats = JudgedBeats(
        samples=100 * (1 + np.arange(n_beats)),
        rr=known.pop("rr", rr),
        usual_rr=rr,
        scores=np.arange(n_beats, dtype=float),
        verdicts=np.array(verdicts, np.int8),
        shares=known.pop("shares", np.full((n_beats, 3), 1 / 3, np.float32)),
        evidence=known.pop("evidence", np.zeros((n_beats, 0), np.float32)),
        left_out=np.zeros(n_beats, np.int8),
    )
    return Findings("x", "II", 0, (0,), 125.0, 0, 100 * (n_beats + 2), None, beats,
                    known.pop("unreadable", []), (0.25, 0.5, 0.25))  # fmt: skip


def test_events_are_runs_of_anomalous_beats() -> None:
    made = findings([0, 1, 0, 1, 1, 0, 1, 1, 1, -1, 1])
    assert made.events() == [(1, 2), (3, 5), (6, 9), (10, 11)]
    counts = made.summary()["events"]
    assert (counts["single"], counts["couplet"], counts["run"]) == (2, 1, 1)
    # What cannot be read comes between.
    assert findings([1, 1, 1], unreadable=[(210, 290)]).events() == [(0, 2), (2, 3)]
    assert findings([]).events() == []


def test_reasons_say_how_early_and_where() -> None:
    rr = np.array([0.8, 0.56, 1.2, 0.8, np.nan], np.float32)
    shares = np.array(
        [[0.2, 0.6, 0.2], [0.2, 0.7, 0.1], [0.5, 0.3, 0.2], [0.1, 0.4, 0.5], [0.4, 0.4, 0.2]],
        np.float32,
    )
    made = findings([0, 1, 1, 1, 1], rr=rr, shares=shares)
    assert made.reasons() == [
        "", "early by 30%; QRS", "late by 50%; before QRS", "after QRS", "before QRS"
    ]  # fmt: skip
    # Where a beat looks as usual, and is early, its waveform is no reason; a pause may be one.
    evidence = np.zeros((5, len(EVIDENCE)), np.float32)
    names = list(EVIDENCE)
    evidence[[1, 3], names.index("pause_after")] = np.log(1.2)
    evidence[2, names.index("template_error_ratio")] = np.log(1.6)
    made = findings([0, 1, 1, 1, 1], rr=rr, shares=shares, evidence=evidence)
    assert made.reasons() == [
        "", "early by 30%; a pause follows", "late by 50%; before QRS", "a pause follows",
        "before QRS",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "common"),
    [("MLII", "ii"), ("Lead II", "ii"), ("ECG II-Ref", "ii"), ("ii", "ii"), ("ECG", "ecg"),
     ("ECG1", "ecg"), ("EKG 2", "ecg"), ("aVF", "avf"), ("V5", "v5"), ("ECG V1", "v1"),
     ("ECG I", "i"), ("EEG Fpz", "eegfpz"), ("RESP", "resp"), ("脈波", "脈波")],
)  # fmt: skip
def test_leads_have_one_name_whatever_files_call_them(name: str, common: str) -> None:
    assert common_name(name) == common
    assert is_ecg(name) == (common not in ("eegfpz", "resp", "脈波"))


def test_the_lead_that_is_meant_is_chosen() -> None:
    wanted = [("MLII", "II", "V5")]
    for there, index in (
        (["V1", "II", "MLII"], 2), (["V1", "ECG Lead II"], 1), (["V5", "V1"], 0),
        (["EEG", "ECG1", "ECG2"], 1), (["x", "y"], 0), (["III", "aVL"], 0),
    ):  # fmt: skip
        assert choose_ecg_leads("r", there, wanted, exactly=False) == [index]
    with pytest.raises(ValueError, match="has no lead V9, only II"):
        choose_ecg_leads("r", ["II"], [("V9",)], exactly=True)


def test_annotations_are_read_back_by_wfdb(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = np.cumsum(rng.integers(0, 3000, 500))
    samples[300:] += 10_000_000
    rows = [(int(s), "NQ~"[i % 3], 48 * (i % 3 == 2), "1.25"[: i % 5]) for i, s in
            enumerate(samples)]  # fmt: skip
    for channel, rate in ((0, None), (2, 250.0)):
        (tmp_path / "x.ecgad").write_bytes(b"".join(annotation_bytes(rows, channel, rate)))
        read = wfdb.rdann(str(tmp_path / "x"), "ecgad")
        found = zip(read.sample.tolist(), read.symbol, read.subtype.tolist(), read.aux_note,
                    strict=True)  # fmt: skip
        assert list(found) == rows
        assert set(read.chan) == {channel}
        assert read.fs == rate
    (tmp_path / "x.ecgad").write_bytes(b"".join(annotation_bytes([], 0)))
    assert not len(wfdb.rdann(str(tmp_path / "x"), "ecgad").sample)
