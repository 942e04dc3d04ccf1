"""Stage 2: scaled normal beats to a trained autoencoder."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgad.commands.script import Run, script
from ecgad.runtime import ranks

if TYPE_CHECKING:
    from ecgad.artifacts.manifest import Stage
    from ecgad.artifacts.runs import Checkpoint


def train(
    run: Run,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, where there is one.")
    ] = False,
) -> None:
    """Train an autoencoder on the normal beats of the training split."""
    from ecgad.artifacts import manifest, processed, runs
    from ecgad.errors import ConfigError
    from ecgad.report.tables import train_tables

    if resume and run.overwrite:
        raise ConfigError("--resume goes on, --overwrite starts again: give one of them")
    experiment = run.experiment
    folder, config = experiment.processed_dir, experiment.training
    summary = checkpoint = None
    with ranks.together():
        splits = manifest.require(folder, "preprocess", experiment.data_settings)
        stage = manifest.Stage(
            "train", run.run_dir, experiment.training_settings, inputs=splits["outputs"]
        )
        if ranks.RANK == 0:
            summary, checkpoint = _found(run, stage, resume)
    summary, checkpoint = ranks.told((summary, checkpoint))
    if summary is not None:
        run.say(f"{run.run_dir} is trained already, from the same splits and settings")
        run.result(summary, *train_tables(summary))
        return

    from ecgad.detection.detector import restore_model
    from ecgad.models import build_model
    from ecgad.scoring.scorer import check_coreset, choose_coreset
    from ecgad.training.feeding import feed
    from ecgad.training.fit import TrainingState, fit, pick_device, prepare

    with ranks.together():
        device = pick_device(run.device)
        prepare(device, experiment.seed)
        beats = {split: processed.load_split(folder, split) for split in ("train", "validation")}
        budget = config.memory_budget_mb * 2**20
        normals, judged = feed(beats["train"], beats["validation"], device, budget)
        check_coreset(config.coreset, normals.n)
        if checkpoint is not None:
            state = TrainingState(**checkpoint.training or {})
            model = restore_model(
                replace(checkpoint, weights=state.weights), run.run_dir / runs.LAST
            )
            run.say(f"going on after epoch {state.epoch} of {config.epochs}")
        else:
            state = TrainingState()
            checkpoint = runs.Checkpoint(
                model={
                    "kind": experiment.model.kind,
                    "n_leads": beats["train"].beats.shape[1],
                    "n_samples": beats["train"].beats.shape[2],
                    "parameters": experiment.model.parameters,
                    "members": config.members,
                },
                weights={},
                scaler=processed.load_scaler(folder).to_dict(),
                beats=processed.load_description(folder),
                settings=stage.settings,
                inputs=stage.inputs,
            )
            model = build_model(**checkpoint.model)
        model.to(device)

    epochs = fit(model, normals, judged, config, experiment.seed, state)
    with (
        run.progress(state.epoch, config.epochs) as show,
        runs.TrainingWriter(stage, replace(checkpoint, settings=stage.settings)) as write,
    ):
        if state.epoch and ranks.RANK == 0:
            # So that all files are there, whichever of them was lost.
            write(state)
        for state in epochs:
            if ranks.RANK == 0:
                write(state)
            row = state.history[-1]
            validation = f"validation {row['validation_loss']:.5f}"
            show(state.epoch, f"{config.loss} {row['train_loss']:.5f}, {validation}")
    if ranks.RANK > 0:
        return

    model.load_state_dict(state.best_weights)
    coreset = choose_coreset(model, beats["train"], config, experiment.seed)
    best = replace(checkpoint, weights=state.best_weights, coreset=coreset.to_dict())
    runs.save_checkpoint(run.run_dir / runs.BEST, best)
    summary = {
        "name": experiment.name,
        "seed": experiment.seed,
        "run_dir": str(run.run_dir),
        "model": experiment.model.kind,
        "members": config.members,
        "device": device.type,
        "n_weights": sum(weights.numel() for weights in model.parameters()),
        "n_train": normals.n,
        "n_validation": judged.n,
        "n_coreset": len(coreset),
        "loss": config.loss,
        "epochs": state.epoch,
        "stopped_early": state.epoch < config.epochs,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "seconds": sum(row["seconds"] for row in state.history),
    }
    runs.save_config(run.run_dir, experiment)
    stage.finish(experiment, runs.TRAINING_OUTPUTS, summary)
    run.result(summary, *train_tables(summary))


def _found(
    run: Run, stage: "Stage", resume: bool
) -> tuple[dict[str, Any] | None, "Checkpoint | None"]:
    """The summary of the very training asked for, where it is done already, or the checkpoint of
    one that is to go on.
    """
    from ecgad.artifacts import files, runs
    from ecgad.errors import MismatchError

    # After a restart, what --overwrite was to replace is replaced already.
    resume = resume or ranks.ATTEMPT > 0
    summary = checkpoint = None
    unfinished = (run.run_dir / runs.LAST).exists()
    try:
        if resume or not run.overwrite:
            summary = stage.finished()
    except MismatchError:
        # Resuming may ask for more epochs, and starts from a checkpoint that is checked itself.
        if not resume:
            raise
    if summary is None:
        if unfinished and not resume and not run.overwrite:
            raise MismatchError(
                f"{run.run_dir} holds an unfinished training; give --resume to go on with it, or "
                f"--overwrite to start again"
            )
        files.check_writable(run.run_dir)
        try:
            checkpoint = runs.load_resumable(stage) if resume and unfinished else None
        except MismatchError:
            if not run.overwrite:
                raise
    return summary, checkpoint


if __name__ == "__main__":
    script(train, by_ranks=True)
