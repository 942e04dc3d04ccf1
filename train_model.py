"""Stage 2: scaled normal beats to a trained autoencoder."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgad.cli import Run, script

if TYPE_CHECKING:
    from ecgad.artifacts.manifest import Stage


def train(
    run: Run,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, where there is one.")
    ] = False,
) -> None:
    """Train an autoencoder on the normal beats of the training split."""
    from ecgad.artifacts import files, manifest, processed, runs
    from ecgad.errors import ConfigError
    from ecgad.summaries import train_tables

    if resume and run.overwrite:
        raise ConfigError("--resume goes on, --overwrite starts again: give one of them")
    experiment = run.experiment
    folder, config = experiment.processed_dir, experiment.training
    splits = manifest.require(folder, "preprocess", experiment.data_settings)
    stage = manifest.Stage(
        "train", run.run_dir, experiment.training_settings, inputs=splits["outputs"]
    )
    if (summary := _finished(run, stage, resume)) is not None:
        run.say(f"{run.run_dir} is trained already, from the same splits and settings")
        run.result(summary, *train_tables(summary))
        return
    files.check_writable(run.run_dir)

    import torch

    from ecgad.detector import restore_model
    from ecgad.models import build_model
    from ecgad.scoring import check_coreset, choose_coreset
    from ecgad.training import TrainingState, fit, pick_device, prepare

    device = pick_device(run.device)
    prepare(device, experiment.seed)
    normals = {}
    for split in ("train", "validation"):
        beats = processed.load_split(folder, split)
        normals[split] = torch.from_numpy(beats.beats[beats.normals]).to(device)
    check_coreset(config.coreset, len(normals["train"]))

    if resume and (run.run_dir / runs.LAST).exists():
        checkpoint = runs.load_resumable(stage)
        state = TrainingState(**checkpoint.training or {})
        last = replace(checkpoint, weights=state.weights)
        model = restore_model(last, run.run_dir / runs.LAST)
        run.say(f"going on after epoch {state.epoch} of {config.epochs}")
    else:
        state = TrainingState()
        checkpoint = runs.Checkpoint(
            model={
                "kind": experiment.model.kind,
                "n_leads": normals["train"].shape[1],
                "n_samples": normals["train"].shape[2],
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

    epochs = fit(model, normals["train"], normals["validation"], config, experiment.seed, state)
    with (
        run.progress(state.epoch, config.epochs) as show,
        runs.TrainingWriter(stage, replace(checkpoint, settings=stage.settings)) as write,
    ):
        if state.epoch:
            # So that all files are there, whichever of them was lost.
            write(state)
        for state in epochs:
            write(state)
            row = state.history[-1]
            validation = f"validation {row['validation_loss']:.5f}"
            show(state.epoch, f"{config.loss} {row['train_loss']:.5f}, {validation}")

    model.load_state_dict(state.best_weights)
    train_beats = processed.load_split(folder, "train")
    coreset = choose_coreset(model, train_beats, config, experiment.seed)
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
        "n_train": len(normals["train"]),
        "n_validation": len(normals["validation"]),
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


def _finished(run: Run, stage: "Stage", resume: bool) -> dict[str, Any] | None:
    """The summary of the very training asked for, where it is done already."""
    from ecgad.artifacts import runs
    from ecgad.errors import MismatchError

    if run.overwrite:
        return None
    try:
        summary = stage.finished()
    except MismatchError:
        # Resuming may ask for more epochs, and starts from a checkpoint that is checked itself.
        if not resume:
            raise
        return None
    if summary is None and not resume and (run.run_dir / runs.LAST).exists():
        raise MismatchError(
            f"{run.run_dir} holds an unfinished training; give --resume to go on with it, or "
            f"--overwrite to start again"
        )
    return summary


if __name__ == "__main__":
    script(train)
