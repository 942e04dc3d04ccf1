"""Recordings one after the other: what is done is skipped, what is broken is told."""

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from ecgad.artifacts import files
from ecgad.detection import outputs
from ecgad.detection.detector import Detector
from ecgad.detection.live import check_causal
from ecgad.detection.whole import Wanted, detect
from ecgad.errors import FileError, MismatchError, UserError
from ecgad.processing.causal import LOOK_AHEAD
from ecgad.recordings.find import Found
from ecgad.recordings.open import open_recording
from ecgad.recordings.reader import Reader
from ecgad.runtime.console import Console
from ecgad.runtime.workers import ENDED, in_order
from ecgad.scoring.thresholds import Threshold, provenance

# The detector that comes with the package.
OWN = "recordings.onnx"
# Of its test beats, what the summaries tell.
MEASURED = ("auroc", "average_precision", "recall", "specificity")
# Of a summary, what is kept of each recording until all are done: no list that may be long.
SHORT = ("recording", "lead", "beats", "anomalous", "events", "share_readable", "files")
UNFINISHED = "unfinished"
NOTICE = "for research and education only; not a medical device"


@dataclass(frozen=True)
class Job:
    """What is to be done with each recording. folder: where its files go. detector: None: that of
    the package. sampling_rate, unit: of tables.
    """

    folder: Path
    detector: Path | None
    wanted: Wanted
    sampling_rate: float | None
    unit: str | None
    overwrite: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a recording: the figures of `SHORT` out of its summary, or the error."""

    name: str
    summary: dict[str, Any] | None = None
    error: UserError | None = None
    skipped: bool = False


def run(found: Sequence[Found], job: Job, jobs: int | None, console: Console) -> list[Outcome]:
    """Judge recordings, by several processes. Raises UserError where the detector is of no use."""
    path = own_detector() if job.detector is None else job.detector
    if not path.exists():
        raise FileError(f"no detector {path}; `ecgad export` makes a file, evaluate_model.py a run")
    files.make_folder(job.folder)
    files.check_writable(job.folder)
    for folder in {(job.folder / of.name).parent for of in found}:
        files.remove_abandoned(folder)
    alone = len(found) == 1
    calls = ((of, job, path, alone) for of in found)
    outcomes = []
    judged = in_order(judge, calls, jobs, lost=_lost)
    for outcome in judged if alone else console.counted(judged, len(found), "recordings"):
        outcomes.append(outcome)
        if outcome.error is not None and not alone:
            console.say(f"{outcome.name}: {outcome.error}")
        _keep_error(job.folder, outcome, console)
    places = {of.name: place for place, of in enumerate(found)}
    outcomes.sort(key=lambda outcome: places[outcome.name])
    written = [of.summary for of in outcomes if of.summary is not None]
    if n_skipped := sum(of.skipped for of in outcomes):
        what = f"{outcomes[0].name} is" if alone else f"{n_skipped} of {len(found)} recordings are"
        console.say(f"{what} done already; --overwrite makes {'it' if alone else 'them'} anew")
    if written:
        what = f"{len(written)} of {len(found)} recordings"
        if alone:
            what = ", ".join(written[0]["files"])
        console.say(f"in {job.folder}: {what}; {NOTICE}")
    return outcomes


def _lost(found: Found, *_: Any) -> Outcome:
    """Say what became of a recording whose process was ended."""
    return Outcome(found.name, error=UserError(f"{found.path}: {ENDED}; run it again"))


def _keep_error(folder: Path, outcome: Outcome, console: Console) -> None:
    """Keep on disk that a recording failed, until it does no longer.

    Where files were kept that are made otherwise, nothing has been tried.
    """
    path = outputs.failure_path(folder, outcome.name)
    if path.exists() and outputs.load_failure(path) is None:
        return
    if outcome.error is None:
        path.unlink(missing_ok=True)
    elif not isinstance(outcome.error, MismatchError):
        try:
            outputs.save_failure(path, outcome.name, outcome.error)
        except (UserError, OSError) as error:
            console.say(f"{path}: {error}")


def judge(found: Found, job: Job, path: Path, alone: bool) -> Outcome:
    """Judge a recording, and write its files, unless they are there.

    alone: whether there are no others, which processes beside this one work on.
    """
    if not alone:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    detector, about = load(path)
    try:
        outcome = _judge(found, job, detector, about)
    except UserError as error:
        return Outcome(found.name, error=error)
    except OSError as error:
        reason = f"{error.filename or found.path}: {error.strerror or error}"
        return Outcome(found.name, error=FileError(reason))
    except MemoryError:
        return Outcome(found.name, error=UserError(f"{found.path}: out of memory"))
    except Exception as error:
        # A fault of ours; of several recordings, the others are not to suffer.
        if alone:
            raise
        reason = f"{type(error).__name__}: {error}"
        return Outcome(found.name, error=UserError(f"{found.path}: unexpected failure, {reason}"))
    assert outcome.summary is not None
    return replace(outcome, summary={name: outcome.summary[name] for name in SHORT})


def _judge(found: Found, job: Job, detector: Detector, about: dict[str, Any]) -> Outcome:
    reader = open_recording(found, job.sampling_rate, job.unit)
    edf = found.format == "EDF"
    made_by = {
        "ecgad": metadata.version("ecgad"),
        "detector": about["sha256"],
        **{name: value for name, value in asdict(job.wanted).items() if value is not None},
        "files": [[file.name, *_state(file)] for file in _files(reader, job.wanted)],
        "sampling_rate": reader.sampling_rate,
    }
    # As it comes back from a file.
    made_by = json.loads(json.dumps(made_by))
    paths = outputs.paths_of(job.folder, found.name, edf)
    done = _done(paths, made_by, job.overwrite)
    if done is not None:
        return Outcome(found.name, done, skipped=True)
    findings = detect(detector, reader, job.wanted)
    # Another process may have done it since.
    done = _done(paths, made_by, job.overwrite)
    if done is not None:
        return Outcome(found.name, done, skipped=True)
    for path in _stale(paths, job.folder, found.name):
        path.unlink(missing_ok=True)
    # Whoever finds files beside it knows whose they are, should this be interrupted.
    files.save_json(paths[-1], {UNFINISHED: True, "made_by": made_by})
    summary = {
        **findings.summary(),
        "files": [path.relative_to(job.folder).as_posix() for path in paths],
        "detector": about,
        "notice": NOTICE,
        "made_by": made_by,
    }
    outputs.save(job.folder, findings, reader, summary)
    return Outcome(found.name, summary)


def _files(reader: Reader, wanted: Wanted) -> list[Path]:
    """List what the results depend on."""
    if wanted.annotator is None:
        return list(reader.files)
    # Where there is none, reading it says so.
    path = reader.annotation_file(wanted.annotator)
    return [*reader.files, *([path] if path.is_file() else [])]


def _state(file: Path) -> tuple[int, int]:
    known = file.stat()
    return known.st_size, known.st_mtime_ns


def _done(paths: list[Path], made_by: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """Return the summary of a recording that is done already; None where it is to be done.

    Raises MismatchError where its files were made from something else, or by something else.
    """
    there = [path for path in paths if path.exists()]
    if not there:
        return None
    if any(not path.is_file() for path in there):
        raise MismatchError(f"{there[0]} is no file; choose another folder by --output")
    summary = outputs.load_summary(paths[-1])
    ours = "made_by" in summary
    if ours and (overwrite or summary.get(UNFINISHED)):
        return None
    if ours and summary["made_by"] == made_by:
        # Where somebody has removed one of the files, all are made anew.
        return summary if there == paths else None
    if ours:
        raise MismatchError(
            f"{paths[-1]} was made from something else or in another way; give --overwrite, or "
            f"choose another folder by --output"
        )
    raise MismatchError(
        f"{there[0]} is there already, and not by this command; move it away, or choose another "
        f"folder by --output"
    )


def _stale(paths: list[Path], folder: Path, name: str) -> list[Path]:
    """List what an earlier call wrote of a recording of this name, and this one does not.

    A summary may have been edited: no other files than these are looked for.
    """
    summary = outputs.load_summary(paths[-1])
    listed = summary.get("files") if "made_by" in summary else None
    if not isinstance(listed, list):
        return []
    ours = [folder / f"{name}{kind}" for kind in outputs.KINDS if f"{name}{kind}" in listed]
    return [path for path in ours if path not in paths]


@functools.cache
def load(path: Path) -> tuple[Detector, dict[str, Any]]:
    """Read a detector for recordings, and what the summaries say of it. Raises UserError."""
    detector = Detector.load(path)
    check_causal(detector)
    return detector, _about(detector, path)


def _about(detector: Detector, path: Path) -> dict[str, Any]:
    """Say what a detector is, what its threshold promises and how good it was found to be."""
    assert detector.threshold is not None
    known = detector.metadata
    trained, measured = known.get("trained_on") or {}, known.get("measured_on") or {}
    metrics = measured.get("metrics") or {}
    return {
        "name": known.get("name", path.name),
        "sha256": _digest(path),
        "threshold": detector.threshold.value,
        "promise": _promise(detector.threshold),
        "trained_on": _beats_words(trained, "train", trained),
        "measured_on": _beats_words(measured, "test", trained),
        "measured": {name: metrics.get(name) for name in MEASURED} if metrics else None,
        "look_ahead_seconds": LOOK_AHEAD,
    }


def _promise(threshold: Threshold) -> str:
    if threshold.method == "patients":
        known = threshold.parameters
        return (
            f"at most {known['max_false_alarm_rate']:.1%} of the normal beats called anomalous in "
            f"{known['patients']:.0%} of new patients, by {known['n_patients']:.0f} validation "
            f"patients"
        )
    words = f"threshold by {provenance(vars(threshold))}"
    return words if threshold.split is None else f"{words}; {threshold.n_above} of them lay above"


def _beats_words(known: dict[str, Any], split: str, trained: dict[str, Any]) -> str | None:
    """Say on which beats a detector was made, or measured; None where it does not say."""
    of_split = known.get(split)
    if not of_split:
        return None
    words = f"{of_split['beats']:,} beats"
    if records := of_split.get("records"):
        words += f" of {len(records)} records"
    database = (trained.get("settings") or {}).get("database")
    return f"{words} ({database or known['source']})"


def _digest(path: Path) -> str:
    if path.is_dir():
        from ecgad.artifacts import runs

        path = path / runs.DETECTOR
    return files.sha256(path)


def own_detector() -> Path:
    """Return where the detector is that comes with the package."""
    return Path(str(package_files("ecgad.detection"))) / OWN
