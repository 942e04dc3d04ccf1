"""What the four scripts share: options, console and exit codes."""

import inspect
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ecgad.config.experiment import Experiment, load_experiment
from ecgad.errors import ConfigError, UserError
from ecgad.runtime import ranks

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

T = TypeVar("T")

INTERRUPTED = 130
# Text is printed as it is: a class may be called [b] or :smile:.
PLAIN: dict[str, Any] = {"highlight": False, "soft_wrap": True, "markup": False, "emoji": False}


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
    quiet: bool

    @property
    def console(self) -> "Console":
        """For everything but results."""
        from rich.console import Console

        return Console(stderr=True, quiet=self.quiet, **PLAIN)

    def say(self, message: str) -> None:
        """Tell the user something that is no result."""
        self.console.print(message)

    def result(self, summary: dict[str, Any], *readable: "RenderableType") -> None:
        """Print the stage's result: readable, or with --json as one line."""
        if ranks.RANK > 0:
            return
        if self.json:
            print(json.dumps(summary, allow_nan=False))
            return
        from rich.console import Console

        console = Console(**PLAIN)
        for part in readable:
            console.print(part)

    def counted(self, parts: Iterable[T], total: int, unit: str) -> Iterator[T]:
        """The parts, with a sign of how many of them have come."""
        with self.progress(0, total, unit) as show:
            for number, part in enumerate(parts, 1):
                yield part
                show(number, "")

    @contextmanager
    def progress(
        self, done: int, total: int, unit: str = "epoch"
    ) -> Iterator[Callable[[int, str], None]]:
        """A function that shows how many of `total` units are done, and some words on the last.

        A bar on a terminal; elsewhere about ten lines in all.
        """
        from rich import progress

        with progress.Progress(
            progress.TextColumn(unit),
            progress.MofNCompleteColumn(),
            progress.BarColumn(),
            progress.TextColumn("{task.description}"),
            progress.TimeRemainingColumn(),
            console=self.console,
            disable=self.quiet or not self.console.is_terminal,
        ) as bar:
            task = bar.add_task("", completed=done, total=total)

            def show(number: int, words: str) -> None:
                bar.update(task, completed=number, description=words)
                if bar.disable and number % -(-total // 10) == 0:
                    self.say(f"{unit} {number} of {total}{words and ': '}{words}")

            yield show


def script(stage: Callable[..., None], by_ranks: bool = False) -> None:
    """Run `stage(run, **options)` as a command-line program, and exit with its code.

    The stage's docstring is the help text; its parameters after `run` are options of its own.
    by_ranks: whether torchrun may start it as several processes.
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
        json: Annotated[
            bool, typer.Option("--json", help="Print the result as one JSON object on one line.")
        ] = False,
        quiet: Annotated[
            bool, typer.Option("--quiet", help="Print results and errors, nothing else.")
        ] = False,
        **options: Any,
    ) -> int:
        try:
            if quiet:
                # Libraries tell of downloads and the like.
                logging.disable(logging.INFO)
            experiment = load_experiment(config, set_ or [], seed)
            run = Run(
                experiment=experiment,
                run_dir=run_dir or Path("runs", experiment.name),
                device=device.value,
                overwrite=overwrite,
                json=json,
                quiet=quiet or ranks.RANK > 0,
            )
            if ranks.SIZE > 1 and not by_ranks:
                raise ConfigError("torchrun is for training and evaluation; run this without it")
            with ranks.joined(run.device):
                stage(run, **options)
        except UserError as error:
            return _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            return _fail("interrupted; train_model.py goes on with --resume", INTERRUPTED)
        except MemoryError as error:
            return _fail(f"out of memory: {error}", 1)
        except OSError as error:
            return _fail(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
        return 0

    # Typer reads the options off the signature: the shared ones, then the stage's own.
    shared = list(inspect.signature(command).parameters.values())[:-1]
    own = list(inspect.signature(stage).parameters.values())[1:]
    command.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in [*shared, *own]}
    command.__doc__ = stage.__doc__
    # A job that is told to end, by a scheduler or by `timeout`, ends as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        code = _fail(f"{error.format_message()}; --help shows the options", ConfigError.exit_code)
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    if ranks.RANK == 0:
        print("error: " + " ".join(message.split()), file=sys.stderr)
    return code
