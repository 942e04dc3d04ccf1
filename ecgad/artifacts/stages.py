"""The four stages as one graph: what each needs of those before it, and when it is done.

To make a stage is to require and check what it needs. Where its output is finished already, nothing
is to be done. Otherwise it begins, and its entry in the manifest is removed until it finishes.

A stage holds the folders that it reads and the one that it writes: two stages that write into one
folder go one after the other, and what is being read is not replaced.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgad.artifacts import checkpoint, files, manifest, processed, runs
from ecgad.errors import FileError, MismatchError
from ecgad.experiment import Experiment
from ecgad.runtime import processes
from ecgad.runtime.locks import FolderLock

# Of a stage that another needs: all of its outputs, or those named.
ALL = ("*",)


@dataclass(frozen=True)
class Node:
    """A stage in the graph.

    folder: `processed_dir` or `run_dir`, where it writes. settings: the attribute of the experiment
    that says what it depends on. needs: outputs of earlier stages that it reads. outputs: all that
    it may write whose names are known beforehand. done: what is said where it has nothing to do.
    """

    script: str
    folder: str
    settings: str
    needs: Mapping[str, tuple[str, ...]]
    outputs: tuple[str, ...]
    done: str


GRAPH = {
    "preprocess": Node(
        script="preprocess_data.py",
        folder="processed_dir",
        settings="data_settings",
        needs={},
        outputs=processed.OUTPUTS,
        done="is finished already: made from the same data and settings",
    ),
    "train": Node(
        script="train_model.py",
        folder="run_dir",
        settings="training_settings",
        needs={"preprocess": ALL},
        outputs=runs.TRAINING_OUTPUTS,
        done="is trained already, from the same splits and settings",
    ),
    "evaluate": Node(
        script="evaluate_model.py",
        folder="run_dir",
        settings="evaluation_settings",
        needs={"train": (runs.BEST,), "preprocess": ALL},
        outputs=runs.EVALUATION_OUTPUTS,
        done="is evaluated already, with the same model, splits and settings",
    ),
    "visualize": Node(
        script="visualize_results.py",
        folder="run_dir",
        settings="figures_settings",
        needs={"evaluate": ALL, "train": (runs.HISTORY,), "preprocess": ALL},
        outputs=(runs.REPORT,),
        done="is drawn already, from the same results and settings",
    ),
}


class Stage:
    """A stage of an experiment, with what it is to be made from.

    inputs: SHA-256 of what it reads, by name. needed: the summaries of the stages that it needs.
    made_from: the inputs of these.
    """

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        run_dir: Path,
        hold: Callable[[Path, bool], FolderLock],
        sources: Mapping[str, Path] | None = None,
    ) -> None:
        """Require and check what the stage needs, and hold the folders that it works in.

        hold: gets the lock on a folder, to write into it or to read, and keeps it until the stage
        is over. sources: the files, by name, that a stage reads which needs no other. Raises
        FileError where a stage before it has not finished, and MismatchError where that was run
        with other settings, from other inputs, or where its files were changed since.
        """
        self.name, self.node = name, GRAPH[name]
        self.experiment, self.run_dir = experiment, run_dir
        self.folder = self._folder(self.node)
        self.settings: dict[str, Any] = getattr(experiment, self.node.settings)
        self.hold = hold
        self.lock: FolderLock | None = None
        # What every file that is read is like now.
        self.read: dict[Path, tuple[int, ...]] = {}
        splits = experiment.processed_dir
        if self.folder.is_dir():
            self._lock()
        if processes.RANK == 0 and splits.is_dir() and splits.resolve() != self.folder.resolve():
            hold(splits, False)
        entries = {needed: self._require(needed) for needed in self._all_needed()}
        self.needed = {needed: entry["summary"] for needed, entry in entries.items()}
        self.made_from: dict[str, dict[str, str]] = {
            needed: entry["inputs"] for needed, entry in entries.items()
        }
        for needed, entry in entries.items():
            if GRAPH[needed].needs:
                self._check_inputs(needed, entry["inputs"], _outputs(GRAPH[needed], entries))
        if sources is None:
            self.inputs = _outputs(self.node, entries)
        else:
            self._note(sources.values())
            self.inputs = {name: files.sha256(path) for name, path in sources.items()}
        if not self.folder.is_dir():
            files.make_folder(self.folder)
            self._lock()

    def finished(self) -> dict[str, Any] | None:
        """Return the summary of this very output where it is there already, else None.

        Raises MismatchError where the folder holds output of the stage that was made from something
        else, or that was changed since.
        """
        entry = manifest.load(self.folder).stages.get(self.name)
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
        """See that the stage may write.

        Raises ConfigError where nothing can be written into its folder, and MismatchError where
        another process reads there, or where a file is in the way that ecgad has not written.
        """
        files.check_writable(self.folder)
        if self.lock and not self.lock.alone:
            raise MismatchError(
                f"{self.folder} is being read by another process, which what {self.node.script} "
                f"writes would disturb; wait for it to end, or choose another folder"
            )
        self._check_ours(manifest.load(self.folder), self.node.outputs)

    def begin(self, outputs: Iterable[str]) -> None:
        """Take back that the stage is done, before these outputs are replaced.

        Raises MismatchError where one of them is a file that ecgad has not written.
        """
        there = manifest.load(self.folder)
        names = {*outputs, *self._config}
        self._check_ours(there, names)
        written = there.files.get(self.name, [])
        if self.name in there.stages or not names.issubset(written):
            there.stages.pop(self.name, None)
            there.files[self.name] = sorted(names.union(written))
            manifest.save(self.folder, there)

    def finish(self, outputs: Iterable[str], summary: Mapping[str, Any]) -> None:
        """Write down that the stage is done. Its outputs have to be there.

        What it had written there earlier and no more is removed. Raises MismatchError where a file
        that it has read was replaced in the meantime.
        """
        for path, known in self.read.items():
            if _state(path) != known:
                raise MismatchError(
                    f"{path} was replaced while {self.node.script} was reading it; run that again "
                    f"with --overwrite"
                )
        if self._config:
            runs.save_config(self.run_dir, self.experiment)
        there = manifest.load(self.folder)
        names = {*outputs, *self._config}
        gone = set(there.files.pop(self.name)) - names - there.ours
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)
        made_from = {"settings": self.settings, "inputs": self.inputs}
        there.stages[self.name] = manifest.entry(
            self.folder, made_from, sorted(names - self._config), summary, self.experiment
        )
        there.files[self.name] = sorted(names)
        manifest.save(self.folder, there)

    def _lock(self) -> None:
        """Hold the folder, by the first rank for all, and clear what a killed process left."""
        if processes.RANK == 0:
            self.lock = self.hold(self.folder, True)
            files.remove_abandoned(self.folder)
            files.remove_abandoned(self.folder / runs.FIGURES)

    @property
    def _config(self) -> set[str]:
        """What beside its outputs a stage writes into a run dir."""
        return {runs.CONFIG} if self.node.folder == "run_dir" else set()

    def _check_ours(self, there: manifest.Manifest, names: Iterable[str]) -> None:
        """Raise MismatchError where one of the names is taken by what ecgad has not written."""
        for name in sorted(self._config.union(names)):
            path = self.folder / name
            if os.path.lexists(path) and (name not in there.ours or path.is_dir()):
                raise MismatchError(
                    f"{path} is in the way: no manifest there says that ecgad has written it; move "
                    f"it away, or choose another folder"
                )

    def _note(self, paths: Iterable[Path]) -> None:
        """Note what files are like that are going to be read."""
        self.read.update({path: _state(path) for path in paths})

    def _folder(self, node: Node) -> Path:
        return self.run_dir if node.folder == "run_dir" else self.experiment.processed_dir

    def _all_needed(self) -> list[str]:
        """List the stages that are needed, the first of all first."""
        return [name for name in GRAPH if name in self.node.needs]

    def _require(self, needed: str) -> manifest.Entry:
        node = GRAPH[needed]
        folder, settings = self._folder(node), getattr(self.experiment, node.settings)
        entry = manifest.load(folder).stages.get(needed)
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
        self._note(folder / output for output in entry["outputs"])
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


def _state(path: Path) -> tuple[int, ...]:
    """Return what tells that a file was replaced or written to; nothing where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
