"""`ecgad compare`: all that bxb says of 108 pairs of files, and what it cannot say."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import wfdb

from ecgad.evaluation import ec57 as rules
from ecgad.recordings.annotations import Annotations, annotation_bytes, read_annotation_file
from tests.conftest import REPOSITORY, Call

COMMAND = "ecgad/__main__.py"
KEYS = ("matrix", "ratios", "rms_rr_error_ms", "shutdown_seconds", "text", "line_format")
RATE = 100.0  # Hz, of annotations that are made here
Write = Callable[..., Path]


@pytest.fixture
def compare(script: Call) -> Callable[..., Any]:
    """Run the command, which has to succeed, and return what it prints as JSON."""

    def run(*arguments: str | Path) -> Any:
        outcome = script(COMMAND, "compare", *arguments, "--json", "--quiet")
        assert outcome.code == 0, outcome.stderr
        assert outcome.stderr == ""
        return json.loads(outcome.stdout)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an annotation file from symbols by sample, with a header where it is to have one."""

    def written(
        file: str, rows: dict[int, str], rate: float | None = None, header: str | None = None
    ) -> Path:
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        content = annotation_bytes([(at, of, 0, "") for at, of in rows.items()], 0, rate)
        path.write_bytes(b"".join(content))
        if header is not None:
            path.with_suffix(".hea").write_text(header)
        return path.parent

    return written


@pytest.mark.parametrize(
    ("database", "reference", "n_records"), [("mitdb", "atr", 48), ("random", "ref", 60)]
)
def test_all_is_what_bxb_says(
    ec57: Path,
    mitdb: Path,
    compare: Callable[..., Any],
    database: str,
    reference: str,
    n_records: int,
) -> None:
    folders = [ec57 / database, *([mitdb] if database == "mitdb" else [])]
    result = compare(*folders, "--reference", reference, "--test", "tst")
    expected = json.loads((ec57 / database / "expected.json").read_text())
    assert result["records"].keys() == expected.keys()
    assert len(expected) == n_records
    for name, record in result["records"].items():
        for key in KEYS:
            assert record[key] == expected[name][key], (name, key)
    # Gross: of summed counts. Average: of the records that have a figure.
    matrix = np.sum([record["matrix"] for record in expected.values()], axis=0)
    assert result["gross"]["matrix"] == matrix.tolist()
    ratios = np.sum([record["ratios"] for record in expected.values()], axis=0)
    assert result["gross"]["ratios"] == ratios.tolist()
    assert result["gross"]["figures"]["veb_sensitivity"] == ratios[2, 0] / ratios[2, 1]
    shares = [record["ratios"][2] for record in expected.values()]
    known = [a / b for a, b in shares if b]
    assert result["average"]["veb_sensitivity"] == pytest.approx(fmean(known))
    errors = [record["rms_rr_error_ms"] for record in expected.values()]
    mean = fmean(float(error) for error in errors if error != "-")
    assert result["average"]["rms_rr_error_ms"] == pytest.approx(mean, abs=0.01)
    assert result["without_test"] == result["without_reference"] == []


def test_a_record_is_printed_as_bxb_prints_it_and_nothing_slow_is_imported(
    ec57: Path, mitdb: Path, process: Call
) -> None:
    expected = json.loads((ec57 / "mitdb" / "expected.json").read_text())["105"]
    paths = (mitdb / "105", ec57 / "mitdb", "--test", "tst")
    report = process(COMMAND, "compare", *paths, "--format", "report")
    assert (report.code, report.stdout) == (0, expected["text"])
    assert report.stderr.startswith("left out, without .atr: 47 records (100, 101, ")
    assert "numpy" in report.imported
    slow = {"torch", "wfdb", "scipy", "pandas", "sklearn", "matplotlib", "onnxruntime"}
    assert not slow & report.imported
    for words, form in (("lines", "-L"), ("lines-veb", "-l")):
        printed = process(COMMAND, "compare", *paths, "--format", words, "--quiet").stdout
        tables = expected["line_format"][form]
        assert printed == f"{tables['beats']}\n{tables['shutdown']}"


