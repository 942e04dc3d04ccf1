"""Recordings on disk, a stretch at a time: records, EDF files, tables, and what is none."""

import datetime
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import time
from pathlib import Path

import edfio
import numpy as np
import pandas as pd
import pytest
import wfdb

from ecgad.errors import ConfigError, FileError
from ecgad.recordings import table_reader
from ecgad.recordings.find import find_recordings
from ecgad.recordings.open import open_recording
from ecgad.recordings.reader import Reader
from ecgad.recordings.wfdb import read_annotations, read_header, read_leads
from ecgad.recordings.wfdb_reader import WfdbReader

# Hz, of the tables.
RATE = 360.0


def opened(path: Path, rate: float | None = None, unit: str | None = None) -> Reader:
    (found,) = find_recordings([path], tables=rate is not None)
    return open_recording(found, rate, unit)


def whole(reader: Reader) -> np.ndarray:
    return reader.read(range(len(reader.lead_names)), 0, reader.n_samples)


def in_blocks(reader: Reader, size: int = 997, overlap: int = 0) -> np.ndarray:
    """Read all in blocks, each of which reaches back over a part of the one before."""
    parts = []
    for start in range(0, reader.n_samples, size):
        first, stop = max(0, start - overlap), min(start + size, reader.n_samples)
        block = reader.read(range(len(reader.lead_names)), first, stop)
        assert block.dtype == np.float64 and block.shape == (len(reader.lead_names), stop - first)
        parts.append(block[:, start - first :])
    return np.concatenate(parts, axis=1)


def real_ecg(mitdb: Path, record: str = "100", n_samples: int = 5040) -> np.ndarray:
    """Two leads of a real record, float64 (2, n_samples), in mV."""
    return wfdb.rdrecord(str(mitdb / record), sampto=n_samples).p_signal.T


def write_record(path: Path, ecg: np.ndarray, leads: list[str], units: list[str]) -> None:
    """Write leads, (n_leads, n_samples), in these units."""
    wfdb.wrsamp(
        path.name,
        fs=RATE,
        units=units,
        sig_name=leads,
        p_signal=ecg.T,
        fmt=["16"] * len(leads),
        adc_gain=[200.0 if unit == "mV" else 200_000.0 for unit in units],
        baseline=[0] * len(leads),
        write_dir=str(path.parent),
    )


def write_edf(path: Path, ecg: np.ndarray, **given: object) -> edfio.Edf:
    """Write two leads in mV, and one of them again as other signals."""
    first, second = ecg

    def signal(values: np.ndarray, label: str, unit: str, rate: float = RATE) -> edfio.EdfSignal:
        return edfio.EdfSignal(values, rate, label=label, physical_dimension=unit)

    edf = edfio.Edf(
        [
            signal(first, "ECG II ", "mV"),
            signal(second[::2], "thorax", "mV", RATE / 2),
            signal(second * 1000, "V5", "uV"),
            signal(first, "HR", "bpm"),
            signal(first / 1000, "EEG Fp1", "V"),
        ],
        **given,  # type: ignore[arg-type]
    )
    edf.write(path)
    return edf


@pytest.mark.parametrize("record", ["mitdb/100", "ptbdb/records/s0010_re", "svdb/800.dat"])
def test_a_real_record_is_what_wfdb_reads_in_blocks_as_whole(mitdb: Path, record: str) -> None:
    path = mitdb.parent / record
    reader = opened(path)
    stated = wfdb.rdrecord(str(path.with_suffix("")))
    assert reader.name == path.stem and reader.format == "WFDB"
    assert (reader.lead_names, reader.n_samples) == (tuple(stated.sig_name), stated.sig_len)
    assert reader.sampling_rate == stated.fs
    np.testing.assert_array_equal(whole(reader), stated.p_signal.T)
    np.testing.assert_array_equal(in_blocks(reader, 99_991), stated.p_signal.T)
    np.testing.assert_array_equal(reader.read([1, 0], 7, 9), stated.p_signal[7:9, [1, 0]].T)


def test_annotations_are_those_of_the_record(mitdb: Path) -> None:
    reader = opened(mitdb / "100.hea")
    assert isinstance(reader, WfdbReader)
    beats = read_annotations(read_header(mitdb, "100"), "atr")
    np.testing.assert_array_equal(reader.annotations("atr").samples, beats.samples)
    assert reader.annotations("atr").left_out == beats.left_out


