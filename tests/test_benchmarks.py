"""What the benchmarks are made of: what is kept, shared trainings, folds, and trial networks."""

import ast
from dataclasses import replace
from pathlib import Path

import measured
import mutants as mutants_tool
import mutants_run
import mutations
import new_patients
import numpy as np
import performance
import performance_page
import pytest
import quality
import torch
from cross_validation import Trial, cross_validate, folds
from quality_table import Row
from sklearn.metrics import average_precision_score, roc_auc_score
from torch.nn import functional
from trial_networks import NETWORKS, Penalised

from tests.conftest import REPOSITORY, STAGES
from tests.helpers import some_beats


def test_folds_score_every_beat_once_and_part_records() -> None:
    beats = some_beats(100)
    records = np.repeat([f"r{n}" for n in range(10)], 10)
    for of_records in (None, records):
        known = replace(beats, records=of_records)
        held_out = []
        for train, there in folds(known, seed=0):
            assert known.labels is not None and not known.labels[train].any()
            assert not set(train) & set(there)
            if of_records is not None:
                assert not set(records[train]) & set(records[there])
            held_out.append(there)
        assert sorted(np.concatenate(held_out)) == list(range(len(beats)))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_were_tried_learn(name: str) -> None:
    torch.manual_seed(0)
    phases = torch.rand(64, 1, 1) + torch.tensor([0.0, 0.5])[:, None]
    beats = torch.sin(6 * phases + torch.linspace(0, 6, 30))
    model = NETWORKS[name](2, 30, code_size=4)
    assert model.encode(beats).shape == (64, 4)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        made = model(beats)
        assert made.shape == beats.shape
        error = functional.mse_loss(made, beats)
        loss = error + model.penalty if isinstance(model, Penalised) else error
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(error.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_a_trial_is_measured_on_known_beats() -> None:
    options = {"data.synthetic.beats": "300", "training.epochs": "5", "evaluation.score": "mae"}
    (found,) = cross_validate(
        Trial("tiny", "smoke", "", options, corrupt="mask", seeds=1), REPOSITORY
    )
    assert 0.7 < found["auroc"] <= 1


def test_what_was_made_otherwise_is_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "results" / "one.json"
    assert measured.load(file, {"seed": 0}) is None
    measured.save(file, {"seed": 0}, [1.5])
    assert measured.load(file, {"seed": 0}) == [1.5]
    assert measured.load(file, {"seed": 1}) is None


def test_a_speed_task_is_run_as_often_as_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performance, "wait_for_quiet", lambda: None)
    seconds = iter([3.0, 1.0, 2.0])

    def measure(command: str, runs: int) -> list[float]:
        task = performance.Task(lambda *_: next(seconds), (command,), "smoke")
        return performance.measure(tmp_path, "fit", task, runs)

    assert measure("fit", 1) == [3.0]
    assert measure("fit", 2) == [3.0, 1.0]
    assert measure("fit", 2) == [3.0, 1.0]
    assert measure("fit otherwise", 1) == [2.0]


def test_the_growth_of_every_stage_is_shown() -> None:
    run = {"seconds": 1.5, "memory": 100.0}
    runs = {name: [run] for name in performance.growth_tasks(100_000)}
    table = performance_page.growth_table(runs)
    assert [table.count(f"| `{stage}` | 1.5 s, 100 MB |") for stage in STAGES] == [1] * 4


def test_rows_that_differ_in_the_evaluation_share_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = {"training.epochs": "1", "evaluation.baselines": "[]"}
    rows = [
        Row(name, "smoke", "", {**tiny, "evaluation.score": name}, seeds=1)
        for name in ("mae", "mse")
    ]
    quality.run(rows, tmp_path, tmp_path)
    (mae,), (mse,) = (quality.results(row, tmp_path) for row in rows)
    assert (mae["score"], mse["score"]) == ("mae", "mse")
    # Seconds of one and the same training.
    assert mae["seconds"]["training"] == mse["seconds"]["training"]
    (run,) = tmp_path.glob("smoke-*/*/run")
    assert not (run.parent / "data").exists()

    monkeypatch.setattr(quality, "sweep", lambda *_: pytest.fail("nothing is missing"))
    quality.run(rows, tmp_path, tmp_path)
    other = replace(rows[0], options={**tiny, "evaluation.score": "max"})
    assert quality.results(other, tmp_path) == []


TO_BE_CHANGED = '''"""Words."""
LIMIT = 2


def flagged(score, limit=LIMIT, strict=False):
    """Tell."""
    if score is None or not strict:
        raise ValueError(f"no score below {LIMIT}")
    score = abs(score - 0.5)
    log(score, mode="all")
    return score > limit and "it is so"
'''


