"""Some hundreds of the broken files and kills of `benchmarks/faults.py`, and what judges them."""

import signal
from dataclasses import replace
from pathlib import Path
from random import Random

import fault_mutations
import fault_runs
import faults
import faults_page
import pytest
from fault_bases import VISUALIZE, Bases, make_bases
from fault_cases import KINDS, Verdict, draw, judge_files, judge_words, run_case
from fault_compare import snapshot
from fault_runs import Outcome

from ecgad.runtime.workers import in_order

BASES = ("synthetic", "csv", "wfdb")
# What takes milliseconds: drawing does not.
FAST_KINDS = [
    replace(kind, bases=there, read=tuple(read for read in kind.read if VISUALIZE not in read[1]))
    for kind in KINDS
    if (there := tuple(base for base in kind.bases if base in BASES))
]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """Small experiments that cases start from."""
    fault_runs.warm_up()
    return make_bases(tmp_path_factory.mktemp("bases"), BASES, drawn=False)


def run_first_step(number: int, bases: Bases) -> tuple[int, Verdict]:
    """Run a case up to its first stage."""
    case = draw(0, number, bases, FAST_KINDS)
    return number, run_case(replace(case, steps=case.steps[:1], own=False), bases)


def test_whatever_is_broken_one_line_says_it_and_nothing_is_lost(bases: Bases) -> None:
    found = list(in_order(run_first_step, ((number, bases) for number in range(200))))
    assert [(number, verdict) for number, verdict in found if verdict.wrong] == []
    assert {code for _, verdict in found for code in verdict.codes} >= {0, 2, 3, 4}


def test_what_was_killed_ends_as_if_it_had_not_been(bases: Bases) -> None:
    jobs = ("kill", "kill", "kill", "kill", "disk", "disk", "two", "two")
    calls = [(0, what, number, bases) for number, what in enumerate(jobs)]
    found = list(in_order(faults.run_job, calls))
    assert [row for row in found if row["wrong"]] == []
    assert {code for row in found for code in row["codes"]} & {-signal.SIGKILL, 130}


def test_the_same_seed_gives_the_same_cases(bases: Bases) -> None:
    first, second = ([draw(3, n, bases, FAST_KINDS) for n in range(40)] for _ in range(2))
    assert first == second
    assert first != [draw(4, n, bases, FAST_KINDS) for n in range(40)]


@pytest.mark.parametrize(
    ("outcome", "wrong"),
    [
        (Outcome(0, '{"a": 1}\n', "note: read\n"), ""),
        (Outcome(3, "", "record 1 of 2\nerror: no file\n"), ""),
        (Outcome(1, "", "error: the disk is full: a needs 1 kB\n"), ""),
        (Outcome(1, "", "error: strange\n"), "exit code 1"),
        (Outcome(3, "", "error: one\nerror: two\n"), "2 lines of error"),
        (Outcome(3, "", "error: one\nmore\n"), "1 lines of error"),
        (Outcome(1, "", "Traceback (most recent call last):\n"), "traceback"),
        (Outcome(3, "", "x.py:1: RuntimeWarning: divide\nerror: one\n"), "a warning"),
        (Outcome(0, '{"a": NaN}\n', ""), "a result that is no number: NaN"),
        (Outcome(0, "", ""), "not one line of result"),
        (Outcome(2, "{}\n", "error: one\n"), "output beside an error"),
        (Outcome(-11, "", ""), "ended by signal 11"),
        (Outcome(None, "", ""), "hangs"),
    ],
)
def test_how_a_run_ends_is_judged(outcome: Outcome, wrong: str) -> None:
    assert judge_words(outcome, "train_model.py") == wrong


@pytest.mark.parametrize(
    ("code", "file", "wrong"),
    [
        (0, "run/history.csv", ""),
        (0, "run/mine.txt", "run/mine.txt is changed"),
        (0, "run/metrics.json", "run/metrics.json is changed"),
        (0, "raw/beats.csv", "raw/beats.csv is changed"),
        (3, "run/history.csv", "exit code 3, and run/history.csv is changed"),
        (0, "run/.history.csv.12345678.ecgad", "a hidden temporary file is left"),
        (0, "PICKLED/x", "a pickle was executed"),
    ],
)
def test_what_a_training_changes_is_judged(
    tmp_path: Path, code: int, file: str, wrong: str
) -> None:
    before = snapshot(tmp_path)
    path = tmp_path / "work" / file
    path.parent.mkdir(parents=True)
    path.write_text("changed")
    outcome = Outcome(code, "", "")
    assert judge_files(outcome, before, snapshot(tmp_path), "train_model.py") == wrong


@pytest.mark.parametrize("before", [b"one two three four five", b"x" * 500])
def test_a_failure_is_made_smaller(before: bytes) -> None:
    after = before[:3] + b" and more than BAD things happen here " + before[3:]
    found = fault_mutations.shrink(before, after, lambda content: b"BAD" in content, 60)
    assert b"BAD" in found
    assert len(found) < len(before) + 8


@pytest.mark.parametrize("form", fault_mutations.FORMS)
def test_every_way_to_break_bytes_takes_any_file(form: str) -> None:
    ways = {**fault_mutations.BYTES, **fault_mutations.TEXT}
    for way in ways.values():
        for content in (b"", b"\0", b"12,x\n"):
            assert isinstance(way(Random(0), content), bytes)
    assert set(ways) - set(fault_mutations.TEXT) <= set(fault_mutations.ways(form))


def test_the_table_counts_and_stands_between_its_marks(tmp_path: Path) -> None:
    rows = [
        {"kind": "a", "way": "cut", "codes": [3], "wrong": "", "own": False, "seconds": 1.0},
        {"kind": "a", "way": "cut", "codes": [0], "wrong": "", "own": True, "seconds": 1.0},
        {"kind": "b", "way": "cut", "codes": [1], "wrong": "traceback", "own": False}
        | {"seconds": 1.0, "signature": "traceback x", "what": "file", "number": 7},
    ]
    page = tmp_path / "page.md"
    page.write_text(f"before\n{faults_page.BEGIN}\nold\n{faults_page.END}\nafter\n")
    faults_page.write(page, rows)
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "| a | 1 | 2 | 1 | 1 | 0 |" in lines
    assert "| **all** | 2 | 3 | 1 | 1 | 1 |" in lines
    assert "old" not in lines
    told = faults.summary(0, rows)
    assert (told["tried"], told["wrong"]) == (3, 1)
    assert told["failures"] == {"traceback x": {"n": 1, "first": ["file", 7]}}
