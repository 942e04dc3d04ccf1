"""One damaged file, and the stages that read it: drawn by a number, run, and judged."""

import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, get_args

import fault_loaders
from fault_bases import (
    CONFIG,
    DATA,
    EVALUATE,
    OPTIONS,
    PREPROCESS,
    RAW,
    RUN,
    SOURCES,
    STAGES,
    TRAIN,
    VISUALIZE,
    Bases,
)
from fault_compare import differences, snapshot
from fault_mutations import PICKLED, Content, Special, Yaml, same_meaning, ways
from fault_runs import Outcome, start, start_forked
from pydantic import BaseModel

from ecgad.artifacts import processed, runs
from ecgad.artifacts.stages import GRAPH
from ecgad.experiment import Experiment, load_experiment

SHARED = Path("/dev/shm")  # noqa: S108
# Where a stage leaves a folder.
ENDS = dict(zip(STAGES, ("preprocessed", "trained", "evaluated", "drawn"), strict=True))
CODES = (0, 2, 3, 4, 130)
# What may fail although nothing is wrong with ecgad or its input.
REAL = ("disk is full", "loss is no longer finite", "No space left", "File too large")
NO_MEMORY = "out of memory"
# Of settings that are right, and ask for hours of work: the case ends where these are read.
TOO_LONG = 99
LONGEST_LINE = 2000
# Every so many cases, real processes.
OWN_PROCESSES = 40

FORGED = ("forged",)
MADE_ANEW = ("a value", "members of the zip")

TO_THE_END = ((TRAIN, ()), (EVALUATE, ()))
Step = tuple[str, tuple[str, ...]]
# Of a file in the splits, and of those in a run dir: where it stands, and what reads it then.
READ_SPLITS = (
    ("preprocessed", (TRAIN, ())),
    ("preprocessed", (PREPROCESS, ())),
    ("preprocessed", (PREPROCESS, ("--overwrite",))),
    ("trained", (EVALUATE, ())),
)
RESUMED = ("unfinished", (TRAIN, ("--resume",)))
READ_BEST = (("trained", (EVALUATE, ())), ("trained", (TRAIN, ())), RESUMED)
READ_LAST = (RESUMED, RESUMED, ("trained", (TRAIN, ())))
READ_RESULTS = (
    ("evaluated", (EVALUATE, ())),
    ("evaluated", (VISUALIZE, ())),
    ("evaluated", (EVALUATE, ("--overwrite",))),
)


@dataclass(frozen=True)
class Kind:
    """A kind of file, and how it is read.

    bases: in which it is. files: patterns of its paths. form: of `fault_mutations`. read: states,
    each with the step that reads the file then; none: from the raw files on, all stages. checked:
    whether the checks that there are have to notice what is damaged. loaded: whether it is read by
    the function that reads such files rather than by a stage. weight: how often it is drawn.
    """

    name: str
    bases: tuple[str, ...]
    files: tuple[str, ...]
    form: str
    read: tuple[tuple[str, Step], ...] = ()
    checked: bool = True
    loaded: bool = False
    weight: int = 4


def _raw(name: str, bases: tuple[str, ...], files: str, form: str, weight: int = 4) -> Kind:
    return Kind(name, bases, (f"{RAW}/{files}",), form, checked=False, weight=weight)


