"""Archives: recordings dealt to several processes, what fails, all of them joined."""

import csv
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import archive as archive_benchmark
import pytest

from ecgad.artifacts import files
from ecgad.detection import archive, joined
from ecgad.detection.archive import Job, Outcome
from ecgad.errors import UserError
from ecgad.recordings.find import Found, share_of
from ecgad.runtime import processes, workers
from tests.conftest import REPOSITORY, Call, Open
from tests.helpers import Save, set_options

COMMAND, PREPROCESS = "ecgad/__main__.py", "preprocess_data.py"
NAMES = ["a", "b", "c", "d/e"]
judge = archive.judge


@pytest.fixture
def raw(save: Save) -> Path:
    """A folder of short records, one of them in a folder of its own."""
    for name in NAMES:
        folder = save(name)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder and below, by name."""
    there = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in there}


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {row["recording"]: row for row in csv.DictReader(file)}


def recordings(outcome: Any) -> list[str]:
    assert outcome.code == 0, outcome.stderr
    return [of["recording"] for of in json.loads(outcome.stdout)["recordings"]]


def test_shares_are_dealt_and_joined_to_what_one_call_gives(
    raw: Path, tmp_path: Path, script: Call, process: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards, and the ranks of a launcher, of which one is a process of its own."""
    whole, shards, ranks = (tmp_path / name for name in ("whole", "shards", "ranks"))
    assert recordings(script(COMMAND, "detect", raw, "-o", whole, "--json")) == NAMES
    made = content(whole)
    assert {"summary.csv", "index.html", "d/e.json"} < set(made)

    shares = [
        recordings(script(COMMAND, "detect", raw, "-o", shards, "--shard", f"{k}/3", "--json"))
        for k in (1, 2, 3)
    ]
    assert sorted(name for share in shares for name in share) == NAMES
    assert len([share for share in shares if share]) > 1
    assert "summary.csv" not in content(shards)
    assert script(COMMAND, "detect", "--summary", shards).stdout.startswith(
        "4 recordings, 0 failed"
    )
    assert content(shards) == made

    with monkeypatch.context() as of_rank:
        of_rank.setenv("RANK", "1")
        of_rank.setenv("WORLD_SIZE", "2")
        done = process(COMMAND, "detect", raw, "-o", ranks, "--json")
        of_second = recordings(done)
        assert "torch" not in done.imported
    with monkeypatch.context() as of_rank:
        of_rank.setattr(processes, "SIZE", 2)
        of_first = recordings(script(COMMAND, "detect", raw, "-o", ranks, "--json"))
    assert sorted(of_first + of_second) == NAMES
    assert of_first and of_second
    assert script(COMMAND, "detect", "--summary", ranks).code == 0
    assert content(ranks) == made


def test_a_share_stays_the_same_where_others_come() -> None:
    """Tasks of an array begin hours apart."""
    found = [Found(f"r{n}", Path(f"r{n}.hea"), "WFDB") for n in range(200)]
    before = [share_of(found[50:], share, 5) for share in range(5)]
    after = [share_of(found, share, 5) for share in range(5)]
    assert sorted(of.name for share in after for of in share) == sorted(of.name for of in found)
    for few, more in zip(before, after, strict=True):
        assert few == [of for of in more if of in found[50:]]
        assert 20 < len(few) < 45


def test_what_ought_to_be_there_is_missed(raw: Path, tmp_path: Path, script: Call) -> None:
    out = tmp_path / "out"
    assert script(COMMAND, "detect", raw / "a", "-o", out).code == 0
    outcome = script(COMMAND, "detect", raw, "--summary", out, "--json")
    assert outcome.code == 1
    failed = json.loads(outcome.stdout)["failed"]
    assert [of["recording"] for of in failed] == ["b", "c", "d/e"]
    assert "not been judged yet" in rows_of(out)["c"]["error"]
    # A later call over one recording keeps the table up to date.
    assert script(COMMAND, "detect", raw / "c", "-o", out).code == 0
    assert rows_of(out)["c"]["state"] == "done"


