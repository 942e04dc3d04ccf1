"""Stage 4: what the other stages wrote, as pictures and one report."""

from ecgad.commands.script import Run, script


def visualize(run: Run) -> None:
    """Draw the data, the training, the reconstructions and the verdicts, and write a report."""
    from ecgad.artifacts import files, manifest, runs

    experiment = run.experiment
    splits = manifest.require(experiment.processed_dir, "preprocess", experiment.data_settings)
    trained = manifest.require(run.run_dir, "train", experiment.training_settings)
    evaluated = manifest.require(run.run_dir, "evaluate", experiment.evaluation_settings)
    made_from = {runs.BEST: trained["outputs"][runs.BEST], **splits["outputs"]}
    what = f"{run.run_dir / runs.METRICS} was measured with"
    manifest.check_same(evaluated["inputs"], made_from, what, "evaluate_model.py")
    history = {runs.HISTORY: trained["outputs"][runs.HISTORY]}
    stage = manifest.Stage(
        "visualize",
        run.run_dir,
        experiment.figures_settings,
        inputs={**evaluated["outputs"], **history, **splits["outputs"]},
    )
    if not run.overwrite and (summary := stage.finished()) is not None:
        run.say(f"{run.run_dir} is drawn already, from the same results and settings")
        run.result(summary, *_lines(summary))
        return
    files.check_writable(run.run_dir)

    from ecgad.report import page
    from ecgad.report.gallery import draw, render
    from ecgad.runtime.workers import in_order

    stage.begin()
    runs.remove_figures(run.run_dir)
    figures = {}
    drawn = ((*parts, experiment.figures.dpi) for parts in draw(experiment, run.run_dir))
    for name, caption, png in in_order(render, drawn):
        files.save_bytes(run.run_dir / runs.figure_file(name), png)
        figures[name] = (caption, png)
    metrics = files.load_json(run.run_dir / runs.METRICS)
    html = page.render(metrics, trained["summary"], figures)
    files.save_bytes(run.run_dir / runs.REPORT, html.encode())
    summary = {
        "name": experiment.name,
        "seed": experiment.seed,
        "report": str(run.run_dir / runs.REPORT),
        "figures": [str(run.run_dir / runs.figure_file(name)) for name in figures],
    }
    outputs = [runs.REPORT, *map(runs.figure_file, figures)]
    runs.save_config(run.run_dir, experiment)
    stage.finish(experiment, outputs, summary)
    run.result(summary, *_lines(summary))


def _lines(summary: dict[str, object]) -> list[str]:
    figures = summary["figures"]
    assert isinstance(figures, list)
    return [f"{len(figures)} figures", f"report: {summary['report']}"]


if __name__ == "__main__":
    script(visualize)
