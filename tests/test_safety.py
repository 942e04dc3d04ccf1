"""What lies on disk: files of users stay, what is left over goes, what is held is waited for."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ecgad.artifacts import files, manifest, tensors
from ecgad.commands.exits import exit_code
from ecgad.errors import FileError, MismatchError
from ecgad.runtime import reading, workers
from ecgad.runtime.locks import FolderLock
from ecgad.scoring.reference_beats import ReferenceBeats
from ecgad.training import feeding
from tests.conftest import REPOSITORY, SMOKE, STAGES, Call

PREPROCESS, TRAIN, EVALUATE, VISUALIZE = STAGES
C = ("-c", SMOKE)
DATA = Path("data/processed/smoke")
RUN = Path("runs/smoke")

Fails = Callable[..., str]
Stages = Callable[..., None]


def hidden(folder: Path) -> list[str]:
    """The names of hidden files in a folder and below."""
    return [str(path) for path in folder.rglob(".*")]


@pytest.mark.parametrize(
    ("stage", "foreign"),
    [
        (PREPROCESS, DATA / "scaler.json"),
        (PREPROCESS, DATA / "beats_train.npy"),
        (PREPROCESS, DATA / "times_test.npy"),
        (TRAIN, RUN / "config.yaml"),
        (TRAIN, RUN / "history.csv"),
        (TRAIN, RUN / "checkpoint_last.pt"),
        (EVALUATE, RUN / "metrics.json"),
        (VISUALIZE, RUN / "report.html"),
    ],
)
def test_a_file_that_no_manifest_names_is_never_replaced(
    stages: Stages, fails: Fails, stage: str, foreign: Path
) -> None:
    stages(STAGES[: STAGES.index(stage)], *C)
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("mine")
    for flags in ([], ["--overwrite"], ["--resume"] if stage == TRAIN else []):
        line = fails(4, stage, *C, *flags)
        assert foreign.name in line
    assert foreign.read_text() == "mine"


def test_a_config_beside_the_run_is_kept_with_its_comments(stages: Stages, fails: Fails) -> None:
    folder = Path("exp")
    folder.mkdir()
    mine = "# my notes\n" + SMOKE.read_text()
    (folder / "config.yaml").write_text(mine)
    options = ("-c", folder / "config.yaml", "--run-dir", folder)
    stages([PREPROCESS], *options)
    assert "config.yaml is in the way" in fails(4, TRAIN, *options)
    assert (folder / "config.yaml").read_text() == mine
    # One that ecgad wrote, and somebody commented: later stages leave it as it is.
    stages([TRAIN], *options, "--run-dir", "run")
    commented = Path("run/config.yaml").read_text() + "# chosen on validation\n"
    Path("run/config.yaml").write_text(commented)
    stages([EVALUATE], "-c", "run/config.yaml", "--run-dir", "run")
    assert Path("run/config.yaml").read_text() == commented


def test_overwriting_removes_what_the_manifest_names_and_nothing_else(stages: Stages) -> None:
    fast = (*C, "--set", "evaluation.baselines=[]", "--set", "figures.dpi=30")
    stages(STAGES[:3], *fast)
    elsewhere = Path("pictures")
    elsewhere.mkdir()
    (RUN / "figures").symlink_to(elsewhere.absolute())
    (elsewhere / "holiday.png").write_text("mine")
    known = manifest.load(RUN)
    known.files["visualize"] = ["figures/earlier.png"]
    manifest.save(RUN, known)
    (elsewhere / "earlier.png").write_text("ours, of an earlier drawing")
    stages([VISUALIZE], *fast, "--overwrite")
    drawn = {path.name for path in elsewhere.iterdir()}
    assert {"confusion_matrices.png", "holiday.png"} <= drawn
    assert "earlier.png" not in drawn
    assert (elsewhere / "holiday.png").read_text() == "mine"


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path: Path, script: Call) -> None:
    folder = tmp_path / "data"
    options = ["--set", f"data.processed_dir={folder}", "--jobs", "1"]
    with subprocess.Popen(
        [sys.executable, REPOSITORY / PREPROCESS, *options, "--set", "data.synthetic.beats=5000000"]
    ) as killed:
        while not list(folder.glob(".beats_train.npy.*")):
            assert killed.poll() is None
            time.sleep(0.02)
        killed.kill()
    assert hidden(folder)
    (folder / ".notes").write_text("mine")
    with files.written(folder / "own.npy") as file:
        file.write(b"still being written")
        assert script(PREPROCESS, *C, "--set", f"data.processed_dir={folder}").code == 0
        living = [Path(name).name for name in hidden(folder)]
        assert sorted(living)[0] == ".notes"
        assert len(living) == 2
    assert (folder / "own.npy").read_bytes() == b"still being written"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["stages"]["preprocess"].update(outputs=None),
        lambda content: content["stages"]["preprocess"].pop("summary"),
        lambda content: content["stages"]["preprocess"]["settings"].update(seed=1),
        lambda content: content.pop("files"),
        lambda content: content.pop("sha256"),
        lambda content: content["files"].update(preprocess=["../../mine.csv"]),
    ],
)
def test_a_changed_manifest_is_refused(
    stages: Stages, fails: Fails, change: Callable[[dict], object]
) -> None:
    stages([PREPROCESS], *C)
    content = json.loads((DATA / "manifest.json").read_text())
    change(content)
    (DATA / "manifest.json").write_text(json.dumps(content))
    assert "manifest.json is damaged" in fails(3, PREPROCESS, *C, "--overwrite")
    assert "manifest.json is damaged" in fails(3, TRAIN, *C)


def test_a_manifest_names_no_file_of_another_folder(tmp_path: Path) -> None:
    manifest.save(tmp_path, manifest.Manifest(files={"train": ["../mine.csv"]}))
    with pytest.raises(FileError, match="damaged"):
        manifest.load(tmp_path)


def test_what_is_read_is_not_replaced(stages: Stages, fails: Fails, script: Call) -> None:
    stages([PREPROCESS], *C)
    reader = FolderLock(DATA, write=False, say=pytest.fail)
    line = fails(4, PREPROCESS, *C, "--set", "data.synthetic.beats=500", "--overwrite")
    assert "is being read by another process" in line
    # Others may read, and learn that it is finished.
    assert script(PREPROCESS, *C).code == 0
    assert script(TRAIN, *C).code == 0
    reader.close()
    stages([PREPROCESS], *C, "--set", "data.synthetic.beats=500", "--overwrite")


def test_who_writes_is_waited_for(tmp_path: Path, script: Call) -> None:
    (tmp_path / DATA).mkdir(parents=True)
    writer = FolderLock(tmp_path / DATA, write=True, say=pytest.fail)
    assert writer.alone
    with subprocess.Popen(
        [sys.executable, REPOSITORY / PREPROCESS, *C],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as second:
        assert second.stderr is not None
        told = second.stderr.readline()
        assert told == f"waiting for another process that writes into {DATA}\n"
        writer.close()
        assert second.wait(30) == 0
    assert "already" in script(PREPROCESS, *C).stderr


def test_splits_that_are_replaced_during_training_end_it(
    stages: Stages, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages([PREPROCESS], *C)
    usual = feeding.feed

    def feed(*arguments: object) -> object:
        path = DATA / "labels_train.npy"
        path.with_name("copy").write_bytes(path.read_bytes())
        path.with_name("copy").replace(path)
        return usual(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(feeding, "feed", feed)
    assert "labels_train.npy was replaced" in fails(4, TRAIN, *C)
    monkeypatch.undo()


@pytest.mark.parametrize("rows", [slice(60, 90), np.array([2, 80])])
def test_a_file_that_has_become_shorter_is_told(tmp_path: Path, rows: slice | np.ndarray) -> None:
    path = tmp_path / "beats.npy"
    np.save(path, np.arange(100 * 64.0).reshape(100, 64))
    mapped = np.load(path, mmap_mode="r")
    np.testing.assert_array_equal(reading.read_rows(mapped, rows), np.array(mapped)[rows])
    np.save(tmp_path / "other.npy", np.zeros((10, 64)))
    (tmp_path / "other.npy").replace(path)
    with pytest.raises(MismatchError, match=r"beats.npy was replaced"):
        reading.read_rows(mapped, rows)


def test_a_flipped_bit_in_a_tensor_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    content = {"format": 1, "weights": {"w": torch.arange(500.0)}, "epoch": 3}
    tensors.save_tensors(path, content)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        starts = [entry.header_offset for entry in file.infolist() if entry.file_size > 1000]
    assert starts
    for start in starts:
        for offset in (300, 1000, 1999):
            changed = bytearray(whole)
            changed[start + offset] ^= 16
            path.write_bytes(changed)
            with pytest.raises(FileError, match=r"checksum of .* differs"):
                tensors.load_tensors(path, "checkpoint", 1, "train again")
    path.write_bytes(whole)
    assert tensors.load_tensors(path, "checkpoint", 1, "train again")["epoch"] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"history": [[1, 2]]},
        {"epoch": 3},
        {"surprise": 1},
        {"best_epoch": 9},
        {"best_weights": {}},
        {"optimizer": {"steps": 1}},
    ],
)
def test_a_training_state_that_is_not_whole_is_refused(
    stages: Stages, fails: Fails, change: dict[str, object]
) -> None:
    options = (*C, "--set", "training.schedule=constant", "--set", "training.epochs=2")
    stages([PREPROCESS, TRAIN], *options)
    (RUN / "checkpoint_best.pt").unlink()  # as if it had not come to its end
    path = RUN / "checkpoint_last.pt"
    content = torch.load(path, weights_only=True)
    content["training"] |= change
    torch.save(content, path)
    assert "no whole training state" in fails(4, TRAIN, *options, "--resume")
    torch.save({**content, "settings": None}, path)
    assert "no whole training state" in fails(4, TRAIN, *options, "--resume")


@pytest.mark.parametrize("name", ["manifest.json", "beats.json", "beats_train.npy"])
def test_a_pipe_is_not_waited_for(stages: Stages, fails: Fails, name: str) -> None:
    stages([PREPROCESS], *C)
    (DATA / name).unlink()
    os.mkfifo(DATA / name)
    assert name in fails(3, TRAIN, *C)
    os.mkfifo("pipe.yaml")
    assert "pipe.yaml: it is no file" in fails(2, TRAIN, "-c", "pipe.yaml")


def test_reference_beats_have_one_order_whatever_that_of_their_features() -> None:
    values = np.ones(3, np.float32)
    forth, back = {"mae": values, "codes": values}, {"codes": values, "mae": values}
    orders = [list(ReferenceBeats([of]).to_dict()["members"][0]) for of in (forth, back)]
    assert orders[0] == orders[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("when", "code", "line"),
    [
        ("import ecgad.commands; kill()", 130, "error: interrupted"),
        (
            "from ecgad.commands.exits import exit_code; sys.exit(exit_code(kill, 'go on'))",
            130,
            "error: interrupted; go on",
        ),
        (
            "from ecgad.commands.exits import exit_code\n"
            "code = exit_code(lambda: None, ''); kill(); sys.exit(code)",
            0,
            "",
        ),
    ],
)
def test_an_interruption_is_one_line_whenever_it_comes(
    number: int, when: str, code: int, line: str
) -> None:
    kill = f"import os, sys\ndef kill(): os.kill(os.getpid(), {int(number)})\n"
    done = subprocess.run(
        [sys.executable, "-c", kill + when], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (code, line)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EACCES, 3),
        (errno.EISDIR, 3),
        (errno.ENOENT, 3),
        (errno.ENAMETOOLONG, 3),
        (errno.EIO, 1),
        (errno.ENOSPC, 1),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_of_its_own(
    capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    def work() -> None:
        raise OSError(number, os.strerror(number), "runs/smoke")

    assert exit_code(work, "") == code
    assert capsys.readouterr().err == f"error: runs/smoke: {os.strerror(number)}\n"


def test_a_name_that_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    name = b"\xff"
    for script, code in ((PREPROCESS, 0), (EVALUATE, 3)):
        options: list[str | bytes | Path] = ["-c", SMOKE, "--run-dir", name]
        options += ["--set", "data.processed_dir=here"]
        done = subprocess.run(
            [sys.executable, REPOSITORY / script, *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUTF8": "1"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
    assert done.stderr.startswith(b"error: no finished output of train_model.py in \\udcff")


def test_no_more_processes_work_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Worker(workers._Worker):
        def __init__(self) -> None:
            started.append(self)
            super().__init__()

    monkeypatch.setattr(workers, "_Worker", Worker)
    monkeypatch.setattr(workers, "_cores", lambda: 2)
    assert list(workers.in_order(abs, [(-1,), (-2,), (-3,)], jobs=300)) == [1, 2, 3]
    assert len(started) == 2