WHOLE = ("synthetic", "wfdb")
SPLITS = (f"{DATA}/*.npy",)
SPLIT_JSON = (f"{DATA}/scaler.json", f"{DATA}/beats.json", f"{DATA}/strips.json")
ARRAYS = (f"{RUN}/*.npy",)
RESULT_JSON = (f"{RUN}/metrics.json", f"{RUN}/threshold.json", f"{RUN}/examples.json")
DETECTOR = (f"{RUN}/detector.pt",)
MANIFESTS = (f"{DATA}/manifest.json", f"{RUN}/manifest.json")
KINDS = (
    Kind("config file", ("synthetic", "csv", "wfdb"), (CONFIG,), "yaml", checked=False, weight=12),
    Kind("`--set` option", ("synthetic", "csv", "wfdb"), (), "option", checked=False, weight=10),
    Kind("command line", ("synthetic", "csv"), (), "command line", checked=False, weight=4),
    Kind("user's own file in the way", ("synthetic",), (), "own file", checked=False, weight=3),
    _raw("CSV table", ("csv", "unlabelled", "test file"), "*.csv", "text", 8),
    _raw("NumPy table", ("npy",), "*.npy", "npy", 3),
    _raw("Parquet table", ("parquet",), "*.parquet", "bytes", 2),
    _raw("`ecg.csv`", ("ecg_csv",), "*.csv", "text", 3),
    _raw("heartbeat table", ("heartbeat_csv",), "*.csv", "text", 3),
    _raw("ECG5000 `.ts`", ("ecg5000 ts",), "*.ts", "text", 5),
    _raw("ECG5000 `.txt`", ("ecg5000 txt",), "*.txt", "text", 3),
    _raw("WFDB header", ("wfdb", "ptbdb"), "*.hea", "header", 6),
    _raw("WFDB signal", ("wfdb", "ptbdb"), "*.dat", "bytes", 4),
    _raw("WFDB annotations", ("wfdb",), "*.atr", "annotations", 6),
    _raw("SHA256SUMS.txt", ("wfdb", "ptbdb"), "SHA256SUMS.txt", "text", 2),
    Kind("array of a split", WHOLE, SPLITS, "npy", READ_SPLITS),
    Kind("JSON of the splits", WHOLE, SPLIT_JSON, "json", READ_SPLITS, weight=3),
    Kind("manifest", WHOLE, MANIFESTS[:1], "manifest", READ_SPLITS),
    Kind("manifest", WHOLE, MANIFESTS[1:], "manifest", (*READ_BEST, *READ_RESULTS)),
    Kind("checkpoint_best.pt", WHOLE, (f"{RUN}/{runs.BEST}",), "tensors", READ_BEST),
    Kind("checkpoint_last.pt", WHOLE, (f"{RUN}/{runs.LAST}",), "tensors", READ_LAST, weight=6),
    Kind("history.csv", WHOLE, (f"{RUN}/{runs.HISTORY}",), "text", READ_LAST, weight=2),
    Kind("scores, codes, reconstructions", WHOLE, ARRAYS, "npy", READ_RESULTS, weight=2),
    Kind("JSON of the results", WHOLE, RESULT_JSON, "json", READ_RESULTS, weight=3),
    Kind("scores.csv", WHOLE, (f"{RUN}/scores.csv",), "text", READ_RESULTS, weight=2),
    Kind("detector.pt", WHOLE, DETECTOR, "tensors", READ_RESULTS, weight=2),
    Kind("loaded: arrays", WHOLE, (*SPLITS, *ARRAYS), "npy", loaded=True, checked=False),
    Kind("loaded: JSON", WHOLE, (*SPLIT_JSON, *RESULT_JSON), "json", loaded=True, checked=False),
    Kind("loaded: manifest", WHOLE, MANIFESTS, "manifest", loaded=True, checked=False, weight=2),
    Kind("loaded: history.csv", WHOLE, (f"{RUN}/{runs.HISTORY}",), "text", (), False, True, 2),
    Kind("loaded: checkpoint", WHOLE, (f"{RUN}/*point*.pt",), "tensors", (), False, True),
    Kind("loaded: detector", WHOLE, DETECTOR, "tensors", (), False, True, 6),
)


@dataclass(frozen=True)
class Case:
    """A folder, what is damaged in it, and the steps that follow.

    target: the damaged file, relative to the folder; empty where the damage is on the command line.
    content: what it gets. original: what it had. same: whether the results have to be those of the
    whole file. own: whether the steps are processes of their own.
    """

    kind: Kind
    way: str
    base: str
    state: str
    steps: tuple[Step, ...]
    target: str
    content: Content
    original: bytes
    same: bool = False
    own: bool = False