def test_shares_that_cannot_be_are_refused(
    raw: Path, tmp_path: Path, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for share in ("0/2", "3/2", "2", "a/b", "1/0"):
        assert "I/N is needed" in fails(2, COMMAND, "detect", raw, "--shard", share)
    joining = ("--summary", tmp_path, "--shard", "1/2")
    assert "leave out --shard" in fails(2, COMMAND, "detect", *joining)
    assert "RECORDING is missing" in fails(2, COMMAND, "detect")
    assert "nothing that `ecgad detect`" in fails(3, COMMAND, "detect", "--summary", raw)
    monkeypatch.setattr(processes, "SIZE", 2)
    assert "both deal out" in fails(2, COMMAND, "detect", raw, "--shard", "1/2")
    monkeypatch.setattr(processes, "RANK", -1)
    assert "RANK is" in fails(2, COMMAND, "detect", raw)
    assert "RANK is" in fails(2, PREPROCESS)


def test_tasks_of_slurm_are_shares() -> None:
    done = subprocess.run(
        ["bash", "sweeps/detect.slurm", "9", "archive", "found", "--leads", "V5"],
        cwd=REPOSITORY,
        env={**os.environ, "ECGAD": "echo", "SLURM_ARRAY_TASK_ID": "4", "SLURM_CPUS_PER_TASK": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "detect archive -o found --shard 4/9 --jobs 3 --leads V5\n"


def ended_at_b(found: Found, job: Job, path: Path, alone: bool) -> Outcome:
    """Judge, by a process that is ended from outside at one recording."""
    if found.name == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return judge(found, job, path, alone)


def test_a_process_that_is_ended_costs_its_recording_alone(
    raw: Path, tmp_path: Path, script: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_cores", lambda: 2)
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    assert script(COMMAND, "detect", raw, "-o", undisturbed).code == 0
    with monkeypatch.context() as ended:
        ended.setattr(archive, "judge", ended_at_b)
        outcome = script(COMMAND, "detect", raw, "-o", out, "--json")
    assert outcome.code == 1
    told = outcome.stderr.splitlines()[-1]
    assert "1 of 4 recordings failed: " in told and "b.hea: a process was ended" in told
    result = json.loads(outcome.stdout)
    assert [of["recording"] for of in result["recordings"]] == ["a", "c", "d/e"]
    assert [of["recording"] for of in result["failed"]] == ["b"]
    assert json.loads((out / "b.failed.json").read_text())["exit_code"] == 1
    assert rows_of(out)["b"]["state"] == "failed"

    again = script(COMMAND, "detect", raw, "-o", out)
    assert again.code == 0
    assert "3 of 4 recordings are done already" in again.stderr
    assert content(out) == content(undisturbed)


def unsendable(call: int) -> object:
    return lambda: call


def lasting(call: int) -> int:
    if call == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if call == 7:
        raise ZeroDivisionError
    return -call


def test_what_is_lost_is_replaced_and_what_fails_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "_cores", lambda: 2)
    calls = [(number,) for number in range(7)]
    found = list(workers.in_order(lasting, calls, lost=lambda call: 100 + call))
    assert sorted(found) == sorted([0, -1, -2, 103, -4, -5, -6])
    # One worker as well is a process of its own.
    alone = workers.in_order(lasting, calls, jobs=1, lost=lambda call: 100 + call)
    assert list(alone) == [0, -1, -2, 103, -4, -5, -6]
    with pytest.raises(ValueError, match="ended from outside"):
        list(workers.in_order(lasting, calls))
    with pytest.raises(ZeroDivisionError) as raised:
        list(workers.in_order(lasting, [(1,), (7,), (2,)]))
    assert "in lasting" in raised.value.__notes__[0]
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        list(workers.in_order(unsendable, [(1,), (2,), (3,)]))


def test_a_failure_is_kept_until_the_recording_is_judged(
    raw: Path, tmp_path: Path, script: Call, fails: Callable[..., str]
) -> None:
    out, signals = tmp_path / "out", raw / "b.dat"
    whole = signals.read_bytes()
    signals.write_bytes(whole[:1000])
    assert script(COMMAND, "detect", raw, "-o", out).code == 3
    kept = json.loads((out / "b.failed.json").read_text())
    assert kept["recording"] == "b" and "b.dat" in kept["error"]
    rows = rows_of(out)
    assert rows["b"]["error"] == kept["error"]
    summary = json.loads((out / "d/e.json").read_text())
    row = rows["d/e"]
    share = summary["anomalous"] / summary["judged"]
    assert share > 0
    assert float(row["share_anomalous"]) == pytest.approx(share, abs=1e-6)
    assert (row["state"], row["lead"], float(row["threshold"])) == (
        "done", "II", summary["detector"]["threshold"],
    )  # fmt: skip
    # The join ends as the call did, and of what was interrupted it says so.
    (out / "c.json").write_text(json.dumps({"unfinished": True, "made_by": {}}))
    joined_again = script(COMMAND, "detect", "--summary", out, "--json")
    assert joined_again.code == 3
    assert "2 of 4 recordings failed: b: " in joined_again.stderr
    assert [of["recording"] for of in json.loads(joined_again.stdout)["failed"]] == ["b", "c"]
    assert "interrupted" in rows_of(out)["c"]["error"]
    for damaged in (
        {"beats": "many"},
        {"seconds": 10**20},
        {"events": 7},
        {"judged": True, "lead": 1},
    ):
        (out / "d/e.json").write_text(json.dumps({**summary, **damaged}))
        assert script(COMMAND, "detect", "--summary", out).code == 3
        assert "is damaged" in rows_of(out)["d/e"]["error"]
    (out / "d/e.json").write_text(json.dumps(summary))

    signals.write_bytes(whole)
    assert script(COMMAND, "detect", raw, "-o", out).code == 0
    assert not (out / "b.failed.json").exists()
    assert {row["state"] for row in rows_of(out).values()} == {"done"}


def test_a_rank_that_failed_at_a_recording_ends_no_other(
    raw: Path, tmp_path: Path, script: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher ends all ranks where one ends with another code than 0."""
    (raw / "b.dat").write_bytes(b"")
    monkeypatch.setattr(processes, "SIZE", 2)
    monkeypatch.setattr(processes, "RANK", 1)
    done = script(COMMAND, "detect", raw, "-o", tmp_path / "out", "--quiet")
    assert done.code == 0
    assert re.match(r"error: 1 of \d recordings failed: ", done.stderr)
    assert (tmp_path / "out" / "b.failed.json").exists()


def test_files_of_others_are_kept_and_a_join_adds_to_earlier_ones(
    raw: Path, tmp_path: Path, script: Call, fails: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("mine")
    (out / "b.failed.json").write_text('{"of": "another"}')
    done = script(COMMAND, "detect", raw, "-o", out)
    assert done.code == 0
    assert "not joined: " in done.stderr
    assert (out / "index.html").read_text() == "mine"
    assert (out / "b.failed.json").exists()
    assert "not by this command" in fails(4, COMMAND, "detect", "--summary", out)
    (out / "index.html").unlink()
    assert script(COMMAND, "detect", "--summary", out).code == 0
    # Two of them alone: those that are in the table stay in it, and the table is no recording.
    assert script(COMMAND, "detect", raw / "a", raw / "b", "-o", out).code == 0
    assert list(rows_of(out)) == sorted(NAMES)
    words = ("--rate", "200", "--unit", "mV", "--quiet")
    assert "no recordings in" in fails(3, COMMAND, "detect", out, *words)


def test_the_benchmark_links_records_and_counts_what_was_written(
    raw: Path, tmp_path: Path, script: Call
) -> None:
    records, out = tmp_path / "records", tmp_path / "out"
    archive_benchmark.link(raw, records, 5)
    assert len(recordings(script(COMMAND, "detect", records, "-o", out, "--json"))) == 5
    found = archive_benchmark.content(out)
    beats = {name: int(row["beats"]) for name, row in rows_of(out).items()}
    assert found["beats"] == sum(beats.values()) > 5 * 30
    of_ours = (path for path in out.iterdir() if path.name not in ("index.html", "summary.csv"))
    assert archive_benchmark.written(found) == sum(path.stat().st_size for path in of_ours)
    assert found["disk"]["pages"] > found["disk"]["beats"]

    took = {"wall": 3.0, "again": 1.0, "joined": 1.0, "worker": 250.0, "index": 5000}
    known = {**took, "beside": {"wall": 0.1, "cpu": 2.0}}
    small = {**found, **known, "records": 10, "cpu": 20.0, "dealer": 50.0}
    large = {**found, **known, "records": 110, "cpu": 242.0, "dealer": 51.0}
    growth = archive_benchmark.growth([small, large])
    assert "| to one of 48 beside it | 1.00 | 1.10 |" in growth
    patient = {**large, "hours": 336.0, "signal": 10**9, "beats": 2_700_000, "cpu": 3600.0}
    study = archive_benchmark.study([small, large], patient)
    assert "| core-hours | 1,000 | 11,000 |" in study
    assert "| memory of the process that deals | 160 MB | 160 MB |" in study


def test_the_index_sorts_filters_and_leads_to_each_recording(tmp_path: Path, look: Open) -> None:
    figures = {"lead": "II", "sampling_rate": 250.0, "start": None, "seconds": 1800.0}
    figures |= {"heart_rate": {"lowest": 50.0, "median": 60.0, "highest": None}}
    figures |= {"events": {"all": 3, "single": 3, "couplet": 0, "run": 0, "per_hour": 6.0}}
    figures |= {"detector": {"name": "x", "promise": "<b>p", "threshold": 1.0}, "made_by": {}}
    for number in range(300):
        known = {"beats": 1000, "judged": 1000, "anomalous": number, "share_readable": number / 299}
        name = f"r{number} <i>#?"
        (tmp_path / f"{name}.json").write_text(json.dumps({**figures, **known, "recording": name}))
    (tmp_path / "r7 <i>#?.html").write_text("the page of it")
    failure = {"recording": "broken", "error": "cut <i>short", "exit_code": 3, "made_by": {}}
    (tmp_path / "broken.failed.json").write_text(json.dumps(failure))
    assert len(joined.join(tmp_path).failed) == 1

    page = look(tmp_path / "index.html")
    names = page.locator("#table tbody th")
    assert names.count() == 200
    assert names.first.text_content() == "r299 <i>#?"
    assert "29.9%" in (page.locator("tbody tr").first.text_content() or "")
    assert page.locator("#shown").text_content() == "301 recordings, the first 200 of them here"
    page.click("text=Least readable first")
    assert names.first.text_content() == "r0 <i>#?"
    sorted_by = page.locator('th[aria-sort="ascending"]')
    assert (sorted_by.text_content() or "").startswith("readable")
    # By keyboard: the order is turned round, and the focus stays.
    page.focus('[data-sort="share_readable"]')
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert names.first.text_content() == "r299 <i>#?"
    page.click("text=Show all")
    assert names.count() == 301
    assert names.last.text_content() == "broken"
    assert "failed: cut <i>short" in (page.locator("tbody tr").last.text_content() or "")
    page.click("text=Failures")
    assert page.locator("tbody tr").all_text_contents() == ["brokencut <i>short"]
    page.click("text=Most anomalous first")
    page.fill("#find", "R7 ii")
    assert names.count() == 11
    page.click('[data-sort="recording"]')
    assert names.first.text_content() == "r7 <i>#?"
    address = names.locator("a").first.evaluate("node => node.href")
    assert address == (tmp_path / "r7 <i>#?.html").as_uri()

    for width, scheme in ((390, "dark"), (1280, "light")):
        small = look(tmp_path / "index.html", width, color_scheme=scheme)
        assert small.evaluate("document.documentElement.scrollWidth") <= width


def ranks(n: int, folder: Path, *command: str | Path) -> list[subprocess.CompletedProcess[str]]:
    """Run a script as several ranks, as a launcher starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    known = {"WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=folder,
            env={**os.environ, **known, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(n)
    ]
    told = [of.communicate(timeout=100) for of in started]
    return [
        subprocess.CompletedProcess(command, of.returncode, *words)
        for of, words in zip(started, told, strict=True)
    ]


def test_ranks_read_their_share_and_write_the_files_of_one_process(
    raw: Path, tmp_path: Path, script: Call
) -> None:
    splits = {"train": ["a", "d/e"], "validation": ["b"], "test": ["c"]}
    options = set_options(raw, {
        "data.split.method": "records", "data.split.records": splits,
        "data.split.allow_patient_overlap": True,
    })  # fmt: skip
    one, several = tmp_path / "one", tmp_path / "several"
    alone = script(PREPROCESS, *options, "--set", f"data.processed_dir={one}", "--json")
    assert alone.code == 0, alone.stderr
    options += ["--set", f"data.processed_dir={several}", "--json"]
    first, second = ranks(2, tmp_path, REPOSITORY / PREPROCESS, *options)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert (second.stdout, second.stderr) == ("", "")
    result = {**json.loads(first.stdout), "processed_dir": str(one)}
    assert result == json.loads(alone.stdout)
    made, expected = content(several), content(one)
    manifests = [json.loads(of.pop("manifest.json"))["stages"] for of in (made, expected)]
    assert made == expected
    assert manifests[0]["preprocess"]["outputs"] == manifests[1]["preprocess"]["outputs"]


def test_what_ranks_keep_is_gone_in_the_end_and_a_full_disk_is_told(tmp_path: Path) -> None:
    path = tmp_path / "share-0"
    with files.scratch(path) as (name, file):
        file.write(b"some")
        assert [of.name for of in tmp_path.iterdir()] == [Path(name).name]
        files.remove_abandoned(tmp_path)
        assert Path(name).exists()
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(UserError, match=r"the disk is full: .*share-0 needs more than"),
        files.scratch(path) as (_, file),
        files.room(path, file),
    ):
        raise OSError(errno.ENOSPC, "no space")
    assert list(tmp_path.iterdir()) == []