def test_several_records_end_in_gross_and_average(ec57: Path, script: Call) -> None:
    folder = ec57 / "random"
    expected = json.loads((folder / "expected.json").read_text())
    names = ["f3", "f25"]
    records = [folder / name for name in names]
    arguments = ("compare", *records, "--reference", "ref", "--test", "tst", "--format")
    table = script(COMMAND, *arguments, "table").stdout
    assert max(map(len, table.splitlines())) <= 80
    # Nothing is compared in f25.
    part, of = expected["f3"]["ratios"][0]
    share = f"{100 * part / of:.2f}%"
    assert table.splitlines()[1].split() == ["QRS", "sensitivity", share, f"({part}/{of})", share]
    lines = script(COMMAND, *arguments, "lines").stdout.splitlines()
    heading, *beats = lines[: lines.index("")]
    rows = [expected[name]["line_format"]["-L"]["beats"].splitlines() for name in sorted(names)]
    assert [heading, *beats[:2]] == [rows[0][0], rows[0][1], rows[1][1]]
    assert [line.split()[0] for line in beats[2:]] == ["Sum", "Gross", "Average"]
    # Of one record that has figures, all are the same.
    figures = rows[1][1].split()[-7:]
    assert beats[3].split()[1:] == beats[4].split()[1:] == figures
    reports = script(COMMAND, *arguments, "report").stdout
    assert reports.startswith(expected["f25"]["text"] + "\n" + expected["f3"]["text"] + "\n")
    assert "comparison results for 2 records as one" in reports
    assert "Average over 2 records" in reports


def read_by_hand(of: Annotations, window: int) -> tuple[list[Any], list[Any], list[Any]]:
    """An annotation at a time: beats (sample, label, RR interval), fibrillation, unreadable."""
    beats: list[Any] = []
    fibrillation: list[Any] = []
    silent: list[Any] = []
    inside, apart, last_beat = False, True, 0
    assert of.subtypes is not None
    samples, symbols, subtypes = of.samples.tolist(), of.symbols.tolist(), of.subtypes.tolist()
    for number, (at, symbol) in enumerate(zip(samples, symbols, strict=True)):
        if symbol == "[":
            if not inside:
                fibrillation.append([at, math.inf])
            inside = apart = True
        elif symbol == "]" and inside:
            inside = False
            fibrillation[-1][1] = at
        elif symbol == "~" and subtypes[number] & 48 == 48 and not inside:
            apart = True
            for after, what, kind in zip(
                samples[number + 1 : number + 2],
                symbols[number + 1 :],
                subtypes[number + 1 :],
                strict=False,
            ):
                if what == "~" and kind & 48 != 48:
                    silent.append((at, after))
                else:
                    begin = last_beat + window
                    silent.append((begin, max(begin, after - window)))
        elif symbol in rules.LABEL_OF:
            if not inside:
                before = beats[-1][0] if beats else None
                rr = None if before is None or apart else at - before
                beats.append((at, rules.LABEL_OF[symbol], rr))
                apart = False
            last_beat = at
    if inside and len(fibrillation) > 1:
        fibrillation.pop()
    return beats, fibrillation, silent


def by_hand(
    reference: Annotations, test: Annotations, start: int, end: int, window: int
) -> tuple[np.ndarray, list[int], float]:
    """The rules once more, a beat at a time: matrix, RR errors and unreadable time in samples."""

    def within(stretches: list[Any], at: int) -> bool:
        return any(first <= at <= last for first, last in stretches)

    beats, fibrillation, unread = read_by_hand(reference, window)
    found, _, silent = read_by_hand(test, window)
    beats = [beat for beat in beats if start <= beat[0] <= end]
    # Which test beat is the first: one by one, those are dropped after which a nearer one comes.
    goal = beats[0][0] if beats else math.inf
    while len(found) > 1 and found[1][0] < start:
        found.pop(0)
    while (
        len(found) > 1
        and found[0][0] <= start + window
        and (goal == math.inf or abs(found[1][0] - goal) < abs(found[0][0] - goal))
    ):
        found.pop(0)
    matrix, errors = np.zeros((7, 7), int), []
    while beats or found:
        first_is_found = bool(found) and (not beats or found[0][0] < beats[0][0])
        own, others = (found, beats) if first_is_found else (beats, found)
        pair = False
        if others:
            early, late = own[0][0], others[0][0]
            nearer = all(late - early < abs(x[0] - late) for x in own[1:])
            if not nearer:
                rival = own[1][0]
                nearer = any(abs(x[0] - rival) < abs(rival - late) for x in others[1:])
            pair = late - early <= window and nearer
        alone = first_is_found and not pair
        if beats and found and not (alone and found[0][0] < start):
            rr, found_rr = beats[0][2], found[0][2]
            if rr is not None and found_rr is not None:
                errors.append(rr - found_rr)
        if pair:
            matrix[beats.pop(0)[1], found.pop(0)[1]] += 1
        elif first_is_found:
            at, label, _ = found.pop(0)
            if start <= at <= end and not within(fibrillation, at):
                matrix[6 if within(unread, at) else 5, label] += 1
        else:
            at, label, _ = beats.pop(0)
            matrix[label, 6 if within(silent, at) else 5] += 1
    matrix[5:, 5:] = 0
    return matrix, errors, sum(last - first for first, last in silent)