def test_mutants_change_one_thing_each_and_words_for_people_never(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(TO_BE_CHANGED)
    found = mutations.mutants(tmp_path, "a.py")
    assert [(mutant.where, mutant.line, mutant.change) for mutant in found] == [
        ("", 2, "`2` made `3`"),
        ("flagged", 5, "`False` made `True`"),
        ("flagged", 7, "`score is None or not strict` made `not (score is None or not strict)`"),
        ("flagged", 7, "`score is None or not strict` made `score is None and (not strict)`"),
        ("flagged", 7, "`score is None` made `score is not None`"),
        ("flagged", 8, "`raise ValueError(f'no score below {LIMIT}')` left out"),
        ("flagged", 9, "`score = abs(score - 0.5)` left out"),
        ("flagged", 9, "`score - 0.5` made `score + 0.5`"),
        ("flagged", 9, "`0.5` made `1.0`"),
        ("flagged", 10, "`log(score, mode='all')` left out"),
        ("flagged", 10, "`log(score, mode='all')` made `log(score)`"),
        ("flagged", 10, "`'all'` made `'all_'`"),
        ("flagged", 11, "`score > limit and 'it is so'` made `score > limit or 'it is so'`"),
        ("flagged", 11, "`score > limit` made `score < limit`"),
        ("flagged", 11, "`score > limit` made `score >= limit`"),
    ]
    original = TO_BE_CHANGED.encode()
    for mutant in found:
        ast.parse(mutant.source(original))
    assert found[-2].source(original).decode() == TO_BE_CHANGED.replace(
        "score > limit", "(score < limit)"
    )
    # What a default is for shows in the body; what a constant of the module is for, anywhere.
    lines = [found[index].lines for index in (0, 1, -1)]
    assert lines == [range(0), range(6, 12), range(11, 12)]


def test_tests_that_run_a_changed_line_are_run_the_quick_ones_first(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(TO_BE_CHANGED)
    found = mutations.mutants(tmp_path, "a.py")
    tests = {
        name: mutants_run.Test(seconds, {"a.py": frozenset(lines)})
        for name, seconds, lines in (
            ("t.py::slow", 2.0, [7, 9, 11]),
            ("t.py::quick", 0.1, [7, 8]),
            ("u.py::quick", 0.05, [11]),
            ("u.py::endless", 100.0, [11]),
        )
    }
    last = [["u.py::quick"], ["t.py::slow"]]
    groups, seconds = mutants_tool.groups_for(found[-1], tests)
    assert groups == last and seconds == pytest.approx(2.05)
    raised = next(mutant for mutant in found if "raise" in mutant.change)
    assert mutants_tool.groups_for(raised, tests)[0] == [["t.py::quick"]]
    anywhere = [["u.py::quick"], ["t.py::quick"], ["t.py::slow"]]
    assert mutants_tool.groups_for(found[0], tests)[0] == anywhere
    assert mutants_tool.groups_for(found[-1], {"t.py::quick": tests["t.py::quick"]})[0] == []


def test_the_table_of_mutants_counts_what_came_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(TO_BE_CHANGED)
    found = mutations.mutants(tmp_path, "a.py")
    outcomes = ["noticed", "unnoticed", "noticed (too slow)", "noticed"]
    known = {m.name: {"outcome": o} for m, o in zip(found, outcomes, strict=False)}
    equivalent = {found[3].name: "no reason", found[4].name: "none either"}
    counted = {"a": mutants_tool.counts(found, known, equivalent)}
    page = tmp_path / "page.md"
    page.write_text(f"before\n{mutants_tool.BEGIN}\nold\n{mutants_tool.END}\nafter\n")
    mutants_tool.write_page(page, mutants_tool.table(counted), 0)
    text = page.read_text()
    assert "| a | 15 | 3 | 2 | 1 | 2 | 67% |" in text
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert all(reason for reason in mutants_tool.read_equivalent().values())


def test_differences_over_patients_are_those_of_brute_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Patients drawn anew, each with all beats, and both scores ranked by scikit-learn."""
    monkeypatch.setattr(new_patients, "RESAMPLES", 25)
    rng = np.random.default_rng(1)
    labels = (rng.random(240) < 0.3).astype(np.int8)
    patients = np.repeat([f"p{n:02}" for n in range(12)], 20)
    beats = replace(some_beats(240), labels=labels, patients=patients)
    better, first = (rng.normal(labels * apart, 1) for apart in (2.0, 1.0))
    drawn = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 25)
    for said, measure in zip(
        new_patients.differences(beats, better, first),
        (roc_auc_score, average_precision_score),
        strict=True,
    ):
        apart = []
        for counts in drawn:
            weights = np.repeat(counts, 20)
            of, base = (measure(labels, s, sample_weight=weights) for s in (better, first))
            apart.append(of - base)
        low, high = np.quantile(apart, (0.025, 0.975))
        assert said == f"{np.mean(apart):+.4f} [{low:+.4f}, {high:+.4f}]"
        assert np.mean(apart) > 0


def test_folds_of_new_patients_part_patients() -> None:
    patients = np.repeat([f"p{n}" for n in range(10)], 12)
    beats = replace(some_beats(120), labels=np.zeros(120, np.int8), patients=patients)
    fold = new_patients.folds(beats)
    assert sorted(set(fold)) == [0, 1, 2, 3]
    assert all(len(set(fold[patients == patient])) == 1 for patient in set(patients))
    for number in range(4):
        train = new_patients.training_normals(beats, number)
        assert not set(patients[train]) & set(patients[fold == number])
