"""Sources: what they read, and what they refuse."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgad.data.beats import Beats
from ecgad.data.sources.csv import CsvConfig, read_tables
from ecgad.data.sources.ecg5000 import read_ecg5000, read_ts, read_txt
from ecgad.data.sources.ecg_csv import read_ecg_csv
from ecgad.data.sources.synthetic import BEFORE_R, BLOCK, KINDS, synthesise
from ecgad.errors import ConfigError, FileError
from ecgad.experiment import load_experiment
from tests.helpers import beats_of


def test_ecg5000_is_read_whole_from_both_forms(ecg5000: Path) -> None:
    beats = beats_of("ecg5000", ecg5000)
    assert beats.waveforms.shape == (5000, 1, 140)
    assert beats.waveforms.dtype == np.float32
    assert beats.class_counts == {"1": 2919, "2": 1767, "4": 194, "3": 96, "5": 24}
    assert beats.labels is not None
    assert beats.labels.sum() == 5000 - 2919
    assert beats.in_test is not None
    assert beats.in_test.sum() == 4500
    as_text = read_ecg5000(ecg5000 / "ECG5000_TRAIN.txt", ecg5000 / "ECG5000_TEST.txt")
    np.testing.assert_array_equal(beats.symbols, as_text.symbols)
    np.testing.assert_allclose(beats.waveforms, as_text.waveforms, atol=1e-6)


def test_ecg_csv_labels_are_flipped(ecg5000: Path) -> None:
    beats = read_ecg_csv(ecg5000 / "ecg.csv")
    assert beats.waveforms.shape == (4998, 1, 140)
    assert beats.labels is not None
    assert np.bincount(beats.labels).tolist() == [2919, 2079]
    # The first row is the first beat of ECG5000, a normal one.
    np.testing.assert_allclose(beats.waveforms[0, 0, :2], [-0.11252183, -2.8272038], rtol=1e-6)
    assert beats.labels[0] == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("@data\n1,2,3:1\n1,2", ["line 3", "cut short"]),
        ("@data\n1,2,3:1\n1,2:1\n", ["line 3", "2 values", "3"]),
        ("@data\n1,2,3:1\n1,x,3:1\n", ["line 3", "x"]),
        ("@data\n1,2,3:1\n1,?,3:1\n", ["line 3"]),
        ("@data\n1,nan,3:1\n", ["line 2", "missing"]),
        ("@data\n1,2e12,3:1\n", ["line 2", "not below"]),
        ("@data\n1,2,3:1\n1,2,3:l\n", ["line 3", "class 'l'", "1, 2, 3, 4, 5"]),
        ("@data\n", ["no beats"]),
        ("1,2,3:1\n", ["@data"]),
    ],
)
def test_malformed_ts_is_refused_by_line(tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "cut.ts"
    path.write_text(content)
    with pytest.raises(FileError) as error:
        read_ts(path)
    for word in ["cut.ts", *words]:
        assert word in str(error.value)


def test_malformed_txt_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.txt"
    path.write_text("1.0 2 3\n2.0 2\n")
    with pytest.raises(FileError, match=r"cut\.txt, line 2: 2 values"):
        read_txt(path)


def read_own(*paths: Path, **settings: object) -> Beats:
    """Read a user's own table, or two."""
    return read_tables(paths, CsvConfig.model_validate(settings))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b,c,label\n1,2,3,N\n1,oops,3,V\n", ["line 3", "column b", "'oops'"]),
        ("a,b,c,label\n1,2,3,N\n1,,3,V\n", ["line 3", "column b", "missing"]),
        ("a,b,c,label\n1,2,3,N\n1,nan,3,V\n", ["line 3", "column b", "missing"]),
        ("a,b,c,label\n1,2,3,N\n1,inf,3,V\n", ["line 3", "column b", "inf"]),
        ("a,b,c,label\n1,2,3,N\n1,1e20,3,V\n", ["line 3", "column b", "1e+20"]),
        ("label,a,b,c\nN,1,2,3\nV,1\n", ["line 3", "ends after 1 of 3 samples"]),
        ("a,b,c,label\n1,2,3,N\n1,2,3,V,9\n", ["line 3: 5 values", "have 4"]),
        ("a,b,c,label\n1,2,3,9,N\n1,2,3,9,V\n", ["line 2", "more values"]),
        ("a,b,c,label\n1,2,3,N\n1,2,3,\n", ["line 3", "no label"]),
        ("a,b,c,label\n1,2,3,N\n1,2,3,N\n", ["only one class"]),
        ("a,b,c,label\n1,2,3,V\n1,2,3,A\n", ["normal label 'N'", "A, V"]),
        ("a,b,c,class\n1,2,3,N\n", ["no column 'label'", "class"]),
        ("0.1,2,3,4\n5,6,7,8\n", ["data.csv.header: false"]),
        ("N,0.1,0.2\nV,0.3,0.4\n", ["data.csv.header: false"]),
        ("a,b,c,label\n", ["no rows"]),
        ("", ["empty"]),
    ],
)
def test_malformed_csv_is_refused_by_cell(tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "own.csv"
    path.write_text(content)
    with pytest.raises(FileError) as error:
        read_own(path, label_column="label", normal_label="N")
    for word in ["own.csv", *words]:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_own_csv_with_and_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("label,a,b\n0,1,2\n1.0,3,4\n0,5,6\n")
    beats = read_own(path, label_column="label", normal_label=0)
    assert beats.waveforms.tolist() == [[[1, 2]], [[3, 4]], [[5, 6]]]
    assert beats.labels is not None
    assert beats.labels.tolist() == [0, 1, 0]
    assert beats.symbols.tolist() == ["0", "1", "0"]

    # Long numbers are as different as they look.
    path.write_text("label,a,b\n1234567,1,2\n1234568,3,4\n")
    labels = read_own(path, label_column="label", normal_label=1234567).labels
    assert labels is not None
    assert labels.tolist() == [0, 1]

    path.write_text("1,2\n3,4\n")
    beats = read_own(path, header=False)
    assert beats.labels is None
    assert beats.normals.tolist() == [0, 1]
    path.write_text("1,2,N\n3,4,V\n")
    beats = read_own(path, label_column=2, normal_label="N", header=False)
    assert beats.symbols.tolist() == ["N", "V"]


@pytest.mark.parametrize("suffix", [".zip", ".xz", ".zst", ".tar", ".csv.gz", ".ts", ".xlsx", ""])
def test_a_table_of_another_form_names_the_forms_that_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"own{suffix}"
    path.write_text("1,2\n3,4\n")
    with pytest.raises(FileError, match=r"\.csv, \.txt, \.npy, \.parquet"):
        read_own(path, header=False)


def test_arrays_and_parquet_hold_the_beats_that_a_csv_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(size=(12, 5)), np.arange(12) % 3 == 0]).astype(np.float32)
    frame = pd.DataFrame(table, columns=[*"abcde", "target"])
    frame.to_csv(tmp_path / "own.csv", index=False)
    frame.to_parquet(tmp_path / "own.parquet", index=False)
    np.save(tmp_path / "own.npy", table)
    labels = {"own.csv": "target", "own.parquet": "target", "own.npy": 5}
    read = [
        read_own(tmp_path / name, label_column=column, normal_label=0)
        for name, column in labels.items()
    ]
    for beats in read:
        np.testing.assert_allclose(beats.waveforms[:, 0], table[:, :5], rtol=1e-6)
        assert beats.labels is not None
        assert beats.labels.tolist() == table[:, 5].tolist()
    with pytest.raises(FileError, match=r"own.npy, row 3, column 1: a missing"):
        table[2, 1] = np.nan
        np.save(tmp_path / "own.npy", table)
        read_own(tmp_path / "own.npy")


