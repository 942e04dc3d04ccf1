"""What the four scripts share: options, the console, results, exit codes."""

import inspect
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgad.commands.exits import exit_code, run_app
from ecgad.commands.options import Json, Quiet
from ecgad.errors import ConfigError
from ecgad.experiment import Experiment, load_experiment
from ecgad.runtime import processes
from ecgad.runtime.console import PLAIN, Console
from ecgad.runtime.locks import FolderLock

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ecgad.artifacts.stages import Stage


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


@dataclass(frozen=True)
class Run:
    """One call of a script: the experiment, and how to speak to the user."""

    experiment: Experiment
    run_dir: Path
    device: str
    overwrite: bool
    json: bool
    console: Console
    stack: ExitStack

    def stage(self, name: str, sources: Mapping[str, Path] | None = None) -> "Stage":
        """Open a stage: require and check what it needs, as `ecgad.artifacts.stages` says."""
        from ecgad.artifacts.stages import Stage

        return Stage(name, self.experiment, self.run_dir, self._hold, sources)

    def _hold(self, folder: Path, write: bool) -> FolderLock:
        """Get the lock on a folder, and keep it until the script ends."""
        lock = FolderLock(folder, write, self.console.say)
        self.stack.callback(lock.close)
        return lock

    def finished(
        self, stage: "Stage", tables: "Callable[[dict[str, Any]], Iterable[RenderableType]]"
    ) -> bool:
        """Print the result of a stage that is done already; else see that it can be written.

        tables: from its summary. Returns whether it is done.
        """
        summary = None if self.overwrite else stage.finished()
        if summary is None:
            stage.check_writable()
            return False
        self.already(stage, summary, tables(summary))
        return True

    def already(
        self, stage: "Stage", summary: dict[str, Any], readable: "Iterable[RenderableType]"
    ) -> None:
        """Say that there is nothing to do, and print the result that is there."""
        self.console.say(f"{stage.folder} {stage.node.done}")
        self.result(summary, readable)

    def result(self, summary: dict[str, Any], readable: "Iterable[RenderableType]") -> None:
        """Print the stage's result: readable, or with --json as one line."""
        if processes.RANK > 0:
            return
        if self.json:
            print(json.dumps(summary, allow_nan=False))
            return
        from rich.console import Console as Stdout

        stdout = Stdout(**PLAIN)
        for part in readable:
            stdout.print(part)


def script(
    stage: Callable[..., None],
    by_ranks: bool = False,
    on_device: bool = True,
    interrupted: str = "run it again",
) -> None:
    """Run `stage(run, **options)` as a command-line program, and exit with its code.

    The stage's docstring is the help text; its parameters after `run` are options of its own.
    by_ranks: whether torchrun may start it as several processes. on_device: whether it computes on
    one. interrupted: how it goes on after an interruption.
    """

    def command(
        config: Annotated[
            Path | None,
            typer.Option(
                "--config", "-c", help="The experiment, a YAML file.  [default: configs/demo.yaml]"
            ),
        ] = None,
        set_: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Override SECTION.KEY of the config."),
        ] = None,
        run_dir: Annotated[
            Path | None,
            typer.Option(help="Where the model and its results are.  [default: runs/<config>]"),
        ] = None,
        seed: Annotated[
            int | None, typer.Option(help="Of split, initial weights and order of batches.")
        ] = None,
        device: Annotated[Device, typer.Option(help="Where the model runs.")] = Device.auto,
        overwrite: Annotated[
            bool, typer.Option("--overwrite", help="Replace output made from something else.")
        ] = False,
        json: Json = False,
        quiet: Quiet = False,
        **options: Any,
    ) -> int:
        def work() -> None:
            if quiet:
                # Libraries tell of fonts and the like.
                logging.disable(logging.INFO)
            experiment = load_experiment(config, set_ or [], seed)
            if processes.SIZE > 1 and not by_ranks:
                raise ConfigError("this draws by one process; run it without torchrun")
            stack = ExitStack()
            run = Run(
                experiment=experiment,
                run_dir=run_dir or Path("runs", experiment.name),
                device=device.value,
                overwrite=overwrite,
                json=json,
                console=Console(quiet or processes.RANK > 0),
                stack=stack,
            )
            with stack, processes.process_group(run.device if on_device else None):
                stage(run, **options)

        return exit_code(work, interrupted)

    # Typer reads the options off the signature: the shared ones, then the stage's own.
    shared = list(inspect.signature(command).parameters.values())[:-1]
    own = list(inspect.signature(stage).parameters.values())[1:]
    command.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in [*shared, *own]}
    command.__doc__ = stage.__doc__
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(command)
    run_app(app)
