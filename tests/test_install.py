"""The package as others install it: a wheel in an environment without the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from .conftest import REPOSITORY

PARTS = ("ecgad", "configs", "pyproject.toml", "requirements.txt", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing is left in the checkout."""
    source, built = (tmp_path_factory.mktemp(name) for name in ("source", "built"))
    for part in PARTS:
        copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy
        copy(REPOSITORY / part, source / part)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    (path,) = built.glob("ecgad-*.whl")
    return path


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment, in which ecgad is that wheel alone."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    programs = folder / "bin"
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # What ecgad needs is found where it is installed; the checkout, linked from there, is not.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    words = [str(word) for word in command]
    return subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_every_module_config_and_page_and_the_detector(wheel: Path) -> None:
    there = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("ecgad/**/*.py")}
    configs = {f"ecgad/configs/{path.name}" for path in REPOSITORY.glob("configs/*.yaml")}
    pages = {
        str(path.relative_to(REPOSITORY))
        for kind in ("css", "js")
        for path in REPOSITORY.glob(f"ecgad/pages/*.{kind}")
    }
    assert there == modules | configs | pages | {"ecgad/detection/recordings.onnx"}


def test_the_scripts_need_what_a_detector_needs_and_what_training_does() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    needed = {*project["dependencies"], *project["optional-dependencies"]["train"]}
    scripts = set((REPOSITORY / "requirements.txt").read_text().split("\n")) - {""}
    # They make a detector and run none.
    assert needed - scripts == {"onnxruntime>=1.23,<2"}
    assert scripts <= needed


def test_an_installed_ecgad_works_from_anywhere(bare: Path, tmp_path: Path) -> None:
    for command in ([bare / "ecgad"], [bare / "python", "-m", "ecgad"]):
        done = run(*command, "--version", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "ecgad 0.1.0\n"), done.stderr
    told = run(bare / "ecgad", cwd=tmp_path)
    assert told.returncode == 0
    assert "four scripts" in told.stdout
    assert "export" in told.stdout
    wrong = run(bare / "ecgad", "evaluate", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: No such command 'evaluate'")
    assert wrong.stderr.count("\n") == 1

    code = """
import ecgad, sys
from ecgad.experiment import load_experiment
assert load_experiment().name == "demo"
assert "torch" not in sys.modules
from ecgad import Detector
print(ecgad.__file__, Detector.__name__)
"""
    done = run(bare / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file, name = done.stdout.split()
    assert Path(file).is_relative_to(bare.parent)
    assert name == "Detector"


def test_a_command_is_imported_when_it_is_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Subcommands are modules of one folder, of which only the one called is imported."""
    from ecgad import __main__, commands

    (tmp_path / "count.py").write_text("def count(n: int) -> None:\n    print(n + 1)\n")
    (tmp_path / "broken.py").write_text("raise ImportError\n")
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.setattr(__main__, "COMMANDS", {"count": "Count on.", "broken": "Fail."})
    for arguments, words in ((["count", "41"], "42\n"), (["--help"], "Count on.")):
        monkeypatch.setattr(sys, "argv", ["ecgad", *arguments])
        with pytest.raises(SystemExit) as stop:
            __main__.main()
        assert not stop.value.code
        assert words in capsys.readouterr().out
