"""What the tests share: tiny data, the scripts as processes and in-process, the real data."""

import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Tiny networks gain nothing from threads, and lose much where other processes have the cores.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import wfdb

from tests.helpers import RATE, Save, easy_recording

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REPOSITORY = Path(__file__).parent.parent
SMOKE = REPOSITORY / "configs" / "smoke.yaml"
IMPORT = "import time:"
STAGES = ("preprocess_data.py", "train_model.py", "evaluate_model.py", "visualize_results.py")


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str
    imported: frozenset[str] = frozenset()  # modules, where it was a process of its own


Call = Callable[..., Outcome]


def own_signals() -> None:
    """Leave Ctrl-C to pytest, and to the processes that it starts: a script has its own way."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Leave signals as they were."""
    yield
    own_signals()


@pytest.fixture
def process(tmp_path: Path) -> Call:
    """Run a script as a process of its own in an empty folder."""

    def run(script: str, *arguments: str | Path) -> Outcome:
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / script), *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        )
        told = [line for line in done.stderr.splitlines() if not line.startswith(IMPORT)]
        imported = {
            line.rpartition("|")[2].strip()
            for line in done.stderr.splitlines()
            if line.startswith(IMPORT)
        }
        return Outcome(done.returncode, done.stdout, "\n".join(told), frozenset(imported))

    return run


@pytest.fixture
def script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run a script in this process, which saves the seconds that importing torch takes."""
    monkeypatch.chdir(tmp_path)

    def run(script: str, *arguments: str | Path) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(REPOSITORY / script), run_name="__main__")
        own_signals()
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def fails(script: Call) -> Callable[..., str]:
    """Run a script that has to fail with this code and one line of explanation; return the line."""

    def run(code: int, name: str, *arguments: str | Path) -> str:
        outcome = script(name, *arguments)
        assert outcome.code == code, outcome.stderr
        assert outcome.stdout == ""
        errors = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert outcome.stderr.endswith(errors[0] + "\n")
        assert "Traceback" not in outcome.stderr
        return errors[0]

    return run


@pytest.fixture
def stages(script: Call) -> Callable[..., None]:
    """Run the first stages, each of which has to succeed."""

    def run(names: Sequence[str], *arguments: str | Path) -> None:
        for name in names:
            outcome = script(name, *arguments)
            assert outcome.code == 0, outcome.stderr

    return run


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a WFDB record into a folder, and return the folder."""

    def write(
        name: str = "r1",
        ecg: np.ndarray | None = None,
        rate: float = RATE,
        leads: tuple[str, ...] = ("II",),
        samples: np.ndarray | None = None,
        symbols: list[str] | None = None,
        comments: tuple[str, ...] = (),
    ) -> Path:
        easy, its_samples, its_symbols = easy_recording()
        values = np.stack([easy if ecg is None else ecg] * len(leads), axis=1)
        folder = tmp_path / "raw" / Path(name).parent
        folder.mkdir(parents=True, exist_ok=True)
        stem = Path(name).name
        wfdb.wrsamp(
            stem,
            fs=rate,
            units=["mV"] * len(leads),
            sig_name=list(leads),
            p_signal=values,
            fmt=["16"] * len(leads),
            comments=list(comments),
            write_dir=str(folder),
        )
        wfdb.wrann(
            stem,
            "atr",
            its_samples if samples is None else samples,
            its_symbols if symbols is None else symbols,
            fs=rate,
            write_dir=str(folder),
        )
        return tmp_path / "raw"

    return write


def real_data(file: str) -> Path:
    """The folder of a file of real ECG; skips the test where it is absent."""
    data = Path(os.environ.get("ECGAD_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (data / file).exists():
        pytest.skip(f"no real ECG in {data}: {file} is missing; set ECGAD_TEST_DATA")
    return (data / file).absolute().parent


@pytest.fixture(scope="session")
def ecg5000() -> Path:
    """The folder of the real ECG5000 files."""
    return real_data("ecg5000/ECG5000_TRAIN.ts")


@pytest.fixture(scope="session")
def mitdb() -> Path:
    """The folder of the real MIT-BIH records."""
    return real_data("mitdb/100.hea")


@pytest.fixture(scope="session")
def ptbdb() -> Path:
    """The folder of real records and rows of PTB."""
    return real_data("ptbdb/ptbdb_normal_10rows.csv")


@pytest.fixture(scope="session")
def svdb() -> Path:
    """The folder of real records of the supraventricular database."""
    return real_data("svdb/800.hea")


@pytest.fixture(scope="session")
def ec57(mitdb: Path) -> Path:
    """The folder of annotations to compare, and what bxb says of them."""
    return real_data("ec57/mitdb/expected.json").parent


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A real browser without a window; skips the test where there is none."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("no Chromium: install Debian's package chromium, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        # As root it has no sandbox of its own. It shall not look for updates.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        arguments += ["--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


Open = Callable[..., "Page"]


@pytest.fixture
def look(browser: "Browser") -> Iterator[Open]:
    """Open a file as a page, which may ask for nothing and has to run without an error."""
    asked: list[str] = []
    errors: list[str] = []
    contexts = []

    def open_page(path: Path, width: int = 1280, **options: Any) -> "Page":
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    assert len(asked) == len(contexts), asked
