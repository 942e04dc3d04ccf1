"""From a record's file to its beats, by what physics and arithmetic say of known waveforms."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecgad.config.segmentation import FilterConfig, SegmentationConfig
from ecgad.data.sources.wfdb import patient_of
from ecgad.errors import FileError
from ecgad.processing.filtering import filter_leads
from ecgad.processing.segmentation import segment
from ecgad.processing.template import templates
from ecgad.recordings.beat_classes import CLASS_MAPS, CLASSES
from ecgad.recordings.recording import Recording
from ecgad.recordings.wfdb import (
    files_of,
    read_annotations,
    read_header,
    read_leads,
    read_recording,
    record_names,
)
from tests.helpers import RATE, Save, easy_recording, parts_of

SECOND = 360


def gain(frequency: float, config: FilterConfig) -> float:
    """By how much the middle of a minute of a sine is larger after the filter."""
    wave = np.sin(2 * np.pi * frequency * np.arange(60 * SECOND) / SECOND)
    middle = slice(20 * SECOND, 40 * SECOND)
    filtered = filter_leads(wave[None], SECOND, config)[0]
    return float(filtered[middle].std() / wave[middle].std())


@pytest.mark.parametrize("frequency", [0.3, 0.5, 2.0, 25.0, 40.0, 60.0, 100.0])
def test_the_band_pass_has_the_gain_of_a_second_order_butterworth_forth_and_back(
    frequency: float,
) -> None:
    """Twice the textbook's 1 / sqrt(1 + x ** 2n), on the axis that the bilinear transform bends."""
    low, high, at = (np.tan(np.pi * f / SECOND) for f in (0.5, 40.0, frequency))
    apart = (at**2 - low * high) / ((high - low) * at)
    expected = 1 / (1 + apart**4)
    assert gain(frequency, FilterConfig(band=(0.5, 40.0))) == pytest.approx(expected, abs=0.002)


def test_the_notch_is_two_hertz_wide() -> None:
    """At half the amplitude, forth and back: a thirtieth of 60 Hz. Mains goes, the rest stays."""
    config = FilterConfig(band=None, notch=60.0)
    assert gain(60.0, config) < 0.001
    assert gain(59.0, config) == pytest.approx(0.5, abs=0.01)
    assert gain(61.0, config) == pytest.approx(0.5, abs=0.01)
    assert gain(20.0, config) == pytest.approx(1, abs=0.005)


def written(
    folder: Path, name: str, unit: str, values: np.ndarray, leads: tuple[str, ...] = ("II",)
) -> Path:
    """A record with these values, (n_leads, n_samples), in its own unit."""
    folder.mkdir(exist_ok=True)
    wfdb.wrsamp(
        name,
        fs=RATE,
        units=[unit] * len(leads),
        sig_name=list(leads),
        p_signal=values.T.copy(),
        fmt=["16"] * len(leads),
        write_dir=str(folder),
    )
    return folder


@pytest.mark.parametrize(("unit", "of_one_mv"), [("uV", 1000.0), ("mV", 1.0), ("V", 0.001)])
def test_a_record_is_in_millivolts_whatever_its_unit(
    tmp_path: Path, unit: str, of_one_mv: float
) -> None:
    ecg = easy_recording()[0]
    folder = written(tmp_path, "r", unit, ecg[None] * of_one_mv)
    found = read_leads(read_header(folder, "r"), [0])[0]
    # To the steps of 16 bits over its range.
    np.testing.assert_allclose(found, ecg, atol=2 * np.ptp(ecg) / 2**16)


def test_leads_come_in_the_order_asked_for(tmp_path: Path) -> None:
    ecg = easy_recording()[0]
    leads = np.stack([ecg, 2 * ecg, -ecg])
    folder = written(tmp_path, "r", "mV", leads, ("I", "II", "V1"))
    header = read_header(folder, "r")
    everything = read_recording(header)
    assert everything.lead_names == ("I", "II", "V1")
    assert everything.annotations is None
    asked = read_recording(header, ["V1", ["aVF", "I"]])
    assert asked.lead_names == ("V1", "I")
    np.testing.assert_array_equal(asked.leads, everything.leads[[2, 0]])
    # A lead is taken once, the next one that is wanted after that.
    assert read_recording(header, ["I", ["I", "II"]]).lead_names == ("I", "II")
    with pytest.raises(FileError, match=r"no lead I, only I, II, V1"):
        read_recording(header, ["I", "I"])