@dataclass
class Verdict:
    """What became of a case. wrong: what was not right, empty where all was."""

    kind: str
    way: str
    codes: list[int | None] = field(default_factory=list)
    wrong: str = ""
    told: str = ""

    @property
    def signature(self) -> str:
        """What failures of one cause have in common."""
        frames = re.findall(
            r'File ".*/(?:ecgad|site-packages)/(\S+)", line \d+, in (\S+)', self.told
        )
        ours = re.findall(r'File ".*/ecgad/(\S+)", line \d+, in (\S+)', self.told)
        where = " in ".join(reversed((ours or frames or [("", "")])[-1]))
        # Of an error the type alone: its words differ from input to input.
        last = re.findall(
            r"^(?:\w+\.)*(\w+(?:Error|Exception|Warning|Interrupt))\b", self.told, re.M
        )
        reason = re.sub(r"\d+", "N", self.wrong)
        return " ".join([reason, *(last[-1:] if "Traceback" in self.told else []), where]).strip()


def draw(seed: int, number: int, bases: Bases, kinds: Sequence[Kind] = KINDS) -> Case:
    """Draw a case; the same numbers always give the same one."""
    rng = Random(f"{seed} {number}")
    (kind,) = rng.choices(kinds, [kind.weight for kind in kinds])
    base = rng.choice(kind.bases)
    own = number % OWN_PROCESSES == OWN_PROCESSES - 1 and not kind.loaded
    case = Case(kind, "", base, "raw", (), "", b"", b"", own=own)
    match kind.form:
        case "option":
            return _draw_option(rng, case, bases)
        case "command line":
            return _draw_command_line(rng, case)
        case "own file":
            return _draw_own_file(rng, case)
    steps: tuple[Step, ...] = ()
    if kind.loaded:
        state = "evaluated"
    elif kind.read:
        state, step = rng.choice(kind.read)
        steps = (step,)
    else:
        state = rng.choice(("raw", "raw", "raw", "evaluated" if kind.form == "yaml" else "raw"))
        steps = ((PREPROCESS, ()), *TO_THE_END)
    folder = bases.of(base, state)
    targets = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if any(fnmatch(str(path.relative_to(folder)), pattern) for pattern in kind.files)
    )
    target = rng.choice(targets)
    original = (folder / target).read_bytes()
    ways_here = dict(ways(kind.form))
    if kind.form == "yaml":
        # What it says counts for more than how it is written.
        ways_here |= {
            f"{name}{more}": way
            for name, way in _yaml(base, bases).ways.items()
            for more in ("", " again")
        }
    same = {} if kind.loaded else same_meaning(kind.form)
    name = rng.choice([*ways_here, *same])
    way = (ways_here | same)[name]
    return replace(
        case,
        way=name.removesuffix(" again"),
        state=state,
        steps=steps,
        target=target,
        content=way(rng, original),
        original=original,
        same=name in same,
    )


def _yaml(base: str, bases: Bases, known: dict[str, Yaml] = {}) -> Yaml:  # noqa: B006
    """Return the ways to change the experiment of a base."""
    if base not in known:
        experiment = load_experiment(bases.of(base, "raw") / CONFIG)
        known[base] = Yaml(experiment.model_dump(mode="json"), _choices(Experiment))
    return known[base]


def _choices(section: type[BaseModel], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], list]:
    """Return the words that each setting of a section allows."""
    found: dict[tuple[str, ...], list] = {}

    def words(annotation: Any) -> list[Any]:
        if isinstance(annotation, type):
            return []
        inner = [word for part in get_args(annotation) for word in words(part)]
        return [part for part in get_args(annotation) if isinstance(part, str)] + inner

    for name, info in section.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found |= _choices(info.annotation, (*path, name))
        elif allowed := words(info.annotation):
            found[*path, name] = [*allowed, [allowed[0]], allowed]
    found["data", "source"] = list(SOURCES)
    return found


def _draw_option(rng: Random, case: Case, bases: Bases) -> Case:
    content = _yaml(case.base, bases).option(rng, b"")
    step = ("--set", content.decode("utf-8", "replace"))
    scripts: tuple[str, ...] = (PREPROCESS, TRAIN, EVALUATE)
    state = rng.choice(("raw", "raw", "evaluated"))
    steps = tuple((script, step) for script in scripts)
    return replace(case, way="an option", state=state, steps=steps, content=content)


