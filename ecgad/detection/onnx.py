"""A detector that is one ONNX file, which onnxruntime runs; nothing here needs PyTorch.

A file from elsewhere is input like any other: it is looked through before onnxruntime gets it, and
what it may take of memory and time is bounded.
"""

import functools
import hashlib
import json
import math
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from pydantic import TypeAdapter

from ecgad.data.beats import BeatFormat
from ecgad.detection.detector import Detector, check_finite, checked_beats
from ecgad.detection.wire import read_model
from ecgad.errors import FileError
from ecgad.scoring.levels import Levels
from ecgad.scoring.thresholds import Threshold

FORMAT = 1
# The entry of the file's metadata that has all else, as JSON.
KEY = "ecgad"
AGAIN = "export it again with `ecgad export`"
INPUTS = {"beats": "tensor(float)", "lengths": "tensor(int64)"}
OUTPUTS = {"score": "tensor(double)", "anomalous": "tensor(bool)", "shares": "tensor(float)"}

# Of a file; what the numbers of a graph may take of memory; and seconds that a batch may take.
MOST_BYTES, MOST_MEMORY, LONGEST = 2**29, 2**31, 120.0
MOST_BATCH, MOST_SAMPLES = 4096, 10_000_000


class OnnxDetector(Detector):
    """Scores raw beats by the graph of an ONNX file.

    metadata: what the file says of itself: what it was trained and measured on, by which versions,
    and the licences of the data.
    """

    def __init__(self, content: bytes) -> None:
        """Take the bytes of an ONNX file. Raises ValueError where they are no detector's."""
        model = read_model(content)
        self.metadata = _metadata(model.metadata.get(KEY), model.graph)
        known = self.metadata
        self.beat_format = _of_type(BeatFormat, known["beat_format"])
        self.threshold = _of_type(Threshold, known["threshold"])
        self.usual_shares = _of_type(tuple[float, float, float] | None, known["usual_shares"])
        # What an earlier version wrote has none.
        self.levels = _of_type(Levels | None, known.get("levels"))
        self.batch = _of_type(int, known["batch"])
        if not math.isfinite(self.threshold.value) or not 0 < self.batch <= MOST_BATCH:
            raise ValueError("a number of its metadata is out of range")
        _bound_memory()
        options = onnxruntime.SessionOptions()
        # Errors come as exceptions.
        options.log_severity_level = 4
        # As for PyTorch; 0: as many as there are cores.
        threads = os.environ.get("OMP_NUM_THREADS", "")
        options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self.session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # onnxruntime has no class of its own that all are of
            raise ValueError(_reason(error)) from None
        self.shape = self._checked_shape()
        self.padded = len(self.session.get_inputs()) > 1
        self._run(np.zeros((1, *self.shape), np.float32), np.ones(1, np.int64))

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> "OnnxDetector":
        """Read a detector from an ONNX file; it runs on the CPU, whatever the device.

        Raises FileError where it is missing, damaged or no detector.
        """
        path = Path(path)
        if not path.is_file():
            raise FileError(f"no detector {path}; `ecgad export` makes one of a run dir")
        try:
            if (size := path.stat().st_size) > MOST_BYTES:
                raise ValueError(f"it has {size / 1e9:.1f} GB")
            return cls(path.read_bytes())
        except OSError as error:
            raise FileError(f"cannot read {path}: {error.strerror}") from None
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FileError(f"{path} is no detector ({_reason(error)}); {AGAIN}") from None

    def scores(
        self,
        beats: np.ndarray,
        lengths: np.ndarray | None = None,
        times: np.ndarray | None = None,
        records: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return scores, as `Detector` says; they depend on no times."""
        return self.explained(beats, lengths, times, records)[0]

    def explained(
        self,
        beats: np.ndarray,
        lengths: np.ndarray | None = None,
        times: np.ndarray | None = None,
        records: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scores, and where the errors lie, as `Detector` says."""
        scores, _, shares = self.outputs(beats, lengths)
        return self._relative(scores, records), shares

    def of_beats_alone(
        self, beats: np.ndarray, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and where the errors lie, as `Detector` says."""
        scores, _, shares = self.outputs(beats, lengths)
        return scores, shares

    def outputs(
        self, beats: np.ndarray, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what the graph makes of beats: scores, its verdicts, bool (n_beats,), and shares.

        They are of the beats alone. The verdicts are those of `predict`, unless another threshold
        was set, or scores are made relative to a record.
        """
        beats = checked_beats(beats, self.shape)
        lengths = self._checked_lengths(lengths, len(beats))
        scores, anomalous = np.empty(len(beats)), np.empty(len(beats), bool)
        shares = np.empty((len(beats), 3), np.float32)
        for first in range(0, len(beats), self.batch):
            part = slice(first, first + self.batch)
            scores[part], anomalous[part], shares[part] = self._run(beats[part], lengths[part])
        check_finite(scores)
        return scores, anomalous, shares

    def _run(self, beats: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
        """Run the graph on some beats. Raises FileError where it does not do what it should."""
        options = onnxruntime.RunOptions()
        options.log_severity_level = 4
        timer = threading.Timer(LONGEST, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            fed = {"beats": beats, "lengths": lengths} if self.padded else {"beats": beats}
            found = self.session.run(list(OUTPUTS), fed, options)
        except Exception as error:  # as above
            raise FileError(f"the detector does not run: {_reason(error)}; {AGAIN}") from None
        finally:
            timer.cancel()
        n = len(beats)
        if [of.shape for of in found] != [(n,), (n,), (n, 3)]:
            raise FileError(f"the detector gives arrays of other shapes; {AGAIN}")
        return found

    def _checked_shape(self) -> tuple[int, int]:
        """Return the shape of a beat. Raises ValueError where the graph is no detector's."""
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        given = {of.name: of.type for of in inputs}
        if given not in (INPUTS, {"beats": INPUTS["beats"]}):
            raise ValueError("its graph has other inputs than a detector")
        if {of.name: of.type for of in outputs} != OUTPUTS:
            raise ValueError("its graph has other outputs than a detector")
        (shape,) = (of.shape for of in inputs if of.name == "beats")
        sizes = shape[1:]
        whole = all(isinstance(size, int) and size > 0 for size in sizes)
        if len(shape) != 3 or isinstance(shape[0], int) or not whole:
            raise ValueError("its graph takes no arrays of beats")
        if math.prod(sizes) * self.batch > MOST_SAMPLES * MOST_BATCH:
            raise ValueError("its beats are too large")
        return sizes[0], sizes[1]

    def _checked_lengths(self, lengths: np.ndarray | None, n_beats: int) -> np.ndarray:
        n_samples = self.shape[1]
        if lengths is None:
            return np.full(n_beats, n_samples, np.int64)
        lengths = np.asarray(lengths)
        whole = lengths.shape == (n_beats,) and np.issubdtype(lengths.dtype, np.integer)
        if not whole or ((lengths < 1) | (lengths > n_samples)).any():
            raise ValueError(
                f"lengths: for each of the {n_beats} beats a number of samples from 1 to "
                f"{n_samples} expected"
            )
        if not self.padded and (lengths < n_samples).any():
            raise ValueError("lengths: this detector was exported for beats that are not padded")
        return lengths.astype(np.int64)


def encoded_metadata(known: Mapping[str, Any], graph: bytes) -> str:
    """Return what `OnnxDetector` reads: plain values as JSON, with a digest of them and the graph.

    graph: its bytes in the file.
    """
    return json.dumps({"sha256": _digest(known, graph), **known}, allow_nan=False)


def _metadata(text: str | None, graph: bytes) -> dict[str, Any]:
    if text is None:
        raise ValueError(f"its metadata has no entry {KEY!r}")
    known = json.loads(text)
    if not isinstance(known, dict) or known.get("format") != FORMAT:
        found = known.get("format") if isinstance(known, dict) else None
        raise ValueError(f"of format {str(found)[:20]}, where this version reads {FORMAT}")
    if known.pop("sha256", None) != _digest(known, graph):
        raise ValueError("it was changed or damaged: the checksum differs")
    return known


def _digest(known: Mapping[str, Any], graph: bytes) -> str:
    words = json.dumps(known, sort_keys=True).encode()
    return hashlib.sha256(words + graph).hexdigest()


def _of_type(kind: Any, value: Any) -> Any:
    """Return plain values as that type. Raises ValueError, which is in one line."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValueError as error:
        raise ValueError(f"its metadata is none: {_reason(error)}") from None


@functools.cache
def _bound_memory() -> None:
    """Bound what the graphs of this process take; all of them share it. They print nothing."""
    onnxruntime.set_default_logger_severity(4)
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    # By as much as is asked for: doubling it each time would take more.
    bounds = onnxruntime.OrtArenaCfg({"max_mem": MOST_MEMORY, "arena_extend_strategy": 1})
    # Somebody else in this process may have set bounds already.
    with suppress(Exception):
        onnxruntime.create_and_register_allocator(place, bounds)


def _reason(error: Exception) -> str:
    words = repr(error) if isinstance(error, KeyError) else str(error)
    return " ".join(words.split())[:300] or type(error).__name__
