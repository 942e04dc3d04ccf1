"""The layout: imports go downwards only, registries and configs agree, what is slow waits."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from ecgad.config.evaluation import Baseline, Component, EvaluationConfig
from ecgad.config.model import ModelConfig
from ecgad.config.segmentation import SegmentationConfig
from ecgad.data.download.physionet import DATABASES
from ecgad.data.sources import SOURCES
from ecgad.data.sources.wfdb import WfdbConfig
from ecgad.evaluation.baselines import FITS, RR_INTERVAL, TITLES
from ecgad.experiment import DataConfig, Experiment
from ecgad.models import MODELS
from ecgad.models.dense import ACTIVATIONS
from ecgad.processing.rr_intervals import RR_FEATURES
from ecgad.recordings.beat_classes import CLASS_MAPS, CLASSES
from ecgad.scoring.components import COMPONENTS
from ecgad.training.fit import LOSSES
from tests.conftest import REPOSITORY

# Of each folder or file of ecgad, from the bottom up, those that it imports; all of them are below.
IMPORTS = {
    "errors": "",
    "runtime": "errors",
    "config": "errors",
    "models": "errors",
    "pages": "",
    "recordings": "errors",
    "processing": "recordings config errors",
    "data": "processing recordings config runtime errors",
    "experiment": "data config",
    "training": "data models config runtime errors",
    "scoring": "data processing models config runtime errors",
    "evaluation": "scoring experiment data processing recordings config",
    "artifacts": "scoring training experiment data models config runtime errors",
    "report": "artifacts evaluation scoring training experiment data models pages runtime errors",
    "detection": "pages artifacts scoring training data processing recordings models config "
    "runtime errors",
    "__init__": "detection",
    "commands": "detection artifacts evaluation recordings experiment runtime errors",
    "__main__": "__init__ commands",
}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: a relative import"
            # `from ecgad.data import splits` imports ecgad.data.splits.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def rooms_below(room: str) -> set[str]:
    """The rooms that the files of a room import."""
    path = REPOSITORY / "ecgad" / room
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    modules = {module for file in files for module in imports(file)}
    found = {module.split(".")[1] for module in modules if module.startswith("ecgad.")}
    there = {name if name in IMPORTS else "__init__" for name in found}
    return there - {room}


@pytest.mark.parametrize("room", IMPORTS)
def test_a_room_imports_what_the_table_says(room: str) -> None:
    assert rooms_below(room) == set(IMPORTS[room].split())


def test_imports_go_downwards_only() -> None:
    folder = REPOSITORY / "ecgad"
    rooms = [path.stem for path in folder.glob("*.py")]
    rooms += [path.parent.name for path in folder.glob("*/__init__.py")]
    assert sorted(rooms) == sorted(IMPORTS)
    for height, (room, below) in enumerate(IMPORTS.items()):
        assert set(below.split()) <= set(list(IMPORTS)[:height]), room
    # Beside one another, whatever their height here.
    assert "report" not in IMPORTS["detection"]
    assert "detection" not in IMPORTS["report"]


def names(section: type[BaseModel], field: str) -> set[str]:
    """What a setting may be; of a list, its entries."""

    def literals(annotation: Any) -> Iterator[str]:
        for argument in get_args(annotation):
            if isinstance(argument, str):
                yield argument
            else:
                yield from literals(argument)

    return set(literals(section.model_fields[field].annotation))


def test_settings_name_what_the_registries_hold() -> None:
    assert set(get_args(Component)) == set(COMPONENTS)
    assert set(get_args(Baseline)) == {*FITS, RR_INTERVAL} == set(TITLES)
    assert names(EvaluationConfig, "baselines") == set(TITLES)
    assert names(ModelConfig, "kind") == set(MODELS)
    dense = ModelConfig().dense
    assert names(type(dense), "activation") == set(ACTIVATIONS)
    assert names(type(Experiment(name="x").training), "loss") == set(LOSSES)
    assert names(SegmentationConfig, "timing") == set(RR_FEATURES)
    assert names(WfdbConfig, "class_map") == set(CLASS_MAPS)
    databases = {part for name in names(WfdbConfig, "database") for part in name.split("+")}
    assert databases <= set(DATABASES)
    assert names(WfdbConfig, "normal") == set(CLASSES)
    # Sections of sources are those of the registry by construction.
    sections = {name for name in SOURCES if name in type(Experiment(name="x").data).model_fields}
    assert sections == {"synthetic", "csv", "wfdb", "ptbdb", "heartbeat_csv"}
    assert not sections & set(DataConfig.model_fields)


@pytest.mark.parametrize(
    "path",
    [*REPOSITORY.glob("*.py"), REPOSITORY / "ecgad" / "__main__.py"],
    ids=lambda path: path.name,
)
def test_what_is_run_catches_interruptions_before_it_imports_anything_else(path: Path) -> None:
    assert next(imports(path)).startswith("ecgad.commands.")