ODD_OPTIONS: tuple[tuple[str, ...], ...] = (
    *(("--seed", text) for text in ("-1", "4294967296", "1e3", "x", "", "9" * 5000, "1")),
    *(("--device", text) for text in ("cuda", "gpu", "", "mps", "cpu", "auto")),
    *(("--jobs", text) for text in ("0", "-1", "300", "x", "1")),
    *(("-c", text) for text in ("", ".", "absent.yaml", "/dev/null", "../outside/mine", "a\nb")),
    *(("--config", text) for text in ("x" * 300, "x" * 5000, f"{RAW}/../{CONFIG}", "exp.yml")),
    *(("--run-dir", text) for text in ("", CONFIG, "/dev/null/x", "x" * 300, "a\nb", "é/ü", DATA)),
    *(("--run-dir", text) for text in ("\udcff", f"{CONFIG}/x", RAW, ".", "new/deep/er")),
    *(("--resume", "--overwrite"), ("--resume",), ("--overwrite",), ("--quiet",), ("--help",)),
    *(("--foo",), ("more",), ("--set",), ("--set", ""), ("--set", "="), ("--set", "seed"), ("--",)),
    *(("--set", "seed=1", "--set", "seed=2"), ("--seed",), ("--json",), ("-h",), ("--version",)),
)


def _draw_command_line(rng: Random, case: Case) -> Case:
    more: tuple[str, ...] = ()
    for _ in range(rng.choice((1, 1, 2))):
        more += rng.choice(ODD_OPTIONS)
    state, script = rng.choice(
        (("raw", PREPROCESS), ("preprocessed", TRAIN), ("trained", EVALUATE))
    )
    content = "\n".join(more).encode("utf-8", "surrogateescape")
    return replace(case, way="options", state=state, steps=((script, more),), content=content)


def _draw_own_file(rng: Random, case: Case) -> Case:
    """Put something of the user's where a stage is going to write."""
    state, script = rng.choice(
        (("raw", PREPROCESS), ("preprocessed", TRAIN), ("trained", EVALUATE))
    )
    names = {
        PREPROCESS: [
            f"{DATA}/{name}" for name in (*processed.OUTPUTS, "manifest.json", "mine.txt")
        ],
        TRAIN: [f"{RUN}/{name}" for name in (*runs.TRAINING_OUTPUTS, "config.yaml", "mine.txt")],
        EVALUATE: [f"{RUN}/{name}" for name in (*runs.EVALUATION_OUTPUTS, "figures/mine.png")],
    }
    way = rng.choice(("a file", "a folder", "a pipe", "a link"))
    content: Content = b"mine\n"
    if way != "a file":
        content = Special({"a folder": "folder", "a pipe": "pipe", "a link": "link"}[way])
    more = ("--overwrite",) if rng.random() < 0.4 else ()
    steps = ((script, more),)
    return replace(
        case, way=way, state=state, steps=steps, target=rng.choice(names[script]), content=content
    )


def run_case(case: Case, bases: Bases) -> Verdict:
    """Run a case in a folder of its own, and judge how it ends."""
    verdict = Verdict(case.kind.name, case.way)
    top = Path(tempfile.mkdtemp(prefix="ecgad-fault-", dir=SHARED if SHARED.is_dir() else None))
    work = top / "work"
    try:
        shutil.copytree(bases.of(case.base, case.state), work)
        (top / "outside").mkdir()
        (top / "outside" / "mine").write_text("mine\n")
        if case.target:
            damage(work / case.target, case.content)
        if case.kind.loaded:
            _load(case, work, top, verdict)
        for step in case.steps:
            if not _step(case, step, work, top, verdict) or verdict.wrong:
                break
        else:
            if not case.kind.loaded:
                _judge_end(case, work, bases, verdict)
    finally:
        shutil.rmtree(top)
    return verdict