def test_a_twin_by_hand_counts_the_same_on_random_annotations() -> None:
    rng = np.random.default_rng(0)
    symbols = list("NNNLVVSAFQ/!!x~~~[]")
    seen = np.zeros((7, 7), int)
    for _ in range(400):
        both = []
        for _ in range(2):
            n = rng.integers(0, 40)
            samples = np.sort(rng.choice(600, n, replace=False))
            subtypes = rng.choice([0, 1, 48, -1], n)
            subtypes = rng.choice([0, 1, 48, -1], n)
            both.append(Annotations(samples, rng.choice(symbols, n), subtypes))
        found = rules.compare(both[0], both[1], RATE, start=1.0, n_samples=580)
        matrix, errors, silent = by_hand(both[0], both[1], 100, 580, 15)
        assert found.matrix.tolist() == matrix.tolist()
        assert found.rr_errors == len(errors)
        assert found.squared_rr_errors == pytest.approx(sum(e**2 for e in errors) / RATE**2)
        assert found.unreadable == pytest.approx(silent / RATE)
        seen += matrix
        # The order of what is given does not matter.
        order = rng.permutation(len(samples))
        mixed = Annotations(samples[order], both[1].symbols[order], subtypes[order])
        again = rules.compare(both[0], mixed, RATE, start=1.0, n_samples=580)
        assert again.matrix.tolist() == matrix.tolist()
    # Each kind of count came up.
    assert (seen[:5, :6] > 0).all()
    assert (seen[5, :5] > 0).all()
    assert seen[:5, 6].sum() > 0
    assert seen[6, :5].sum() > 0


def test_a_detector_that_says_normal_or_anomalous(
    write: Write, compare: Callable[..., Any], script: Call
) -> None:
    # An hour from 5:00 on: of two V one is found as such, an N is called anomalous, and a beat
    # that is none.
    header = f"a 0 {RATE:g} {int(3900 * RATE)}"
    beats = {40_000: "N", 40_100: "V", 40_200: "N", 40_300: "V", 40_400: "N", 40_500: "N"}
    folder = write("ref/a.atr", beats, header=header)
    said = {40_003: "N", 40_101: "Q", 40_199: "Q", 40_302: "N", 40_399: "N", 40_600: "Q"}
    out = write("out/a.ecgad", said)
    result = compare(folder, out)
    for figures in (result["records"]["a"]["figures"], result["average"]):
        assert figures["sensitivity_V"] == 0.5
        assert figures["sensitivity_S"] is None
        assert figures["specificity"] == pytest.approx(2 / 3)
        assert figures["false_alarms_an_hour"] == pytest.approx(2)
        assert figures["qrs_sensitivity"] == pytest.approx(5 / 6)
    table = script(COMMAND, "compare", folder, out).stdout
    assert "Specificity                  66.67% (2/3)" in table
    assert "False alarms an hour            2.0 (2 in 1.0 h)" in table
    assert "VEB" not in table
    # One that names classes is none such.
    assert "specificity" not in compare(folder, folder, "--test", "atr")["average"]


