"""Records to beats: windows, classes, RR intervals, units; and records that are not as they say."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecgad.config.segmentation import FilterConfig
from ecgad.data.beats import Beats, Part
from ecgad.data.sources import ptbdb as ptb
from ecgad.data.sources.wfdb import WfdbConfig, patient_of
from ecgad.errors import ConfigError, FileError
from ecgad.processing.filtering import (
    fill_gaps,
    filter_leads,
    flat_samples,
    resample,
    resampling_ratio,
)
from ecgad.processing.rr_intervals import rr_features, rr_intervals
from ecgad.processing.template import templates
from ecgad.recordings.beat_classes import CLASS_MAPS
from ecgad.recordings.wfdb import read_annotations, read_header, read_leads, record_names
from tests.conftest import REPOSITORY
from tests.helpers import EARLY, PERIOD, RATE, Save, easy_recording, parts_of, set_options

PLAIN = {"filter": {"band": None}, "normalisation": "none"}


def part_of(folder: Path, name: str = "r1", **settings: object) -> Part:
    (part,) = parts_of("wfdb", folder, **{**PLAIN, "records": [name], **settings})
    return part


def beats_of(folder: Path, name: str = "r1", **settings: object) -> Beats:
    return part_of(folder, name, **settings).beats


def test_a_beat_is_the_window_around_its_annotation(save: Save) -> None:
    ecg, samples, symbols = easy_recording()
    window = {"unit": "samples", "before": 30, "after": 50}
    beats = beats_of(save(), window=window)
    assert beats.waveforms.shape == (40, 1, 80)
    for beat, sample in zip(beats.waveforms[:, 0], samples, strict=True):
        np.testing.assert_allclose(beat, ecg[sample - 30 : sample + 50], atol=1e-3)
    assert beats.samples is not None and beats.samples.tolist() == samples.tolist()
    assert beats.symbols.tolist() == symbols
    assert beats.labels is not None
    assert beats.labels.tolist() == [symbol == "V" for symbol in symbols]
    assert beats.rr is not None
    assert beats.rr[4].tolist() == pytest.approx([(PERIOD - EARLY) / RATE, (PERIOD + EARLY) / RATE])
    assert np.isnan(beats.rr[0, 0]) and np.isnan(beats.rr[-1, 1])
    milliseconds = {"unit": "ms", "before": 150, "after": 250}
    np.testing.assert_array_equal(beats_of(save(), window=milliseconds).waveforms, beats.waveforms)


def test_what_cannot_be_cut_is_counted(save: Save) -> None:
    ecg, samples, symbols = easy_recording()
    ecg[samples[10] + 5] = np.nan
    ecg[samples[20] - 40 : samples[20] + 55] = 0
    folder = save(
        ecg=ecg,
        samples=np.sort([*samples, samples[3] + 30, samples[4] + 30]),
        symbols=[*symbols[:4], "+", symbols[4], "~", *symbols[5:]],
    )
    window = {"unit": "ms", "before": 150, "after": 1200}
    part = part_of(folder, window=window, anomalous=["S"])
    assert part.left_out == {
        "annotation of no beat": 2,
        "second annotation of a beat": 0,
        "beat at the record's end": 0,
        "window beyond the record": 1,
        "window with missing samples": 2,  # the beat before reaches into the gap as well
        "flat window": 0,
        "beat of a class that is left out": 6,
    }
    assert len(part.beats) + 1 + 2 + 6 == len(samples)
    short = part_of(folder, window={**window, "after": 250}, anomalous=["S"])
    assert short.left_out["flat window"] == 1


def test_normalisation_takes_the_amplitude_away(save: Save) -> None:
    ecg, _, _ = easy_recording()
    save("weak", ecg=ecg * 0.3)
    folder = save("strong", ecg=ecg * 2.5 + 1)
    for name in ("weak", "strong"):
        by_beat = beats_of(folder, name, normalisation="beat").waveforms
        np.testing.assert_allclose(by_beat.min(axis=2), 0, atol=1e-6)
        np.testing.assert_allclose(by_beat.max(axis=2), 1, atol=1e-6)
    options = {"normalisation": "record", "filter": {"band": [0.5, 40]}}
    weak, strong = (beats_of(folder, name, **options).waveforms for name in ("weak", "strong"))
    np.testing.assert_allclose(weak, strong, atol=0.01)
    assert np.median(np.ptp(weak, axis=2)) == pytest.approx(1, abs=1e-6)


def test_heartbeat_form_spans_1_2_median_rr_and_is_padded(save: Save) -> None:
    beats = beats_of(save(), form="heartbeat", leads=["II"])
    assert beats.waveforms.shape[1:] == (1, 187)
    assert beats.lengths is not None
    # The median RR interval is 0.8 s: 1.2 of it are 120 samples at 125 Hz.
    assert np.median(beats.lengths) == 120
    for beat, length in zip(beats.waveforms[:, 0], beats.lengths, strict=True):
        assert (beat[:length].min(), beat[:length].max()) == (0, 1)
        assert not beat[length:].any()
    normal = beats.waveforms[beats.labels == 0, 0]
    assert (normal[:, 0] > 0.98).all()


def test_timing_features_are_those_of_the_definition() -> None:
    samples = np.cumsum(np.random.default_rng(0).integers(150, 400, 50))
    rr = rr_intervals(samples, 360)
    names = ["rr_previous_ratio", "rr_next_ratio", "rr_previous"]
    ratio, following, seconds = rr_features(rr, names).T
    logarithms = rr_features(rr, [f"log_{name}" for name in names]).T
    np.testing.assert_allclose(np.exp(logarithms), [ratio, following, seconds], rtol=1e-5)
    intervals = np.diff(samples) / 360
    for beat in range(6, 44):
        # The interval before each of eleven beats around this one.
        median = np.median(intervals[beat - 6 : beat + 5])
        assert ratio[beat] == pytest.approx(intervals[beat - 1] / median, rel=1e-5)
        assert following[beat] == pytest.approx(intervals[beat] / median, rel=1e-5)
        assert seconds[beat] == pytest.approx(intervals[beat - 1], rel=1e-5)
    assert np.isfinite(rr_features(rr_intervals(samples[:1], 360), ["rr_previous"])).all()
    assert rr_intervals(samples[:0], 360).shape == (0, 2)


@pytest.mark.parametrize("template", ["added", "difference"])
def test_a_template_is_the_median_beat_around(save: Save, template: str) -> None:
    plain = beats_of(save(), leads=["II"])
    beats = beats_of(save(), leads=["II"], template=template)
    assert beats.waveforms.shape[1] == 2 and "template" in beats.format.leads[1]
    np.testing.assert_array_equal(beats.waveforms[:, :1], plain.waveforms)
    # So short a record has one template, and four fifths of its beats are alike.
    median = np.median(plain.waveforms[:, 0], axis=0)
    expected = plain.waveforms[:, 0] - median if template == "difference" else [median] * len(beats)
    np.testing.assert_allclose(beats.waveforms[:, 1], expected, atol=1e-6)
    with pytest.raises(ValueError, match="no template"):
        WfdbConfig.model_validate({"form": "heartbeat", "template": template})


def test_templates_follow_the_record() -> None:
    rng = np.random.default_rng(0)
    drift = np.linspace(0, 100, 1000, dtype=np.float32)[:, None, None]
    beats = drift + rng.normal(size=(1000, 2, 3)).astype(np.float32)
    found = templates(beats)
    for beat in (200, 517, 700):
        around = [np.median(beats[m - 50 : m + 51], axis=0) for m in range(beat - 24, beat + 25)]
        assert any(np.array_equal(found[beat], median) for median in around)


def test_timing_is_a_lead_of_one_value(save: Save) -> None:
    beats = beats_of(save(), timing=["rr_previous_ratio"], leads=["II"])
    assert beats.format.leads == ("II", "previous RR / running median")
    np.testing.assert_array_equal(np.ptp(beats.waveforms[:, 1], axis=1), 0)
    early = beats.waveforms[beats.labels == 1, 1, 0]
    assert (early < 0.8).all()


def test_filters_keep_time_and_remove_what_they_should() -> None:
    time = np.arange(0, 20, 1 / 360)
    wave = np.sin(2 * np.pi * 10 * time)
    drift, mains = 3 + np.sin(2 * np.pi * 0.1 * time), 0.5 * np.sin(2 * np.pi * 60 * time)
    config = FilterConfig(band=(0.5, 100), notch=60)
    kept = filter_leads((wave + drift + mains)[None], 360, config)[0]
    middle = slice(2000, -2000)
    np.testing.assert_allclose(kept[middle], wave[middle], atol=0.03)
    half = resample(wave[None], resampling_ratio(360, 125))[0]
    np.testing.assert_allclose(
        half[300:-300], np.sin(2 * np.pi * 10 * np.arange(len(half)) / 125)[300:-300], atol=0.02
    )
    filled, missing = fill_gaps(np.array([[1.0, np.nan, 3.0, 4.0]]))
    assert filled.tolist() == [[1, 2, 3, 4]]
    assert missing.tolist() == [False, True, False, False]


def test_flat_stretches_are_missing_samples(save: Save) -> None:
    lead = np.r_[np.arange(100.0), np.full(100, 7.0), np.full(99, 8.0), np.arange(50.0)]
    flat = flat_samples(lead[None], shortest=100)
    assert np.flatnonzero(flat).tolist() == list(range(100, 200))
    # A lead that is off for most of the record gives no beats there, whatever the filter leaves.
    ecg, samples, _ = easy_recording()
    noise = np.random.default_rng(0).normal(scale=0.01, size=len(ecg))
    ecg = np.where(np.arange(len(ecg)) < samples[30], 0, ecg + noise)
    for options in ({"filter": {"band": [0.5, 40]}}, {"form": "heartbeat"}):
        beats = beats_of(save(ecg=ecg), **options)
        assert beats.samples is not None
        assert (beats.samples > samples[29]).all()
        assert len(beats) >= 6


def test_beats_stay_in_place_where_rates_have_no_simple_ratio(save: Save) -> None:
    """Places are reckoned by the ratio of the resampling, or they drift along the recording."""
    rate, minutes = 250.05, 20
    samples = np.arange(1, minutes * 60) * 250
    ecg = np.zeros(minutes * 60 * 250)
    pulse = np.exp(-0.5 * (np.arange(-20, 21) / 4) ** 2)
    for sample in samples:
        ecg[sample - 20 : sample + 21] += pulse
    folder = save(ecg=ecg, rate=rate, samples=samples, symbols=["N"] * len(samples))
    beats = beats_of(folder, sampling_rate=125, window={"before": 200, "after": 200})
    assert set(beats.waveforms[:, 0].argmax(axis=1)) <= {24, 25, 26}


def test_leads_are_named_or_preferred(save: Save) -> None:
    save("a", leads=("V5", "MLII"))
    folder = save("b", leads=("V5", "V2"))
    parts = parts_of("wfdb", folder, **PLAIN, leads=[["MLII", "V5"], ["v5", "V2"]])
    assert [part.strip.lead for part in parts if part.strip] == ["MLII", "V5"]
    assert parts[0].beats.format.leads == ("MLII or V5", "v5 or V2")


def test_patients_are_known_by_folder_or_tape(save: Save) -> None:
    save("201", comments=("68 M 1960 2851 x1",))
    save("patient001/s1")
    folder = save("p10/p10014/x")
    header = read_header(folder, "201")
    assert [patient_of(read_header(folder, name)) for name in record_names(folder)] == [
        "201",
        "p10014",
        "patient001",
    ]
    assert header.comments == ("68 M 1960 2851 x1",)


# Bad input: what is done to the record r1, settings, and words of the error.


def cut_dat(folder: Path) -> None:
    path = folder / "r1.dat"
    path.write_bytes(path.read_bytes()[:5001])


def rename_dat(folder: Path) -> None:
    (folder / "r1.dat").rename(folder / "other.dat")


def remove_atr(folder: Path) -> None:
    (folder / "r1.atr").unlink()


def cut_atr(folder: Path) -> None:
    path = folder / "r1.atr"
    path.write_bytes(path.read_bytes()[:31])


def empty_atr(folder: Path) -> None:
    (folder / "r1.atr").write_bytes(b"")


def other_dat(folder: Path) -> None:
    path = folder / "r1.dat"
    path.write_bytes(bytes(reversed(path.read_bytes())))


def change_header(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "r1.hea"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def spoil_header(folder: Path) -> None:
    (folder / "r1.hea").write_text("r1 hello\n")


def remove_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "settings", "code", "words"),
    [
        (cut_dat, {}, 3, ["r1", "r1.dat", "cut short"]),
        (rename_dat, {}, 3, ["r1.hea names r1.dat, which is not there"]),
        (remove_atr, {}, 3, ["r1 has no annotations", "r1.atr"]),
        (cut_atr, {}, 3, ["r1.atr", "cut short"]),
        (empty_atr, {}, 3, ["r1.atr", "its end is missing"]),
        (other_dat, {}, 3, ["r1", "neither checksum nor first value"]),
        (change_header("/mV", "/µV"), {}, 3, ["r1.hea", "uV for µV"]),
        (change_header("/mV", "/NU"), {}, 3, ["lead II is in NU", "no voltage"]),
        (change_header(" 200 ", " 0 "), {}, 3, ["r1.hea", "0 Hz"]),
        (spoil_header, {}, 3, ["r1.hea is no WFDB header"]),
        (remove_all, {}, 3, ["no records in", "data.raw_dir"]),
        (nothing, {"data.wfdb.leads": ["MLII"]}, 3, ["r1 has no lead MLII", "only II"]),
        (nothing, {"data.wfdb.records": ["r7"]}, 3, ["no record r7"]),
        (nothing, {"data.wfdb.filter.band": [0.5, 120]}, 2, ["120 Hz", "200 Hz"]),
        (nothing, {"data.wfdb.filter.band": [40, 0.5]}, 2, ["40 Hz is not below 0.5 Hz"]),
        (nothing, {"data.wfdb.normal": ["X"]}, 2, ["data.wfdb.normal", "'X'"]),
        (nothing, {"data.wfdb.anomalous": ["N", "V"]}, 2, ["N is both"]),
        (nothing, {"data.wfdb.records": ["r1", "r1"]}, 2, ["named twice"]),
        (nothing, {"data.wfdb.records": ["../raw/r1"]}, 2, ["data.wfdb.records"]),
        (nothing, {"data.wfdb.window": {"after": 99000}}, 2, ["not one beat"]),
        (nothing, {"data.split.allow_patient_overlap": False}, 2, ["allow_patient_overlap"]),
    ],
)
def test_bad_records_are_refused(
    save: Save,
    fails: Callable[..., str],
    spoil: Callable[[Path], None],
    settings: dict[str, object],
    code: int,
    words: list[str],
) -> None:
    folder = save()
    spoil(folder)
    options = {"data.split.allow_patient_overlap": True, **settings}
    error = fails(code, "preprocess_data.py", *set_options(folder, options))
    for word in words:
        assert word in error
    assert not list(Path("data").rglob("*.npy"))


def test_a_beat_at_the_very_end_is_left_out_and_counted(save: Save) -> None:
    """Of the supraventricular database, some records have one there, or a sample past it."""
    ecg, samples, symbols = easy_recording()
    for past in (-1, 0, 1, round(RATE) - 1):
        folder = save(samples=np.r_[samples, len(ecg) + past], symbols=[*symbols, "N"])
        part = part_of(folder, window={"unit": "samples", "before": 30, "after": 50})
        assert part.beats.samples is not None
        assert part.beats.samples.tolist() == samples.tolist()
        assert part.left_out["beat at the record's end"] == (past >= 0)
        assert part.left_out["window beyond the record"] == (past < 0)
    folder = save(samples=np.r_[samples, len(ecg) + round(RATE)], symbols=[*symbols, "N"])
    with pytest.raises(FileError, match=r"does r1\.atr belong to it"):
        part_of(folder)


def test_notes_about_the_annotations_are_none_of_the_beats(save: Save) -> None:
    """Of those, wfdb.rdann never returns from one that defines nothing."""
    _, samples, symbols = easy_recording()
    folder = save()
    for notes, rate in ((["## by hand"], RATE), (["## time resolution: 1000"], 1000)):
        counted = np.rint(samples * (rate / RATE)).astype(int)
        wfdb.wrann(
            "r1",
            "atr",
            np.r_[np.zeros(len(notes), int), counted],
            ['"'] * len(notes) + symbols,
            aux_note=[*notes, *[""] * len(symbols)],
            write_dir=str(folder),
        )
        read = read_annotations(read_header(folder, "r1"), "atr")
        assert read.samples.tolist() == samples.tolist()
        assert read.symbols.tolist() == symbols
        assert not any(read.left_out.values())


def test_records_to_skip_are_not_read(save: Save, fails: Callable[..., str]) -> None:
    for name in ("r1", "r2", "r3"):
        save(name)
    folder = save("r4")
    (folder / "r2.atr").write_bytes(b"\xff\xff\xff")
    overlap: dict[str, object] = {"data.split.allow_patient_overlap": True}
    error = fails(3, "preprocess_data.py", *set_options(folder, overlap))
    assert "r2.atr" in error
    assert "skip_records: [r2]" in error
    parts = parts_of("wfdb", folder, **PLAIN, skip_records=["r2", "r4"])
    records = [part.beats.records[0] for part in parts if part.beats.records is not None]
    assert records == ["r1", "r3"]
    with pytest.raises(ConfigError, match="there is no record r22; the nearest are r2"):
        parts_of("wfdb", folder, skip_records=["r22"])
    with pytest.raises(ConfigError, match="no record is left"):
        parts_of("wfdb", folder, records=["r1"], skip_records=["r1"])


def pipe(suffix: str) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        (folder / f"r1{suffix}").unlink()
        os.mkfifo(folder / f"r1{suffix}")

    return replace


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "r1.hea").write_text("r1 2 360 14400\n"), "describes 0"),
        (change_header("r1.dat", "../r1.dat"), "no WFDB header"),
        (change_header("r1.dat", "/etc/passwd"), "no WFDB header"),
        (change_header("r1.dat 16", "r1.dat 77"), "format 77"),
        (change_header(" 6560", " 99999999999"), "does not hold the 99999999999 samples"),
        (pipe(".hea"), "no file that a header"),
        (pipe(".dat"), "r1.dat, which is not there"),
        (pipe(".atr"), "r1.atr is not there"),
    ],
)
def test_a_header_is_believed_only_as_far_as_its_files_go(
    save: Save, spoil: Callable[[Path], None], words: str
) -> None:
    folder = save()
    spoil(folder)
    with pytest.raises(FileError, match=re.escape(words)):
        parts_of("wfdb", folder, **PLAIN)


def test_a_folder_of_another_database_is_not_filled(
    svdb: Path, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecgad.data.download.http.download", pytest.fail)
    config = REPOSITORY / "configs" / "mitdb_inter_patient.yaml"
    error = fails(3, "preprocess_data.py", "-c", config, "--set", f"data.raw_dir={svdb}")
    for word in ("holds 39 records of something else", "data.wfdb.database: null", "mitdb"):
        assert word in error


def test_rates_that_no_filter_bridges_are_refused() -> None:
    for rate, wanted in ((100_000, 20), (1, 250)):
        with pytest.raises(ConfigError, match=f"at {rate} Hz cannot be resampled to {wanted} Hz"):
            resampling_ratio(rate, wanted)
    assert resampling_ratio(360, 125) == pytest.approx(125 / 360)


def test_records_that_do_not_go_together_are_refused(save: Save, fails: Callable[..., str]) -> None:
    ecg, samples, symbols = easy_recording()
    overlap: dict[str, object] = {"data.split.allow_patient_overlap": True}
    folder = save("beyond", samples=np.r_[samples, 10**6], symbols=[*symbols, "N"])
    error = fails(3, "preprocess_data.py", *set_options(folder, overlap))
    assert "an annotation at sample 1000000 lies beyond" in error
    save("beyond", ecg=0 * ecg)
    error = fails(3, "preprocess_data.py", *set_options(folder, overlap))
    assert "record beyond: lead II is flat at 0 mV" in error
    wfdb.wrsamp(
        "beyond",
        fs=RATE,
        units=["mV"],
        sig_name=["II"],
        d_signal=np.full((len(ecg), 1), -(2**15)),  # the value that stands for a missing sample
        fmt=["16"],
        adc_gain=[200],
        baseline=[0],
        write_dir=str(folder),
    )
    error = fails(3, "preprocess_data.py", *set_options(folder, overlap))
    assert "record beyond: lead II is without a valid sample" in error
    save("beyond")
    save("other", rate=250)
    error = fails(2, "preprocess_data.py", *set_options(folder, overlap))
    assert "beyond with 200 Hz" in error and "other with 250 Hz" in error
    for lists, words in (
        ({"train": ["beyond"], "validation": ["other"], "test": ["beyond"]}, "listed twice"),
        ({"train": ["beyond"], "validation": ["other"], "test": ["third"]}, "no record third"),
    ):
        split = {"data.split": {"method": "records", "records": lists}}
        code = 2 if words == "listed twice" else 3
        assert words in fails(code, "preprocess_data.py", *set_options(folder, split))


def test_all_stages_run_on_records_split_by_patient(
    save: Save, stages: Callable[..., None], fails: Callable[..., str]
) -> None:
    for number in range(8):
        folder = save(f"patient{number}/x{number}")
    fast = {"training.epochs": 2, "evaluation.bootstrap": 20, "data.split.method": "patients"}
    fast |= {"figures.dpi": 40, "figures.examples": 2}
    names = ["preprocess_data.py", "train_model.py", "evaluate_model.py", "visualize_results.py"]
    stages(names, *set_options(folder, {**fast, "data.wfdb.timing": ["rr_previous_ratio"]}))
    (run,) = Path("runs").iterdir()
    metrics = json.loads((run / "metrics.json").read_text())
    by_record = metrics["test"]["by_record"]
    assert by_record and all(entry["n_anomalous"] == 8 for entry in by_record.values())
    assert metrics["test"]["interval_over"] == "patients"
    assert metrics["patients_in_training_and_test"] == []
    with (run / "scores.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    samples = np.load(f"data/processed/{run.name}/samples_test.npy")
    assert [int(row["sample"]) for row in rows] == samples.tolist()
    assert float(rows[3]["seconds"]) == pytest.approx(samples[3] / RATE, abs=1e-4)
    assert {row["class"] for row in rows} == {"N", "V"}
    assert all((row["class"] == "V") == (row["label"] == "anomalous") for row in rows)
    # Timing tells these early beats without any network.
    assert metrics["baselines"]["rr_interval"]["auroc"] == 1
    assert metrics["class_map"] == "aami"
    drawn = {path.stem for path in (run / "figures").glob("*.png")}
    assert drawn >= {"strips", "results_by_record", "classes_by_record", "rr_distributions"}
    # Where beats were missed or falsely called, the records are read again.
    (_, n_false), (n_missed, _) = metrics["test"]["confusion_matrix"]
    for name, n in (("strip_false_alarm_1", n_false), ("strip_missed_1", n_missed)):
        assert (name in drawn) == (n > 0)
    assert n_false + n_missed
    (processed,) = Path("data", "processed").iterdir()
    patients = [
        set(np.load(processed / f"patients_{split}.npy"))
        for split in ("train", "validation", "test")
    ]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 8

    # A record that turns out bad in the middle leaves what is there as it was.
    before = {path: path.read_bytes() for path in processed.iterdir()}
    content = (folder / "patient4" / "x4.dat").read_bytes()
    (folder / "patient4" / "x4.dat").write_bytes(content[:5001])
    options = [*set_options(folder, {**fast, "data.wfdb.timing": []}), "--overwrite"]
    assert "cut short" in fails(3, "preprocess_data.py", *options)
    assert {path: path.read_bytes() for path in processed.iterdir()} == before


def test_ptbdb_takes_class_and_patient_from_header(
    save: Save, mitdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = read_header(mitdb, "100")
    ecg = read_leads(header, [0])[0, : 360 * 60]
    reason = "Reason for admission: "
    folder = save("a", ecg, 360, ("ii",), comments=("age: 50", f"{reason}Healthy control"))
    save("b", ecg, 360, ("ii",), comments=("age: 50", "ECG date: x", f"{reason}Healthy control"))
    save("c", ecg, 360, ("ii",), comments=("age: 50", f"{reason}Myocardial infarction"))
    save("d", ecg, 360, ("ii",), comments=("age: 50", f"{reason}n/a"))
    headers = [read_header(folder, name) for name in "abcd"]
    source = ptb.Ptbdb(ptb.PtbdbConfig(), folder, names=[*"abcd"])
    monkeypatch.setattr(ptb.Ptbdb, "database", None)
    source.find()
    parts = list(source.read())
    beats = Beats.concatenate([part.beats for part in parts])
    assert source.left_out["record of a diagnosis that is left out"] == 1
    assert beats.class_counts.keys() == {"Healthy control", "Myocardial infarction"}
    assert beats.labels is not None and beats.records is not None
    np.testing.assert_array_equal(beats.labels, beats.records == "c")
    assert ptb.patient_of(headers[0]) == ptb.patient_of(headers[1])
    assert ptb.patient_of(headers[0]) != ptb.patient_of(headers[2])
    annotated = read_annotations(header, "atr").samples
    annotated = annotated[annotated < 360 * 60]
    found = parts[0].beats.samples
    assert found is not None
    assert (np.abs(annotated[:, None] - found).min(axis=0) < 0.05 * 360).all()
    assert len(found) >= len(annotated) - 3


def test_real_ptb_records_give_beats_of_their_diagnosis(ptbdb: Path) -> None:
    folder = ptbdb / "records"
    parts = parts_of("ptbdb", folder)
    beats = Beats.concatenate([part.beats for part in parts])
    # 38.4 s and twice 115.2 s of one patient.
    assert len(parts) == 3
    assert beats.class_counts == {"Myocardial infarction": len(beats)}
    assert beats.patients is not None and len(set(beats.patients)) == 1
    assert beats.rr is not None
    rates = 60 / np.nanmedian(beats.rr[:, 0])
    assert 60 < rates < 110
    assert len(beats) == pytest.approx(268.8 * rates / 60, rel=0.05)
    # From the QRS complex of lead ii on, which points down in this infarction.
    first = np.abs(
        beats.waveforms[:, 0, :6] - np.median(beats.waveforms[:, 0, 6:60], axis=1)[:, None]
    )
    assert np.mean(first.argmax(axis=1) <= 1) > 0.95


def test_mitdb_has_the_beats_of_its_annotation_files(mitdb: Path) -> None:
    """The published number of beats; the counts of each symbol are those of a second reading."""
    headers = [read_header(mitdb, name) for name in record_names(mitdb)]
    assert len(headers) == 48
    symbols: Counter[str] = Counter()
    plain: Counter[str] = Counter()
    for header in headers:
        annotations = read_annotations(header, "atr")
        symbols.update(annotations.symbols.tolist())
        plain.update(symbols_of_bytes((mitdb / f"{header.name}.atr").read_bytes()))
    assert symbols.total() == 109_494
    assert symbols["N"] == 75_052
    assert symbols == {symbol: plain[symbol] for symbol in symbols}
    classes: Counter[str] = Counter()
    for symbol, n in symbols.items():
        classes[CLASS_MAPS["ml_literature"][symbol]] += n
    assert classes == {"N": 90_631, "S": 2_781, "V": 7_236, "F": 803, "Q": 8_043}


def symbols_of_bytes(content: bytes) -> Counter[str]:
    """Annotation symbols of an MIT annotation file: pairs of bytes, the code in the top six bits.

    Codes 59 to 63 are no annotations: they skip time, or carry text of as many bytes as they say.
    """
    known = {
        **dict(zip(range(1, 14), "NLRaVFJASEj/Q", strict=True)),
        **{30: "?", 31: "!", 34: "e", 35: "n", 38: "f", 41: "r", 25: "B"},
    }
    found: Counter[str] = Counter()
    place = 0
    while place + 1 < len(content):
        word = int.from_bytes(content[place : place + 2], "little")
        code, value = word >> 10, word & 0x3FF
        place += 2
        if word == 0:
            break
        if code == 59:
            place += 4
        elif code == 63:
            place += value + value % 2
        elif code < 59 and code in known:
            found[known[code]] += 1
    return found
