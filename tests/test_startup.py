"""What a script does not need it does not import, so that it starts at once."""

import os
import subprocess
import sys

from .conftest import REPOSITORY, STAGES

HEAVY = {"torch", "pandas", "sklearn", "matplotlib", "scipy", "wfdb", "requests"}
WRAPPER = """
import runpy, sys
script, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = script
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as stop:
    assert not stop.code, stop.code
print("\\nloaded", *{name.partition(".")[0] for name in sys.modules})
if "torch._dynamo" in sys.modules:
    print("the compiler")
"""
# What each script loads of HEAVY to run the smoke config.
NEEDED = {
    "preprocess_data.py": {"pandas"},
    "train_model.py": {"torch"},
    # scikit-learn imports pandas itself.
    "evaluate_model.py": {"torch", "sklearn", "scipy", "pandas"},
    "visualize_results.py": {"matplotlib", "sklearn", "scipy", "pandas"},
}


def loaded(*command: str, cwd: object) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", WRAPPER, *command],
        cwd=str(cwd),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stderr
    assert "the compiler" not in done.stdout
    return set(done.stdout.rpartition("loaded ")[2].split()) & HEAVY


def test_scripts_import_no_more_than_they_need(tmp_path: object) -> None:
    for script in STAGES:
        path = str(REPOSITORY / script)
        assert loaded(path, "--help", cwd=tmp_path) == set()
        assert (
            loaded(path, "-c", str(REPOSITORY / "configs" / "smoke.yaml"), cwd=tmp_path)
            <= (NEEDED[script])
        )