@pytest.mark.parametrize("name", ["own.npy", "own.parquet"])
def test_a_damaged_array_or_parquet_is_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 4)), columns=[*"abcd"])
    np.save(path, frame.to_numpy()) if path.suffix == ".npy" else frame.to_parquet(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\x93NUMPY\x01\x00v\x00{'descr': ("):
        path.write_bytes(content)
        with pytest.raises(FileError, match=path.name) as error:
            read_own(path)
        assert "\n" not in str(error.value)
    np.save(tmp_path / "own.npy", np.array([["a"], [None]], object), allow_pickle=True)
    with pytest.raises(FileError, match="not a NumPy array"):
        read_own(tmp_path / "own.npy")


def test_a_published_test_set_stays_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,class\n1.5,2,N\n3,4.5,V\n")
    (tmp_path / "b.csv").write_text("a,b,class\n5,6.5,N\n")
    settings = {"label_column": "class", "normal_label": "N"}
    beats = read_own(tmp_path / "a.csv", tmp_path / "b.csv", **settings)
    assert beats.in_test is not None
    assert beats.in_test.tolist() == [False, False, True]
    assert beats.waveforms[:, 0, 0].tolist() == [1.5, 3, 5]
    (tmp_path / "b.csv").write_text("a,b,c,class\n5,6.5,7,N\n")
    with pytest.raises(FileError, match=r"b\.csv: 3 samples a beat, where .*a\.csv has 2"):
        read_own(tmp_path / "a.csv", tmp_path / "b.csv", **settings)
    options = ["data.source=csv", "data.csv.file=a.csv", "data.csv.test_file=b.csv"]
    with pytest.raises(ConfigError, match=r"data\.split\.method: source"):
        load_experiment(None, options)
    load_experiment(None, [*options, "data.split.method=source"])


@pytest.mark.parametrize("name", ["Class", "y", "s3"])
def test_a_column_that_looks_like_labels_is_asked_about(tmp_path: Path, name: str) -> None:
    """By its name, or by what it holds."""
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["s0", "s1", "s2"])
    table[name] = np.arange(40) % 4 if name == "s3" else table["s0"]
    path = tmp_path / "own.csv"
    table.to_csv(path, index=False)
    with pytest.raises(ConfigError) as error:
        read_own(path)
    for word in (f"column {name} ", "data.csv.label_column", "data.csv.sample_columns"):
        assert word in str(error.value)
    beats = read_own(path, sample_columns=[name])
    assert beats.waveforms.shape == (40, 1, 4)


def test_samples_do_not_look_like_labels(ecg5000: Path, tmp_path: Path) -> None:
    """Real beats, beats of whole numbers, and beats that are padded with zeros."""
    values = beats_of("ecg5000", ecg5000).waveforms[:300, 0]
    padded = np.where(np.arange(140) < 100, values, 0)
    for name, table in {"real": values, "whole": np.rint(8 * values), "padded": padded}.items():
        path = tmp_path / f"{name}.npy"
        np.save(path, table)
        assert len(read_own(path)) == 300


def test_amplitudes_that_cannot_be_scaled_end_before_anything_is_written(
    tmp_path: Path, fails: Callable[..., str]
) -> None:
    values = np.random.default_rng(0).normal(size=(40, 6)) * 1e-30
    values[::5] = 9e11
    table = pd.DataFrame(values).assign(label=np.where(np.arange(40) % 5, "N", "V"))
    table.to_csv(tmp_path / "own.csv", index=False)
    options = ["data.source=csv", f"data.raw_dir={tmp_path}", "data.csv.file=own.csv"]
    options += ["data.csv.label_column=label", "data.csv.normal_label=N"]
    line = fails(3, "preprocess_data.py", *(part for key in options for part in ("--set", key)))
    assert "units and amplitudes" in line
    assert not list(Path("data/processed/demo").iterdir())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1," * 140 + "2", ["line 3", "label 2"]),
        ("1," * 139 + "1", ["line 3", "140 of 141"]),
        ("x," + "1," * 139 + "1", ["line 3", "'x'"]),
    ],
)
def test_malformed_ecg_csv_is_refused(tmp_path: Path, row: str, words: list[str]) -> None:
    path = tmp_path / "ecg.csv"
    path.write_text("\n".join(["1," * 140 + "1", "1," * 140 + "0", row]))
    with pytest.raises(FileError) as error:
        read_ecg_csv(path)
    for word in words:
        assert word in str(error.value)