def recording_of(ecg: np.ndarray, rate: float = RATE) -> Recording:
    return Recording("r", ecg[None], ("II",), rate)


PLAIN = {"filter": {"band": None}, "normalisation": "none"}
WINDOW = {"window": {"unit": "samples", "before": 20, "after": 30}}


def settings_of(**settings: object) -> SegmentationConfig:
    return SegmentationConfig.model_validate({**PLAIN, **WINDOW, **settings})


def test_a_beat_at_the_very_edge_is_cut_and_one_beyond_it_is_not() -> None:
    ecg = np.sin(np.arange(1000) / 9)
    found = segment(recording_of(ecg), np.array([19, 20, 500, 970, 971]), settings_of())
    assert found.kept.tolist() == [False, True, True, True, False]
    assert found.left_out["window beyond the record"] == 2
    np.testing.assert_allclose(found.waveforms[0, 0], ecg[:50], rtol=1e-6)
    np.testing.assert_allclose(found.waveforms[-1, 0], ecg[-50:], rtol=1e-6)


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_timing_is_weighted_and_the_ecg_is_not(weight: float) -> None:
    ecg, peaks, _ = easy_recording()
    settings = settings_of(timing=["rr_previous"], timing_weight=weight)
    found = segment(recording_of(ecg), peaks, settings)
    np.testing.assert_allclose(found.waveforms[1:, 1, 0], weight * np.diff(peaks) / RATE)
    np.testing.assert_allclose(found.waveforms[3, 0], ecg[peaks[3] - 20 : peaks[3] + 30], rtol=1e-5)