def test_segments_are_read_as_one_record(mitdb: Path, tmp_path: Path) -> None:
    first, second = real_ecg(mitdb), real_ecg(mitdb, "101", 3000)
    write_record(tmp_path / "s_1", first, ["MLII", "V5"], ["mV", "mV"])
    # In another order and unit, and with a lead that the record does not have.
    write_record(tmp_path / "s_2", second[::-1] / 1000, ["V1", "MLII"], ["V", "V"])
    layout = "s_0 3 360 0\n~ 0 1/mV 0 0 0 0 0 MLII\n~ 0 1/mV 0 0 0 0 0 V5\n~ 0 1/NU 0 0 0 0 0 X\n"
    (tmp_path / "s_0.hea").write_text(layout)
    (tmp_path / "s.hea").write_text(
        "s/4 3 360 8140 10:00:00 01/02/2003\ns_0 0\ns_1 5040\n~ 100\ns_2 3000\n"
    )
    wfdb.wrann("s", "atr", np.array([100, 8000]), ["N", "V"], write_dir=str(tmp_path))
    (found,) = find_recordings([tmp_path], tables=False)
    reader = open_recording(found, None, None)
    assert (reader.name, reader.lead_names) == ("s", ("MLII", "V5"))
    assert reader.start == datetime.datetime(2003, 2, 1, 10)
    assert {file.name for file in reader.files} >= {"s.hea", "s_0.hea", "s_1.dat", "s_2.hea"}
    expected = np.full((2, 8140), np.nan)
    expected[:, :5040], expected[0, 5140:] = first, second[0]
    np.testing.assert_allclose(whole(reader), expected, atol=1e-12)
    np.testing.assert_array_equal(in_blocks(reader), whole(reader))
    assert isinstance(reader, WfdbReader)
    assert reader.annotations("atr").samples.tolist() == [100, 8000]
    # The same two, whose leads are those of the first: fixed layout.
    write_record(tmp_path / "s_2", second, ["MLII", "V5"], ["mV", "mV"])
    (tmp_path / "s.hea").write_text("s/2 2 360\ns_1 5040\ns_2 3000\n")
    together = np.concatenate([first, second], axis=1)
    np.testing.assert_array_equal(in_blocks(opened(tmp_path / "s")), together)


