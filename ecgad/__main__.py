"""The command `ecgad`, which uses detectors. The four scripts make them."""

from ecgad.commands import COMMANDS  # first: it catches interruptions

# isort: split
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated

import typer

from ecgad.commands.exits import run_app


def main() -> None:
    """Run the command line `ecgad`, and exit with its code."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback(invoke_without_command=True)(ecgad)
    for name, what in COMMANDS.items():
        app.command(name, help=what)(_command(name) if name in sys.argv else _not_called)
    run_app(app)


def ecgad(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version, and nothing else.")
    ] = False,
) -> None:
    """Use detectors of anomalous heartbeats.

    A detector is made by the four scripts preprocess_data.py, train_model.py, evaluate_model.py and
    visualize_results.py. For research and education only; not a medical device.
    """
    if version:
        from ecgad import __version__

        print(f"ecgad {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def _command(name: str) -> Callable[..., int]:
    return getattr(import_module(f"ecgad.commands.{name}"), name)


def _not_called() -> None:
    """Stand in for a command that is not imported."""


if __name__ == "__main__":
    main()