def test_synthetic_beats_are_seeded_and_mixed() -> None:
    beats = synthesise(BLOCK + 1000, anomalous_fraction=0.25, seed=3)
    again = synthesise(BLOCK + 1000, anomalous_fraction=0.25, seed=3)
    np.testing.assert_array_equal(beats.waveforms, again.waveforms)
    assert not np.array_equal(beats.waveforms, synthesise(BLOCK + 1000, 0.25, seed=4).waveforms)
    assert beats.labels is not None
    assert beats.labels.mean() == 0.25
    assert set(beats.symbols) == set(KINDS)
    assert np.isfinite(beats.waveforms).all()


def test_synthetic_beats_are_the_waves_they_say() -> None:
    """Without noise, the mean normal beat is the sum of its Gaussians where no other beat is."""
    rate, n = 250.0, 200
    beats = synthesise(3000, 0.1, n_samples=n, sampling_rate=rate, heart_rate=60, noise=0)
    mean = beats.waveforms[beats.symbols == "N", 0].mean(axis=0)
    time = (np.arange(n) - round(BEFORE_R * n)) / rate
    kind = KINDS["N"]
    waves = zip(kind.amplitude, kind.width, kind.centre, strict=True)
    expected = np.sum([a * np.exp(-0.5 * ((time - c) / w) ** 2) for a, w, c in waves], axis=0)
    alone = (time > -0.25) & (time < 0.45)
    # What varies from beat to beat widens the R peak by rounding to a sample; the rest is close.
    np.testing.assert_allclose(mean[alone], expected[alone], atol=0.08)
    assert abs(np.argmax(mean) - round(BEFORE_R * n)) <= 1
    # The T wave of the closed form has its top where the mean beat has it.
    late = time > 0.15
    assert abs(time[late][mean[late].argmax()] - kind.centre[4]) < 0.02