def test_files_count_at_rates_of_their_own(
    write: Write, compare: Callable[..., Any], script: Call
) -> None:
    beats = dict.fromkeys(range(31000, 36000, 80), "N")
    reference = write("ref/a.atr", beats, header=f"a/2 1 {RATE:g}/250(0) 40000 12:00:00")
    by_note = write("note/a.ecgad", {at * 5: of for at, of in beats.items()}, rate=5 * RATE)
    by_header = write("head/a.ecgad", {at * 2: of for at, of in beats.items()}, header="a 1 200")
    for folder in (by_note, by_header):
        result = compare(reference, folder)
        assert result["gross"]["ratios"][0] == [len(beats), len(beats)]
        assert result["gross"]["rms_rr_error_ms"] == "0.00"
        assert "both are taken at 100 Hz" in script(COMMAND, "compare", reference, folder).stderr
    (reference / "a.hea").unlink()
    # Both count at 500 Hz then, as the test says.
    assert "--start 5:00" in script(COMMAND, "compare", reference, by_note).stderr
    write("ref/a.atr", beats, rate=RATE)
    assert compare(reference, by_note)["gross"]["ratios"][0] == [len(beats), len(beats)]


def test_what_cannot_be_compared_is_refused_in_a_line(
    write: Write, tmp_path: Path, fails: Callable[..., str]
) -> None:
    beats = dict.fromkeys(range(31000, 36000, 80), "N")
    ref, out = write("ref/a.atr", beats, header="a 1 100 40000"), write("out/a.ecgad", beats)
    other = write("other/a.atr", beats)

    def line(code: int, *arguments: str | Path) -> str:
        return fails(code, COMMAND, "compare", *arguments)

    assert "nowhere.atr" in line(3, tmp_path / "nowhere")
    assert "1 files end in .atr and 0 in .ecgad" in line(3, ref)
    assert "record a lacks annotations: no a.ecgad" in line(3, ref / "a")
    named = write("named/b.ecgad", beats)
    assert "their names differ, such as a and b" in line(3, ref, named)
    assert "are both of a record a" in line(2, ref, other, out)
    assert "--start 7:00" in line(2, ref, out, "--start", "7:00")
    assert "--start noon" in line(2, ref, out, "--start", "noon")
    assert "--test ../a" in line(2, ref, out, "--test", "../a")
    assert "is not one of" in line(2, ref, out, "--format", "nice")
    whole = (out / "a.ecgad").read_bytes()
    for content, why in (
        (b"", "its end is missing"),
        (whole[:-2], "its end is missing"),
        (whole[:-1], "odd number"),
        (b"\x30\xf4" + whole, "begins within"),
        (
            whole[:-2] + b"\x00\xec\x01\x00\x00\x00\x01\x04\x00\x00",
            "lies beyond the record's 40000",
        ),
        (b"\0\xec\xff\xff\0\0\1\4\0\0", "at sample -65535 lies beyond"),
    ):
        (out / "a.ecgad").write_bytes(content)
        assert why in line(3, ref, out), why
    (out / "a.ecgad").write_bytes(whole)
    (out / "a.hea").write_text("a 1 100 20000")
    assert "is of 400.0 s and" in line(4, ref, out)
    for header, why in (("a", "no WFDB header"), ("", "no WFDB header"), ("a 1 0", "of 0 Hz")):
        (out / "a.hea").write_text(header)
        assert why in line(3, ref, out)
    (out / "a.hea").unlink()
    (ref / "a.hea").unlink()
    assert "its sampling rate is unknown" in line(3, ref, out)


def test_a_record_named_twice_counts_once(write: Write, compare: Callable[..., Any]) -> None:
    beats = dict.fromkeys(range(31000, 36000, 80), "N")
    ref, out = write("ref/a.atr", beats, header="a 1 100"), write("out/a.ecgad", beats)
    once = compare(ref, out)
    assert once["gross"]["matrix"][0][0] == len(beats)
    assert compare(ref / "a", ref / "a.hea", ref, out, out / "a.ecgad", out) == once


def test_annotations_are_those_that_wfdb_reads(ec57: Path, mitdb: Path) -> None:
    for path in (mitdb / "102.atr", mitdb / "207.atr", ec57 / "random" / "f13.tst"):
        ours = read_annotation_file(path)
        theirs = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
        assert ours.samples.tolist() == theirs.sample.tolist()
        assert ours.symbols.tolist() == theirs.symbol
        assert ours.subtypes is not None
        assert ours.subtypes.tolist() == theirs.subtype.tolist()


def test_a_reader_that_goes_away_is_no_error(mitdb: Path) -> None:
    words = [sys.executable, "-m", "ecgad", "compare", str(mitdb), "--test", "atr", "--json"]
    with subprocess.Popen(
        words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as compared:
        assert compared.stdout is not None
        assert compared.stderr is not None
        compared.stdout.read(10)
        compared.stdout.close()
        assert compared.stderr.read() == ""