def damage(path: Path, content: Content) -> None:
    """Put content in the place of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    path.unlink(missing_ok=True)
    match content.what:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
        case "dangling":
            path.symlink_to("nowhere")
        case "link":
            path.symlink_to(path.parents[-1] / path.parents[len(path.parts) - 2] / "x")


def _load(case: Case, work: Path, top: Path, verdict: Verdict) -> None:
    before = snapshot(top)
    load = fault_loaders.LOADERS[Path(case.target).name.partition("_")[0]]
    outcome = start_forked(
        "", (), work, work=lambda: fault_loaders.guarded(load, case.target)
    ).wait()
    verdict.codes.append(outcome.code)
    _judge(verdict, outcome, before, snapshot(top), "", Path(), case)


def _step(case: Case, step: Step, work: Path, top: Path, verdict: Verdict) -> bool:
    """Run a stage and judge it; return whether the next one may follow."""
    script, more = step
    arguments = (*OPTIONS, *more)
    before = snapshot(top)
    if case.own:
        outcome = start(script, arguments, work, own=True).wait(seconds=120, idle=15)
    else:
        changed = case.kind.form in ("yaml", "option", "command line")
        prepare = (lambda: leave_if_long(more)) if changed else None
        outcome = start_forked(script, arguments, work, prepare).wait()
    verdict.codes.append(outcome.code)
    if outcome.code == TOO_LONG:
        return False
    run_dir = Path(*more[-1:]) if "--run-dir" in more[-2:-1] else Path(RUN)
    _judge(verdict, outcome, before, snapshot(top), script, run_dir, case)
    return outcome.code == 0


def leave_if_long(options: Sequence[str]) -> None:
    """End this process where its settings are right, and ask for more work than a case may have."""
    changes = [after for option, after in pairwise(options) if option == "--set"]
    try:
        experiment = load_experiment(Path(CONFIG), changes)
        text = experiment.model_dump_json()
    except BaseException:
        return  # what is wrong, the script says
    data, training, model = experiment.data, experiment.training, experiment.model
    made = getattr(data, "synthetic")  # noqa: B009
    widths = [*model.dense.layers, model.cnn.filters, model.lstm.hidden_size, model.lstm.layers]
    if (
        (data.source == "synthetic" and (made.beats > 1000 or made.samples > 2000))
        or training.epochs > 20
        or training.members > 5
        or model.cnn.kernel_size > 101
        or experiment.evaluation.bootstrap > 2000
        or max(widths) > 256
        or len(widths) > 12
        or len(text) > 500_000
    ):
        os._exit(TOO_LONG)


def _judge(
    verdict: Verdict,
    outcome: Outcome,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    script: str,
    run_dir: Path,
    case: Case,
) -> None:
    wrong = judge_words(outcome, script, case.kind.form in ("yaml", "option"))
    if not wrong:
        anywhere = case.kind.form in ("yaml", "option", "command line")
        wrong = judge_files(outcome, before, after, script, run_dir, anywhere=anywhere)
    if not wrong and case.kind.form == "own file":
        for name in (case.target, "outside"):
            path = f"work/{name}" if name != "outside" else "outside/mine"
            if before.get(path) != after.get(path):
                wrong = "the user's own file is changed"
    verdict.wrong, verdict.told = wrong, outcome.stderr[-6000:]


def judge_words(outcome: Outcome, script: str, settings: bool = False) -> str:
    """Say what is wrong about how a run ended and what it said; nothing where it is right.

    settings: whether it may be asked for more memory than there is.
    """
    if outcome.code is None:
        return "hangs"
    if outcome.code < 0:
        return f"ended by signal {-outcome.code}"
    if "Traceback (most recent call last)" in outcome.stderr:
        return "traceback"
    if re.search(r"\b\w*Warning: |^Exception ignored", outcome.stderr, re.M):
        return "a warning"
    lines = outcome.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if outcome.code == 0:
        return "an error line beside exit code 0" if errors else judge_result(outcome, script)
    return judge_error(outcome, errors, lines[-1:], settings)


def judge_error(outcome: Outcome, errors: list[str], last: list[str], settings: bool) -> str:
    """Say what is wrong about a run that failed. last: its last line on stderr."""
    if len(errors) != 1 or last != errors:
        return f"{len(errors)} lines of error"
    allowed = (*REAL, NO_MEMORY) if settings else REAL
    real = outcome.code == 1 and any(words in errors[0] for words in allowed)
    if outcome.code not in CODES and not real:
        return f"exit code {outcome.code}"
    if len(errors[0]) > LONGEST_LINE:
        return "an error line of thousands of characters"
    return "output beside an error" if outcome.stdout else ""


def judge_result(outcome: Outcome, script: str) -> str:
    """Say what is wrong about the result of a run that ended well."""
    if not script or outcome.stdout.startswith("Usage: "):
        return ""
    if outcome.stdout.count("\n") != 1:
        return "not one line of result"
    try:
        numbers(json.loads(outcome.stdout, parse_constant=_no_constant))
    except ValueError as error:
        return f"a result that is {error}"
    return ""


def _no_constant(name: str) -> None:
    raise ValueError(f"no number: {name}")


def numbers(tree: Any) -> None:
    """Raise ValueError where a number is not finite."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        for value in tree:
            numbers(value)
    elif isinstance(tree, float) and not math.isfinite(tree):
        raise ValueError("not finite")


