"""`ecgad export`: the detector of a run as one ONNX file."""

import json as jsonlib
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from ecgad.commands.exits import exit_code
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
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON object on one line.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print results and errors, nothing else.")
    ] = False,
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
                f"scores and verdicts of {summary['checked']} test beats are those of the run"
            )

    return exit_code(work, "run it again")


def _export(
    run_dir: Path, output: Path, overwrite: bool, console: Console, stack: ExitStack
) -> dict[str, Any]:
    """Write the file, and return what is printed of it.

    Raises ConfigError where it is to have another name, MismatchError where another file is there,
    FileError where the run is not whole.
    """
    from ecgad.artifacts import files, runs
    from ecgad.artifacts.stages import Stage
    from ecgad.detection.detector import ONNX
    from ecgad.experiment import load_experiment

    if output.suffix.lower() != ONNX:
        raise ConfigError(f"--output {output}: a detector is a file whose name ends in {ONNX}")
    if output.is_dir() or (output.exists() and not overwrite):
        raise MismatchError(f"{output} is there already; give --overwrite, or choose another name")
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
    files.make_folder(output.parent)
    files.check_writable(output.parent)
    try:
        import onnxscript  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is not installed, which export needs: pip install 'ecgad[export]'"
        ) from None
    from ecgad.detection.export import about_run, export_run

    console.say(f"exporting {run_dir}")
    logging.disable(logging.INFO)
    content, checked = export_run(stage, about_run(stage))
    files.save_bytes(output, content)
    return {
        "file": str(output),
        "bytes": len(content),
        "sha256": files.sha256(output),
        "checked": checked,
    }
