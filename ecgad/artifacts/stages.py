"""The four stages as one graph: what each needs of those before it, and when it is done.

To make a stage is to require and check what it needs. Where its output is finished already, nothing
is to be done. Otherwise it begins, and its entry in the manifest is removed until it finishes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgad.artifacts import checkpoint, files, manifest, runs
from ecgad.errors import FileError, MismatchError
from ecgad.experiment import Experiment

# Of a stage that another needs: all of its outputs, or those named.
ALL = ("*",)


@dataclass(frozen=True)
class Node:
    """A stage in the graph.

    folder: `processed_dir` or `run_dir`, where it writes. settings: the attribute of the experiment
    that says what it depends on. needs: outputs of earlier stages that it reads. done: what is said
    where it has nothing to do.
    """

    script: str
    folder: str
    settings: str
    needs: Mapping[str, tuple[str, ...]]
    done: str


GRAPH = {
    "preprocess": Node(
        script="preprocess_data.py",
        folder="processed_dir",
        settings="data_settings",
        needs={},
        done="is finished already: made from the same data and settings",
    ),
    "train": Node(
        script="train_model.py",
        folder="run_dir",
        settings="training_settings",
        needs={"preprocess": ALL},
        done="is trained already, from the same splits and settings",
    ),
    "evaluate": Node(
        script="evaluate_model.py",
        folder="run_dir",
        settings="evaluation_settings",
        needs={"train": (runs.BEST,), "preprocess": ALL},
        done="is evaluated already, with the same model, splits and settings",
    ),
    "visualize": Node(
        script="visualize_results.py",
        folder="run_dir",
        settings="figures_settings",
        needs={"evaluate": ALL, "train": (runs.HISTORY,), "preprocess": ALL},
        done="is drawn already, from the same results and settings",
    ),
}


class Stage:
    """A stage of an experiment, with what it is to be made from.

    inputs: SHA-256 of what it reads, by name. needed: the summaries of the stages that it needs.
    """

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        run_dir: Path,
        inputs: Mapping[str, str] | None = None,
    ) -> None:
        """Require and check what the stage needs.

        inputs: of a stage that needs no other. Raises FileError where a stage before it has not
        finished, and MismatchError where that was run with other settings, from other inputs, or
        where its files were changed since.
        """
        self.name, self.node = name, GRAPH[name]
        self.experiment, self.run_dir = experiment, run_dir
        self.folder = self._folder(self.node)
        self.settings: dict[str, Any] = getattr(experiment, self.node.settings)
        entries = {needed: self._require(needed) for needed in self._all_needed()}
        self.needed = {needed: entry["summary"] for needed, entry in entries.items()}
        for needed, entry in entries.items():
            if GRAPH[needed].needs:
                self._check_inputs(needed, entry["inputs"], _outputs(GRAPH[needed], entries))
        self.inputs = dict(inputs or _outputs(self.node, entries))

    def finished(self) -> dict[str, Any] | None:
        """Return the summary of this very output where it is there already, else None.

        Raises MismatchError where the folder holds output of the stage that was made from something
        else, or that was changed since.
        """
        entry = manifest.load(self.folder).get(self.name)
        if entry is None:
            return None
        made = {"settings": entry["settings"], "inputs": entry["inputs"]}
        asked = {"settings": self.settings, "inputs": self.inputs}
        if difference := manifest.difference_of(made, asked):
            raise MismatchError(
                f"{self.folder} holds finished output of {self.node.script} made otherwise "
                f"({difference}); give --overwrite to replace it, or choose another folder"
            )
        if not all((self.folder / name).exists() for name in entry["outputs"]):
            return None
        _check_unchanged(self.folder, self.node.script, entry["outputs"])
        return entry["summary"]

    def check_writable(self) -> None:
        """Make the folder. Raises ConfigError where nothing can be written into it."""
        files.check_writable(self.folder)

    def begin(self) -> None:
        """Take back that the stage is done, before its output is replaced."""
        manifest.remove(self.folder, self.name)

    def finish(self, outputs: Iterable[str], summary: Mapping[str, Any]) -> None:
        """Write down that the stage is done. Its outputs have to be there."""
        if self.folder == self.run_dir:
            runs.save_config(self.run_dir, self.experiment)
        made_from = {"settings": self.settings, "inputs": self.inputs}
        manifest.add(self.folder, self.name, made_from, outputs, summary, self.experiment)

    def _folder(self, node: Node) -> Path:
        return self.run_dir if node.folder == "run_dir" else self.experiment.processed_dir

    def _all_needed(self) -> list[str]:
        """List the stages that are needed, the first of all first."""
        return [name for name in GRAPH if name in self.node.needs]

    def _require(self, needed: str) -> manifest.Entry:
        node = GRAPH[needed]
        folder, settings = self._folder(node), getattr(self.experiment, node.settings)
        entry = manifest.load(folder).get(needed)
        if entry is None:
            raise FileError(
                f"no finished output of {node.script} in {folder}; run {node.script} first"
            )
        if difference := manifest.difference_of(entry["settings"], settings):
            raise MismatchError(
                f"{folder} was made by {node.script} with other settings than the config asks for "
                f"({difference}); run {node.script} again with --overwrite, or choose another "
                f"folder"
            )
        for output in entry["outputs"]:
            if not (folder / output).exists():
                raise FileError(f"{folder / output} is missing; run {node.script} again")
        _check_unchanged(folder, node.script, entry["outputs"])
        return entry

    def _check_inputs(self, needed: str, made: Mapping[str, str], now: Mapping[str, str]) -> None:
        if difference := manifest.difference_of(dict(made), dict(now)):
            name, script = difference.partition(":")[0], GRAPH[needed].script
            raise MismatchError(
                f"{self._folder(GRAPH[needed])}: what {script} left there was made from another "
                f"{name} than the one that is there now; run {script} again with --overwrite"
            )


def _outputs(node: Node, entries: Mapping[str, manifest.Entry]) -> dict[str, str]:
    """Return the SHA-256 of what a stage reads of those before it, by name."""
    return {
        name: digest
        for needed, names in node.needs.items()
        for name, digest in entries[needed]["outputs"].items()
        if names is ALL or name in names
    }


def _check_unchanged(folder: Path, script: str, outputs: Mapping[str, str]) -> None:
    for output, digest in outputs.items():
        if files.sha256(folder / output) != digest:
            if output in (runs.BEST, runs.LAST):
                # A damaged one is told as such.
                checkpoint.restore_model(checkpoint.load_checkpoint(folder / output))
            raise MismatchError(
                f"{folder / output} is not the file that {script} wrote; run it again with "
                f"--overwrite"
            )