@pytest.fixture
def heartbeat(tmp_path: Path, ptbdb: Path) -> Path:
    """The genuine rows of the two PTB tables, under their published names."""
    for name in ("normal", "abnormal"):
        rows = (ptbdb / f"ptbdb_{name}_10rows.csv").read_text()
        (tmp_path / f"ptbdb_{name}.csv").write_text(rows)
    return tmp_path


def test_genuine_heartbeat_rows_are_read(heartbeat: Path) -> None:
    beats = beats_of("heartbeat_csv", heartbeat, database="ptbdb")
    assert beats.waveforms.shape == (20, 1, 187)
    assert beats.class_counts == {"abnormal": 10, "normal": 10}
    assert beats.labels is not None and beats.lengths is not None
    assert beats.labels.tolist() == [0] * 10 + [1] * 10
    # Scaled to [0, 1] from the R peak on; what follows the ECG is zero.
    assert beats.waveforms.min() == 0
    np.testing.assert_array_equal(beats.waveforms.max(axis=2), 1)
    assert beats.lengths[:3].tolist() == [132, 165, 138]
    for beat, length in zip(beats.waveforms[:, 0], beats.lengths, strict=True):
        assert beat[length - 1] > 0
        assert not beat[length:].any()


def test_heartbeat_tables_of_mitbih_keep_their_test_set(tmp_path: Path) -> None:
    for name, classes in (("train", (0, 1, 2)), ("test", (0, 3, 4))):
        rows = [",".join(["0.5"] * 100 + ["0"] * 87 + [f"{c:.18e}"]) for c in classes]
        (tmp_path / f"mitbih_{name}.csv").write_text("\n".join(rows) + "\n")
    beats = beats_of("heartbeat_csv", tmp_path)
    assert beats.symbols.tolist() == ["N", "S", "V", "N", "F", "Q"]
    assert beats.in_test is not None and beats.lengths is not None
    assert beats.in_test.tolist() == [False] * 3 + [True] * 3
    assert beats.lengths.tolist() == [100] * 6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: [",".join(f"c{i}" for i in range(188)), *rows], ["line 1", "'c0'"]),
        (lambda rows: [row.partition(",")[2] for row in rows], ["187 columns", "has 188"]),
        (lambda rows: [*rows, rows[0].rpartition(",")[0] + ",7"], ["line 11", "class 7", "0, 1"]),
        (lambda rows: [*rows, ",".join(["0"] * 188)], ["line 11", "all samples are zero"]),
        (lambda rows: [*rows, rows[0].replace("0.", "x.", 1)], ["line 11", "x."]),
    ],
)
def test_malformed_heartbeat_tables_are_refused(
    heartbeat: Path, change: Callable[[list[str]], list[str]], words: list[str]
) -> None:
    path = heartbeat / "ptbdb_normal.csv"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    with pytest.raises(FileError) as error:
        beats_of("heartbeat_csv", heartbeat, database="ptbdb")
    for word in ["ptbdb_normal.csv", *words]:
        assert word in str(error.value)


def test_heartbeat_tables_that_are_not_there_say_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"mitbih_train\.csv, mitbih_test\.csv not found .*kaggle"):
        beats_of("heartbeat_csv", tmp_path)