def test_a_template_is_the_median_of_101_beats_of_the_neighbourhood() -> None:
    """By brute force, of a record that drifts by 1 a beat: the middle of 101 is the 51st."""
    beats = np.arange(1000, dtype=np.float32)[:, None, None] + np.zeros((1, 2, 3), np.float32)
    found = templates(beats)[:, 0, 0]
    # A new one is made every 25 beats, for those that lie 12 to either side of its middle.
    middles = (np.arange(1000) // 25) * 25 + 12
    np.testing.assert_array_equal(found, np.clip(middles, 50, 949))
    # A record that has no more beats has one template.
    np.testing.assert_array_equal(templates(beats[:30])[:, 0, 0], 14.5)


def test_what_is_known_of_a_beat_stays_with_it_when_others_are_left_out(save: Save) -> None:
    ecg, samples, _ = easy_recording()
    symbols = [*"NLRVAQ/+"] * 5
    ecg[samples[9] - 3] = np.nan
    truth = dict(zip(samples.tolist(), symbols, strict=True))
    window = {"unit": "samples", "before": 30, "after": 50}
    (part,) = parts_of("wfdb", save(symbols=symbols, ecg=ecg), **PLAIN, window=window)
    beats = part.beats
    assert beats.samples is not None and beats.annotations is not None
    # Of N, L and R, of V and of A; less the beat that has a gap. Q and / are of a class left out.
    assert len(beats) == 5 * 5 - 1
    kept = [truth[sample] for sample in beats.samples.tolist()]
    assert beats.annotations.tolist() == kept
    classes = {"N": "N", "L": "N", "R": "N", "V": "V", "A": "S"}
    assert beats.symbols.tolist() == [classes[symbol] for symbol in kept]
    assert beats.labels is not None
    assert beats.labels.tolist() == [symbol in "VA" for symbol in kept]
    assert beats.times is not None and beats.rr is not None
    np.testing.assert_allclose(beats.times, beats.samples / RATE)
    for sample, waveform, (before, _) in zip(
        beats.samples.tolist(), beats.waveforms[:, 0], beats.rr, strict=True
    ):
        np.testing.assert_allclose(waveform, ecg[sample - 30 : sample + 50], atol=1e-3)
        earlier = [other for other, symbol in truth.items() if other < sample and symbol != "+"]
        if earlier:
            assert before == pytest.approx((sample - max(earlier)) / RATE)


def test_both_records_of_the_tape_are_of_one_patient(save: Save) -> None:
    """201 and 202 of MIT-BIH, as their headers say; another tape is another patient."""
    for name in ("201", "202"):
        save(name, comments=("68 M 1960 2851 x1",))
    folder = save("203", comments=("43 M 1910 4271 x1",))
    patients = {name: patient_of(read_header(folder, name)) for name in record_names(folder)}
    assert patients == {"201": "201", "202": "201", "203": "203"}


def test_annotations_are_in_time_and_each_beat_counts_once(save: Save) -> None:
    """The second annotation of a beat at the same sample, and what is no beat, are counted.

    Of two at one sample, the first in the file is taken.
    """
    twice = np.repeat(np.arange(100, 4100, 40), 2)
    folder = save("r2", samples=twice, symbols=[*"NV"] * 100)
    found = read_annotations(read_header(folder, "r2"), "atr")
    assert set(found.symbols) == {"N"} and found.left_out["second annotation of a beat"] == 100
    folder = save("r2", samples=np.array([100, 101, 102]), symbols=[*"NVN"])
    found = read_annotations(read_header(folder, "r2"), "atr")
    assert found.samples.tolist() == [100, 101, 102]
    samples = np.array([100, 300, 300, 500, 700])
    folder = save(samples=samples, symbols=[*"NVN+A"])
    found = read_annotations(read_header(folder, "r1"), "atr")
    assert found.samples.tolist() == [100, 300, 700]
    assert found.symbols.tolist() == [*"NVA"]
    counted = {"annotation of no beat": 1, "second annotation of a beat": 1}
    assert {reason: n for reason, n in found.left_out.items() if n} == counted


def test_the_files_of_a_record_are_all_that_it_is_made_of(save: Save) -> None:
    folder = save("deep/r1")
    header = read_header(folder, "deep/r1")
    names = [str(path.relative_to(folder)) for path in files_of(header, "atr")]
    assert names == ["deep/r1.hea", "deep/r1.dat", "deep/r1.atr"]
    assert [path.name for path in files_of(header)] == ["r1.hea", "r1.dat"]
    (folder / "deep" / "r1.dat").unlink()
    with pytest.raises(FileError, match=r"names r1.dat, which is not there"):
        read_leads(header, [0])


def test_records_are_found_below_links_and_once_where_these_lead_in_a_circle(save: Save) -> None:
    folder = save("b/r2")
    save("r1")
    elsewhere = folder.parent / "elsewhere"
    (folder / "b").rename(elsewhere)
    (folder / "link").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    for hidden in (".r3.hea", ".trash/r4.hea"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_bytes((folder / "r1.hea").read_bytes())
    assert record_names(folder) == ["link/r2", "r1"]


@pytest.mark.parametrize(
    ("wrong", "readable"), [((), True), ((6,), True), ((5,), True), ((5, 6), False)]
)
def test_checksum_and_first_value_are_both_wrong_in_a_record_of_another_signal(
    save: Save, wrong: tuple[int, ...], readable: bool
) -> None:
    """Headers are sloppy: one of the two (fields 5 and 6 of a signal's line) proves nothing."""
    folder = save()
    first, line, *rest = (folder / "r1.hea").read_text().splitlines()
    fields = line.split()
    for field in wrong:
        fields[field] = str(int(fields[field]) + 32)
    (folder / "r1.hea").write_text("\n".join([first, " ".join(fields), *rest, ""]))
    header = read_header(folder, "r1")
    if readable:
        assert read_leads(header, [0]).shape == (1, header.n_samples)
        return
    with pytest.raises(FileError, match="neither checksum nor first value"):
        read_leads(header, [0])


def header_of(folder: Path, text: str) -> Path:
    (folder / "h.hea").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("first_line", "words"),
    [
        ("h 1 0.99 1000", "a sampling rate of 0.99 Hz cannot be right"),
        ("h 1 1 1000", ""),
        ("h 1 100000 100000", ""),
        ("h 1 100001 100001", "a sampling rate of 100001 Hz cannot be right"),
        ("h 1 360 359", "is shorter than a second"),
        ("h 1 360 360", ""),
        ("h 0 360 1000", "signals of known length in one segment"),
        ("h 2 360 1000", "promises 2 signals and describes 1"),
    ],
)
def test_a_header_is_of_an_ecg_of_a_second_or_longer(
    tmp_path: Path, first_line: str, words: str
) -> None:
    folder = header_of(tmp_path, f"{first_line}\nh.dat 16 200/mV 16 0 5 6 0 II\n")
    if words:
        with pytest.raises(FileError, match=words):
            read_header(folder, "h")
        return
    header = read_header(folder, "h")
    _, _, rate, n_samples = first_line.split()
    assert (header.sampling_rate, header.n_samples) == (float(rate), int(n_samples))
    assert (header.leads, header.units, header.comments) == (("II",), ("mV",), ())
    assert header.start is None


def test_what_a_header_leaves_out_is_what_the_standard_says(tmp_path: Path) -> None:
    """Millivolts where there is no unit; leads without a name are counted from 1."""
    lines = ["h 3 250 500 12:30:00 24/12/1999", "h.dat 212", "h.dat 212 200 12 0 0 0 0 V1"]
    folder = header_of(tmp_path, "\n".join([*lines, "g.dat 16 100/uV", "# a", "#b ", ""]))
    header = read_header(folder, "h")
    assert header.leads == ("lead 1", "V1", "lead 3")
    assert header.units == ("mV", "mV", "uV")
    assert header.comments == ("a", "b")
    assert header.start == datetime(1999, 12, 24, 12, 30)
    assert [file.name for file in header.files] == ["h.hea", "h.dat", "g.dat"]
    # Of format 212, two samples take three bytes; of 16, one takes two.
    assert header.least_bytes == (0, 2 * 500 * 3 // 2, 500 * 2)
    # Of three samples a frame, behind ten bytes of something else.
    (folder / "h.hea").write_text("h 1 250 500\nh.dat 16x3+10 200 16 0 0 0 0 II\n")
    assert read_header(folder, "h").least_bytes == (0, 10 + 500 * 3 * 2)
    for content, words in (
        ("h.dat 77", "format 77 cannot be read"),
        ("h.dat 16 200/\u00b5V", "uV"),
    ):
        (folder / "h.hea").write_text(f"h 1 250 500\n{content} II\n", encoding="utf-8")
        with pytest.raises(FileError, match=words):
            read_header(folder, "h")


@pytest.mark.parametrize(
    ("form", "n_bytes"),
    [("61", 1200), ("160", 1200), ("310", 800), ("311", 800), ("508", 0), ("516", 0), ("524", 0)],
)
def test_what_a_format_takes_is_known_before_the_signal_is_read(
    tmp_path: Path, form: str, n_bytes: int
) -> None:
    """600 samples; of what is compressed, nothing is known."""
    header_of(tmp_path, f"h 1 250 600\nh.dat {form} 200/mV 16 0 0 0 0 II\n")
    assert read_header(tmp_path, "h").least_bytes == (0, n_bytes)


@pytest.mark.parametrize("line", ["16x2 200/mV 16 0 77 88 0 II", "16 200/mV"])
def test_a_signal_of_which_the_header_says_little_is_read(tmp_path: Path, line: str) -> None:
    """Of frames of two samples there is the mean, which has another sum than the header's."""
    header_of(tmp_path, f"h 1 250 500\nh.dat {line}\n")
    stored = np.arange(1000 if "x2" in line else 500, dtype="<i2")
    stored.tofile(tmp_path / "h.dat")
    expected = stored.reshape(500, -1).mean(axis=1) / 200
    found = read_leads(read_header(tmp_path, "h"), [0])[0]
    np.testing.assert_allclose(found, expected, atol=0.0051)


@pytest.mark.parametrize(
    ("form", "bytes_a_sample"), [("16", 2), ("24", 3), ("32", 4), ("80", 1), ("212", 1.5)]
)
def test_a_signal_file_has_as_many_bytes_as_its_format_takes(
    tmp_path: Path, form: str, bytes_a_sample: float
) -> None:
    """Whatever the format, the header's reckoning is that of the library which writes the file."""
    ecg = easy_recording()[0][:1000]
    wfdb.wrsamp(
        "r",
        fs=RATE,
        units=["mV"] * 2,
        sig_name=["I", "II"],
        p_signal=np.stack([ecg, -ecg], 1),
        fmt=[form] * 2,
        write_dir=str(tmp_path),
    )
    header = read_header(tmp_path, "r")
    path = tmp_path / "r.dat"
    assert header.least_bytes == (0, path.stat().st_size) == (0, int(2 * 1000 * bytes_a_sample))
    np.testing.assert_allclose(read_leads(header, [1])[0], -ecg, atol=0.01)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileError, match=r"r.dat does not hold the 1000 samples"):
        read_leads(header, [0])


@pytest.mark.parametrize(("beyond", "refused"), [(0, False), (199, False), (200, True)])
def test_the_last_beat_may_lie_within_a_second_past_the_end(
    save: Save, beyond: int, refused: bool
) -> None:
    ecg = easy_recording()[0]
    folder = save(samples=np.array([100, len(ecg) - 1, len(ecg) + beyond]), symbols=[*"NVN"])
    header = read_header(folder, "r1")
    if refused:
        with pytest.raises(FileError, match=f"at sample {len(ecg) + beyond} lies beyond"):
            read_annotations(header, "atr")
        return
    found = read_annotations(header, "atr")
    assert found.samples.tolist() == [100, len(ecg) - 1]
    assert found.left_out["beat at the record's end"] == 1
    assert found.left_out["second annotation of a beat"] == 0


def test_annotations_of_another_clock_are_brought_to_the_records(save: Save) -> None:
    """Counted at 1000 Hz, of a record of 200 Hz, as the first note of the file says."""
    folder = save()
    wfdb.wrann(
        "r1",
        "qrs",
        np.array([0, 505, 1500]),
        ["N", "N", "V"],
        fs=1000,
        write_dir=str(folder),
    )
    note = np.array([0, 500, 1503])
    wfdb.wrann(
        "r1",
        "atr",
        note,
        ['"', "N", "V"],
        aux_note=["## time resolution: 1000", "", ""],
        write_dir=str(folder),
    )
    found = read_annotations(read_header(folder, "r1"), "atr")
    assert found.samples.tolist() == [100, 301]
    assert found.symbols.tolist() == ["N", "V"]
    assert found.left_out["annotation of no beat"] == 0
    assert read_annotations(read_header(folder, "r1"), "qrs").samples.tolist() == [0, 101, 300]


def test_a_lead_that_holds_nothing_or_what_no_heart_gives_is_named(tmp_path: Path) -> None:
    ecg = easy_recording()[0]
    leads = np.stack([ecg, ecg, 0.5 + 0 * ecg, 1.5e6 * ecg])
    folder = written(tmp_path, "r", "mV", leads, ("I", "II", "III", "V1"))
    stored = np.fromfile(folder / "r.dat", "<i2").reshape(-1, 4)
    stored[:, 1] = -(2**15)  # a sample is missing
    stored.tofile(folder / "r.dat")
    header = read_header(folder, "r")
    assert read_leads(header, [0]).shape == (1, len(ecg))
    for index, words in (
        (1, "lead II is without a valid sample"),
        (2, r"lead III is flat at 0\.\d+ mV"),
        (3, r"lead V1 reaches 1\.5.*e\+06 mV; mend the gain"),
    ):
        with pytest.raises(FileError, match=words):
            read_leads(header, [0, index])
    partly = np.where(np.arange(len(ecg)) < 100, np.nan, ecg)
    folder = written(tmp_path, "p", "mV", partly[None])
    found = read_leads(read_header(folder, "p"), [0])[0]
    assert np.isnan(found[:100]).all() and np.isfinite(found[100:]).all()


@pytest.mark.parametrize("group", ["NLRB", "ejn", "AaJS", "VrE", "F", "/fQ?"])
def test_classes_are_those_of_ec57(group: str) -> None:
    """Of the standard's table, and of de Chazal et al. 2004, who count escape beats as normal."""
    of = {"NLRB": "NN", "ejn": "SN", "AaJS": "SS", "VrE": "VV", "F": "FF", "/fQ?": "QQ"}[group]
    for symbol in group:
        assert CLASS_MAPS["aami"][symbol] + CLASS_MAPS["ml_literature"][symbol] == of
    assert len(CLASS_MAPS["aami"]) == len(CLASS_MAPS["ml_literature"]) == 19
    assert set(CLASS_MAPS["aami"].values()) == set(CLASSES)


def test_a_checksum_is_one_of_sixteen_bits(save: Save) -> None:
    folder = save()
    first, line, *rest = (folder / "r1.hea").read_text().splitlines()
    fields = line.split()
    fields[5], fields[6] = str(int(fields[5]) + 1), str(int(fields[6]) + 2**16)
    (folder / "r1.hea").write_text("\n".join([first, " ".join(fields), *rest, ""]))
    assert len(read_leads(read_header(folder, "r1"), [0])) == 1


def test_a_record_in_which_nobody_has_annotated_anything_has_no_beats(save: Save) -> None:
    folder = save()
    (folder / "r1.atr").write_bytes(b"\0\0")
    found = read_annotations(read_header(folder, "r1"), "atr")
    assert len(found.samples) == len(found.symbols) == 0 and not any(found.left_out.values())
