"""What a training leaves behind while it goes on, and how another one goes on from there."""

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from ecgad.artifacts import processed, runs
from ecgad.artifacts.checkpoint import (
    Checkpoint,
    load_checkpoint,
    restore_model,
    save_checkpoint,
)
from ecgad.artifacts.manifest import difference_of
from ecgad.artifacts.runs import HISTORY_COLUMNS
from ecgad.artifacts.stages import Stage
from ecgad.data.beats import Beats
from ecgad.errors import ConfigError, FileError, MismatchError
from ecgad.runtime import interruption, processes

if TYPE_CHECKING:
    from ecgad.scoring.reference_beats import ReferenceBeats
    from ecgad.training.fit import TrainingState

# A killed run loses no more than this, and small models do not spend their time on writing.
SECONDS_BETWEEN_CHECKPOINTS = 5.0


def find_training(
    stage: Stage, resume: bool, overwrite: bool
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Look for the very training that is asked for.

    Returns its summary where it is finished, and the fields of the `TrainingState` that it is to go
    on from where it is to be resumed; neither on other ranks than the first. Raises ConfigError
    where it is to be resumed and replaced, MismatchError where what is there is another training,
    or an unfinished one that is neither to be resumed nor replaced.
    """
    if resume and overwrite:
        raise ConfigError("--resume goes on, --overwrite starts again: give one of them")
    if processes.RANK > 0:
        return None, {}
    # After a restart by torchrun, what --overwrite was to replace is replaced already.
    resume = resume or processes.ATTEMPT > 0
    summary, found = None, {}
    unfinished = (stage.folder / runs.LAST).exists()
    try:
        if resume or not overwrite:
            summary = stage.finished()
    except MismatchError:
        # Resuming may ask for more epochs, and starts from a checkpoint that is checked itself.
        if not resume:
            raise
    if summary is not None:
        return summary, {}
    stage.check_writable()
    if unfinished and not resume and not overwrite:
        raise MismatchError(
            f"{stage.folder} holds an unfinished training; give --resume to go on with it, or "
            f"--overwrite to start again"
        )
    try:
        found = _load_resumable(stage) if resume and unfinished else {}
    except MismatchError:
        if not overwrite:
            raise
    return None, found


def _load_resumable(stage: Stage) -> dict[str, Any]:
    """Read where a training stands that is to go on as `stage` asks.

    Where the learning rate is constant, more epochs may be asked for than at first. Raises
    FileError where it is damaged, MismatchError where it was made otherwise.
    """
    checkpoint = load_checkpoint(stage.folder / runs.LAST)
    made, asked = checkpoint.settings, stage.settings
    whole = _whole(checkpoint)
    if whole and asked["training"]["schedule"] == "constant":
        epochs = {"epochs": asked["training"]["epochs"]}
        made = {**made, "training": {**made["training"], **epochs}}
    difference = difference_of(
        {"settings": made, "inputs": checkpoint.inputs},
        {"settings": asked, "inputs": stage.inputs},
    )
    state = checkpoint.training or {}
    if not whole:
        difference = "no whole training state in it"
    elif state["epoch"] > asked["training"]["epochs"]:
        difference = f"{state['epoch']} epochs are done already"
    if difference:
        raise MismatchError(
            f"{checkpoint.path} cannot go on: it was made otherwise ({difference}); give "
            f"--overwrite to start again"
        )
    return state


def _whole(checkpoint: Checkpoint) -> bool:
    """Return whether a checkpoint says where a training stands, after one epoch or more."""
    from ecgad.training.fit import TrainingState

    try:
        state = vars(TrainingState(**(checkpoint.training or {})))
        epochs = [row["epoch"] for row in state["history"] if row.keys() == set(HISTORY_COLUMNS)]
        for weights in (state["weights"], state["best_weights"]):
            restore_model(replace(checkpoint, weights=weights))
        n_weights = sum(weights.numel() for weights in restore_model(checkpoint).parameters())
        moved = state["optimizer"]
        return (
            isinstance(checkpoint.settings["training"], dict)
            and epochs == list(range(1, state["epoch"] + 1))
            and 1 <= state["best_epoch"] <= state["epoch"]
            and all(moved[name].numel() == n_weights for name in ("mean", "square"))
            and all(moved[name].numel() == 1 for name in ("count", "product"))
            and isinstance(moved["steps"], int)
            and all(isinstance(v, (int, float)) for row in state["history"] for v in row.values())
        )
    except (AttributeError, KeyError, TypeError, FileError):
        return False


def new_checkpoint(stage: Stage, train: Beats) -> Checkpoint:
    """Return what a training starts from: an untrained model for scaled beats, and their scaling.

    Raises ConfigError where the beats are too short for the network, FileError where the splits
    cannot be read.
    """
    from ecgad.models import build_model

    experiment = stage.experiment
    _, n_leads, n_samples = train.seen.shape
    settings, members = experiment.model, experiment.training.members
    model = build_model(settings.kind, n_leads, n_samples, settings.parameters, members)
    return Checkpoint(
        path=stage.folder / runs.BEST,
        model=model.description,
        weights=model.state_dict(),
        scaler=processed.load_scaler(experiment.processed_dir).to_dict(),
        beat_format=train.format.to_dict(),
        settings=stage.settings,
        inputs=stage.inputs,
    )


def save_best(
    stage: Stage, checkpoint: Checkpoint, state: "TrainingState", reference: "ReferenceBeats"
) -> None:
    """Write the best checkpoint of a finished training, with its reference beats."""
    save_checkpoint(
        replace(
            checkpoint,
            path=stage.folder / runs.BEST,
            weights=state.best_weights,
            reference=reference.to_dict(),
            training=None,
        )
    )


class TrainingWriter:
    """Writes checkpoints and history every few seconds, and at the end, however it comes.

    As a context: what was last shown to it is on disk afterwards, also where the training was
    interrupted or diverged. Of several processes, the first alone writes.
    """

    stack: ExitStack

    def __init__(
        self, stage: Stage, checkpoint: Checkpoint, state: "TrainingState | None" = None
    ) -> None:
        """checkpoint: what to write, but for its weights. state: what a resumed training starts
        from, so that all files are there, whichever of them was lost.
        """
        self.stage = stage
        self.checkpoint = checkpoint
        self.state = state
        self.saved_at = time.monotonic()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(interruption.deferred())
            stack.callback(self._write)
            self.stack = stack.pop_all()
        return self

    def __call__(self, state: "TrainingState") -> None:
        """Take note of the state after an epoch, and write it if the last one was a while ago."""
        self.state = state
        if time.monotonic() - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            self._write()

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)

    def _write(self) -> None:
        if self.state is not None and self.state.epoch and processes.RANK == 0:
            folder = self.stage.folder
            best = replace(
                self.checkpoint,
                path=folder / runs.BEST,
                weights=self.state.best_weights,
                training=None,
            )
            last = replace(best, path=folder / runs.LAST, training=vars(self.state))
            self.stage.begin(runs.TRAINING_OUTPUTS)
            save_checkpoint(best)
            save_checkpoint(last)
            runs.save_history(folder, self.state.history)
        self.state, self.saved_at = None, time.monotonic()