def test_of_a_frame_of_samples_the_mean_is_read(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(-500, 500, (400, 5)).astype("<i2")
    frames[10, 2] = frames[20, 4] = -32768
    frames.tofile(tmp_path / "r.dat")
    signals = "r.dat 16x4 200(0)/mV 16 0\nr.dat 16 200(0)/uV 16 0\n"
    (tmp_path / "r.hea").write_text(f"r 2 90 400 10:20:30\n{signals}")
    reader = opened(tmp_path / "r")
    means = wfdb.rdrecord(str(tmp_path / "r")).p_signal.T / np.array([[1], [1000]])
    # Of the mean of three samples and the mark for a missing one, nothing is left.
    means[0, 10] = np.nan
    np.testing.assert_allclose(whole(reader), means)
    np.testing.assert_array_equal(in_blocks(reader, 37), whole(reader))
    assert reader.start == datetime.time(10, 20, 30)
    np.testing.assert_array_equal(read_leads(read_header(tmp_path, "r"), [0, 1]), whole(reader))


def test_a_format_of_differences_is_right_in_the_middle(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).integers(-100, 100, (900, 2)).astype(np.int8)
    steps.tofile(tmp_path / "r.dat")
    (tmp_path / "r.hea").write_text("r 2 360 900\n" + "r.dat 8 200(0)/mV 16 0 7\n" * 2)
    np.testing.assert_allclose(
        in_blocks(opened(tmp_path / "r"), 100), (7 + steps.cumsum(axis=0, dtype=int).T) / 200
    )


def test_a_short_record_without_a_sample_is_read(tmp_path: Path) -> None:
    np.full(2, -32768, "<i2").tofile(tmp_path / "r.dat")
    (tmp_path / "r.hea").write_text("r 1 360 2\nr.dat 16 200(0)/mV 16 0\n")
    assert np.isnan(whole(opened(tmp_path / "r"))).all()


def test_an_edf_holds_what_was_written(mitdb: Path, tmp_path: Path) -> None:
    ecg, path = real_ecg(mitdb), tmp_path / "night.EDF"
    begin = datetime.datetime(2020, 2, 3, 4, 5, 6)
    edf = write_edf(
        path,
        ecg,
        recording=edfio.Recording(startdate=begin.date()),
        starttime=begin.time(),
        annotations=[edfio.EdfAnnotation(1, None, "hello")],
    )
    reader = opened(path)
    assert (reader.name, reader.format, reader.start) == ("night", "EDF", begin)
    assert (reader.sampling_rate, reader.n_samples) == (RATE, ecg.shape[1])
    assert reader.lead_names == ("ECG II", "V5", "EEG Fp1")
    written = edf.signals[0], edf.signals[2], edf.signals[4]
    steps = [(s.physical_max - s.physical_min) / (s.digital_max - s.digital_min) for s in written]
    for lead, expected, step, to_mv in zip(
        whole(reader), [ecg[0], ecg[1], ecg[0]], steps, [1, 1e-3, 1e3], strict=True
    ):
        assert np.abs(lead - expected).max() <= step * to_mv * 0.51
    np.testing.assert_array_equal(in_blocks(reader), whole(reader))
    # While it is recorded, nobody knows how long it gets; and micro is often written as such.
    content = path.read_bytes()
    content = content[:236] + b"-1      " + content[244:].replace(b"uV ", b"\xb5V ", 1)
    path.write_bytes(content)
    np.testing.assert_array_equal(in_blocks(opened(path), 500), whole(reader))
    write_edf(path, ecg)
    assert opened(path).start is None


def test_an_edf_needs_edfio(mitdb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_edf(tmp_path / "e.edf", real_ecg(mitdb))
    monkeypatch.setitem(sys.modules, "edfio", None)
    with pytest.raises(ConfigError, match=r"pip install 'ecgad\[edf\]'"):
        opened(tmp_path / "e.edf")


TABLES: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "named.csv": lambda frame, path: frame.to_csv(path, index=False),
    "index.csv": lambda frame, path: frame.to_csv(path),
    "bare.csv": lambda frame, path: frame.to_csv(path, index=False, header=False),
    "timed.csv": lambda frame, path: frame.assign(Time="0:00").to_csv(path, index=False),
    "table.parquet": lambda frame, path: frame.to_parquet(path),
    "rows.npy": lambda frame, path: np.save(path, frame.to_numpy()),
    "columns.npy": lambda frame, path: np.save(path, frame.to_numpy().T),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_in_blocks_as_whole(
    mitdb: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_reader, "ROWS", 500)
    ecg = real_ecg(mitdb)
    ecg[1, 7] = np.nan
    TABLES[name](pd.DataFrame(ecg.T, columns=["II", "V5"]), tmp_path / name)
    reader = opened(tmp_path / name, RATE, "uV")
    named = name not in {"bare.csv", "rows.npy", "columns.npy"}
    assert reader.lead_names == (("II", "V5") if named else ("lead 1", "lead 2"))
    assert (reader.sampling_rate, reader.n_samples) == (RATE, ecg.shape[1])
    np.testing.assert_allclose(in_blocks(reader, overlap=200), ecg / 1000, rtol=1e-12)
    # From its start again.
    np.testing.assert_allclose(reader.read([1, 0], 3, 9), ecg[::-1, 3:9] / 1000, rtol=1e-12)


def test_cells_may_be_empty_and_files_end_as_they_like(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for text, expected in {
        "\ufeff1,2\n3,": [[1, 3], [2, np.nan]],
        "'sample #','V5'\r\n0,1\r\n1,-\r\n2,NaN\r\n": [[1, np.nan, np.nan]],
        "II\n1\n\n3\n\n\n": [[1, np.nan, 3]],
    }.items():
        path.write_text(text, encoding="utf-8", newline="")
        np.testing.assert_array_equal(whole(opened(path, 1.0, "mV")), expected)


def test_a_long_table_takes_the_memory_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_reader, "ROWS", 5000)
    n_rows = 200_000
    (tmp_path / "t.csv").write_text("0.125,-1.5\n" * n_rows)
    np.save(tmp_path / "t.npy", np.zeros((2, n_rows), np.float32))
    for name in ("t.csv", "t.npy"):
        reader = opened(tmp_path / name, RATE, "mV")
        reader.read([0], 0, 1)
        tracemalloc.start()
        for start in range(0, n_rows, 5000):
            reader.read([0, 1], start, start + 5000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < n_rows * 2 * 8 / 3, name


def test_what_cannot_be_read_is_one_line(mitdb: Path, tmp_path: Path) -> None:
    ecg = real_ecg(mitdb)
    write_record(tmp_path / "good", ecg, ["II", "V5"], ["mV", "mV"])
    edf = write_edf(tmp_path / "good.edf", ecg, annotations=[edfio.EdfAnnotation(1, None, "x")])
    content = (tmp_path / "good.edf").read_bytes()
    gaps = content[:192] + b"EDF+D" + content[197:].replace(b"+10\x14", b"+11\x14")
    edfio.Edf([], annotations=[edfio.EdfAnnotation(1, None, "x")]).write(tmp_path / "notes.edf")
    edfio.Edf([edf.signals[3]]).write(tmp_path / "pulse.edf")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    np.save(tmp_path / "good.npy", ecg)
    pd.DataFrame({"II": ["a"]}).to_parquet(tmp_path / "words.parquet")
    os.mkfifo(tmp_path / "pipe.csv")
    signal = "good.dat 16 200(0)/mV 16 0"
    for name, bad in {
        "cut.edf": content[: len(content) // 2],
        "begun.edf": content[:300],
        "longer.edf": content + b"0",
        "noise.edf": bytes(range(256)) * 4,
        "bdf.edf": b"\xffBIOSEMI" + content[8:],
        "gaps.edf": gaps,
        "empty.csv": b"",
        "named.csv": b"II,V5\n",
        "noise.csv": bytes(range(256)),
        "ragged.csv": b"II,V5\n1,2\n3\n",
        "words.csv": b"II,V5\n1,2\n3,x\n",
        "huge.csv": b"1,2\n3,1e9\n",
        "cut.npy": (tmp_path / "good.npy").read_bytes()[:9000],
        "noise.parquet": b"PAR1" + bytes(100),
        "other.txt": b"1\n",
        "noise.hea": b"what is this\n",
        "lost.hea": b"lost 1 360 9\nlost.dat 16\n",
        "long.hea": f"long 1 360 {10**12}\n{signal}\n".encode(),
        "tall.hea": b"tall 1 360 5040\ngood.dat 16 1e-9(0)/mV 16 0\n",
        "foreign.hea": f"foreign 2 360 5040\n{signal} 5 5\n{signal} 5 5\n".encode(),
        "pressure.hea": b"pressure 1 360 5040\ngood.dat 16 200(0)/mmHg 16 0 0 0 0 ABP\n",
        "parts.hea": b"parts/2 1 360 10080\ngood 5040\nnowhere 5040\n",
        "few.hea": b"few/2 2 360 5040\ngood 5040\n",
        "misfit.hea": b"misfit/1 2 360 9\ngood 9\n",
    }.items():
        (tmp_path / name).write_bytes(bad)
    for name, says in {
        "cut.edf": "cut short",
        "begun.edf": "no EDF file",
        "longer.edf": "mend the header",
        "noise.edf": "no EDF file",
        "bdf.edf": "BDF",
        "gaps.edf": "gaps",
        "notes.edf": "annotations alone",
        "pulse.edf": "HR in 'bpm'",
        "empty.csv": "no samples",
        "named.csv": "no samples",
        "noise.csv": "no text",
        "ragged.csv": "line 3: 1 cells",
        "words.csv": "line 3, column 2: 'x'",
        "huge.csv": "1e.09 mV",
        "cut.npy": "no whole array",
        "objects.npy": "no whole array",
        "cube.npy": r"\(2, 2, 2\)",
        "noise.parquet": "no whole Parquet",
        "words.parquet": "column II",
        "pipe.csv": "is no file",
        "other.txt": "known are",
        "nothing": "nothing.hea is there",
        "noise": "no WFDB header",
        "lost": "lost.dat, which is not there",
        "long": "cut short",
        "tall": "mend the gain",
        "foreign": "neither checksum nor first value",
        "pressure.hea": "only ABP in mmHg",
        "parts": "segment nowhere",
        "few": "promises 2 segments",
        "misfit": "of 5040 samples",
    }.items():
        table = Path(name).suffix in {".csv", ".npy", ".parquet"}
        with pytest.raises(FileError, match=says) as told:
            whole(opened(tmp_path / name, *((RATE, "mV") if table else ())))
        assert "\n" not in str(told.value)


def test_tables_need_a_rate_and_a_unit_and_nothing_else_does(mitdb: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1\n2\n")
    (found,) = find_recordings([path], tables=True)
    for rate, unit, says in [
        (None, None, "--rate HZ and --unit"),
        (RATE, None, "give --unit"),
        (0.1, "mV", "--rate 0.1"),
        (RATE, "kg", "--unit kg"),
    ]:
        with pytest.raises(ConfigError, match=says):
            open_recording(found, rate, unit)
    with pytest.raises(ConfigError, match="leave out --rate and --unit"):
        opened(mitdb / "100", RATE)


def test_folders_are_searched_and_names_are_of_one_recording(mitdb: Path, tmp_path: Path) -> None:
    def names(*paths: Path, tables: bool = False) -> list[str]:
        return [found.name for found in find_recordings(paths, tables)]

    write_edf(tmp_path / "night.edf", real_ecg(mitdb))
    for name in ("p2/r", "p1/r", ".hidden/r"):
        (tmp_path / name).parent.mkdir()
        write_record(tmp_path / name, real_ecg(mitdb), ["II", "V5"], ["mV", "mV"])
    (tmp_path / "p1" / "t.csv").write_text("1\n")
    (tmp_path / "p1" / "circle").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.hea")
    # Who opens the pipe says that it is no file; whoever looks for recordings must not wait for it.
    assert names(tmp_path) == ["night", "p1/r", "p2/r", "pipe"]
    assert names(tmp_path, tables=True) == ["p1/t"]
    # Files of one record, as a shell lists them.
    assert names(tmp_path / "p1/r.dat", tmp_path / "p1/r.hea", tmp_path / "p1" / "r") == ["r"]
    with pytest.raises(ConfigError, match=r"p1/r.hea and .*p2/r.hea are both called r,"):
        names(tmp_path / "p1" / "r", tmp_path / "p2" / "r")
    (tmp_path / "p2" / "r.hea").unlink()
    with pytest.raises(FileError, match="no recordings"):
        names(tmp_path / "p2")


def test_finding_and_opening_wait_for_no_library() -> None:
    slow = "wfdb", "pandas", "edfio", "pyarrow", "torch", "scipy"
    code = f"import sys, ecgad.recordings.open; print(*set({slow}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_columns_of_times_and_numbers_are_no_leads(tmp_path: Path) -> None:
    values = np.arange(10.0).reshape(5, 2) / 7
    for name, header in (
        ("pandas", ",0,1"),
        ("numbered", "0,1"),
        ("time", "Time (s),II,V1"),
        ("t", "t,II,V1"),
    ):
        columns = values if name == "numbered" else np.column_stack([np.arange(5), values])
        path = tmp_path / f"{name}.csv"
        np.savetxt(path, columns, delimiter=",", header=header, comments="")
        reader = open_recording(find_recordings([path], True)[0], 250.0, "mV")
        assert reader.lead_names == (("II", "V1") if "II" in header else ("0", "1"))
        assert reader.read([0, 1], 0, 5) == pytest.approx(values.T)


def test_of_an_edf_the_ecg_is_taken_whatever_else_is_there(tmp_path: Path) -> None:
    edfio = pytest.importorskip("edfio")
    signals = [
        edfio.EdfSignal(np.zeros(round(2 * rate)) + np.arange(round(2 * rate)) % 5, rate,
                        label=label, physical_dimension="uV", physical_range=(-10, 10))
        for label, rate in (("EEG C3", 100), ("EEG C4", 100), ("Lead II", 250))
    ]  # fmt: skip
    path = tmp_path / "night.edf"
    edfio.Edf(signals, starttime=time(23, 58, 30)).write(path)
    reader = open_recording(find_recordings([path], False)[0], None, None)
    assert (reader.lead_names, reader.sampling_rate) == (("Lead II",), 250)
    assert reader.channel(0) == 2
    assert reader.start == time(23, 58, 30)
