"""`ecgad export`: the detector of a run as one ONNX file."""

import json as jsonlib
import logging
import os
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ecgad.commands.exits import exit_code
from ecgad.commands.options import Json, Quiet
from ecgad.errors import ConfigError, FileError, MismatchError
from ecgad.runtime.console import Console
from ecgad.runtime.locks import FolderLock


def export(
    run_dir: Annotated[
        Path, typer.Argument(metavar="RUN_DIR", help="Of a run that was evaluated.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file, such as a.onnx.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    console = Console(quiet)

    def work() -> None:
        with ExitStack() as stack:
            summary = _export(run_dir, output, overwrite, console, stack)
        if json:
            print(jsonlib.dumps(summary, allow_nan=False))
        else:
            print(
                f"{summary['file']}: {summary['bytes'] / 1e6:.1f} MB, sha256 {summary['sha256']}; "
                f"scores and verdicts of {summary['checked_beats']} test beats are those of the run"
            )

    return exit_code(work, "run it again")


def _export(
    run_dir: Path, output: Path, overwrite: bool, console: Console, stack: ExitStack
) -> dict[str, Any]:
    """Write the file, and return what is printed of it; where it is there already, say so.

    Raises ConfigError where it is to have another name, MismatchError where another file is there,
    FileError where the run is not whole.
    """
    from ecgad.artifacts import files, runs
    from ecgad.artifacts.stages import Stage
    from ecgad.detection.detector import ONNX
    from ecgad.detection.onnx import OnnxDetector
    from ecgad.experiment import load_experiment

    if output.suffix.lower() != ONNX:
        raise ConfigError(f"--output {output}: a detector is a file whose name ends in {ONNX}")
    if not (run_dir / runs.CONFIG).is_file():
        raise FileError(
            f"{run_dir} is no run dir: it has no {runs.CONFIG}; train_model.py makes it"
        )
    experiment = load_experiment(run_dir / runs.CONFIG)

    def hold(folder: Path, write: bool) -> FolderLock:
        lock = FolderLock(folder, write=False, say=console.say)
        stack.callback(lock.close)
        return lock

    # As the pictures do, a file needs the evaluation and all before it.
    stage = Stage("visualize", experiment, run_dir, hold)
    if os.path.lexists(output) and not overwrite:
        if not _is_of(output, files.sha256(run_dir / runs.DETECTOR)):
            raise MismatchError(
                f"{output} is there already, and is not the detector of {run_dir}; give "
                f"--overwrite to replace it, or choose another name"
            )
        console.say(f"{output} is exported already, from the same detector")
    else:
        files.make_folder(output.parent)
        files.check_writable(output.parent)
        for needed in ("torch", "onnx", "onnxscript"):
            if find_spec(needed) is None:
                raise ConfigError(
                    f"{needed} is not installed, which export needs: pip install 'ecgad[export]'"
                )
        from ecgad.detection.export import export_run

        console.say(f"exporting {run_dir}")
        logging.disable(logging.INFO)
        files.save_bytes(output, export_run(stage))
    return {
        "file": str(output),
        "bytes": output.stat().st_size,
        "sha256": files.sha256(output),
        "checked_beats": OnnxDetector.load(output).metadata["checked_beats"],
    }


def _is_of(path: Path, digest: str) -> bool:
    """Return whether a file is the one of a detector whose own file has that SHA-256."""
    from ecgad.detection.onnx import OnnxDetector

    try:
        return OnnxDetector.load(path).metadata.get("detector_sha256") == digest
    except FileError:
        return False