def judge_files(
    outcome: Outcome,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    script: str,
    run_dir: Path = Path(RUN),
    killed: bool = False,
    anywhere: bool = False,
) -> str:
    """Say what is wrong about what a run changed on disk.

    before, after: snapshots of the folder above. killed: whether it was not given the time to
    remove its temporary files. anywhere: whether its settings may have named another folder.
    """
    changed = sorted(name for name in {**before, **after} if before.get(name) != after.get(name))
    if any(PICKLED in name for name in changed):
        return "a pickle was executed"
    for name in after:
        hidden = Path(name).name
        if hidden.startswith(".") and hidden.endswith((".ecgad", ".partial")) and not killed:
            return "a hidden temporary file is left"
    changed = [name for name in changed if not name.endswith((".ecgad", "/"))]
    if outcome.code in (2, 3, 4) and changed:
        return f"exit code {outcome.code}, and {_general(changed[0])} is changed"
    folder = Path("work", DATA if script == PREPROCESS else run_dir)
    for name in changed:
        path = Path(name)
        if anywhere and name not in before and _may_write(script, path.name):
            continue
        if path.parent not in (folder, folder / runs.FIGURES) or not _may_write(script, path.name):
            return f"{_general(name)} is changed"
    return ""


def _general(name: str) -> str:
    return re.sub(r"(train|validation|test)\.npy", "SPLIT.npy", name.removeprefix("work/"))


def _may_write(script: str, name: str) -> bool:
    """Whether a stage may write a file of that name."""
    if name == "manifest.json" or (name == runs.CONFIG and script != PREPROCESS):
        return bool(script)
    (outputs,) = [node.outputs for node in GRAPH.values() if node.script == script] or [()]
    return name in outputs or (script == VISUALIZE and name.endswith(".png"))


def _judge_end(case: Case, work: Path, bases: Bases, verdict: Verdict) -> None:
    """Judge what is there after the last stage, which has ended well."""
    whole = case.same or case.content == case.original
    # A well-formed file of which nothing else keeps a checksum is taken for what it says.
    forged = case.way in FORGED or (case.way in MADE_ANEW and case.state == "unfinished")
    if whole or (case.kind.checked and not forged):
        end = bases.of(case.base, ENDS[case.steps[-1][0]])
        verdict.wrong = differences(work, end, raw=not case.kind.checked)
        if verdict.wrong and not whole:
            verdict.wrong = f"not noticed: {verdict.wrong}"
    if not verdict.wrong:
        verdict.wrong = consistent(work)


def consistent(work: Path) -> str:
    """Say where what is on disk is not what the manifests and the metrics say."""
    from ecgad.artifacts.files import load_json, sha256

    for name in (DATA, RUN):
        folder = work / name
        if not (folder / "manifest.json").is_file():
            continue
        for stage, entry in load_json(folder / "manifest.json")["stages"].items():
            for output, digest in entry["outputs"].items():
                path = folder / output
                if not path.is_file() or sha256(path) != digest:
                    return f"{_general(output)} is not what the manifest says of {stage}"
    for name in (runs.METRICS, runs.THRESHOLD):
        if (path := work / RUN / name).is_file():
            try:
                numbers(json.loads(path.read_text(), parse_constant=_no_constant))
            except ValueError as error:
                return f"{name} is {error}"
    return ""
