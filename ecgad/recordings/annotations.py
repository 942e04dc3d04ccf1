"""Annotation files of WFDB, in the format that PhysioNet calls MIT, read and written."""

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgad.errors import FileError
from ecgad.recordings.recording import HIGHEST_RATE, LOWEST_RATE

# PhysioNet's symbols, by the code that stands for each in a file.
SYMBOLS = {
    code: symbol
    for codes, symbols in (
        (range(1, 15), "NLRaVFJASEj/Q~"),
        (range(16, 17), "|"),
        (range(18, 42), 'sT*D"=pB^t+u?![]en@xf()r'),
    )
    for code, symbol in zip(codes, symbols, strict=True)
}
CODES = {symbol: code for code, symbol in SYMBOLS.items()}
NOTE, SKIP, NUMBER, SUBTYPE, CHANNEL, AUX = 22, 59, 60, 61, 62, 63
# Samples from one annotation to the next that fit beside its code.
MOST_SAMPLES = 1023
# Bytes of a text; what is longer shifts all that follows.
LONGEST_AUX = 255
# Seconds past a record's end: the last beat may lie there, later ones are of another record.
PAST_END = 1.0


@dataclass(frozen=True)
class Annotations:
    """All annotations of a recording, beats and others.

    samples: int64, (n,). symbols: str, (n,), PhysioNet's; " " where a file has a code of its own.
    subtypes: int8, (n,); None where all are 0. sampling_rate: in Hz, at which the samples are
    counted, where the file itself says so.
    """

    samples: np.ndarray
    symbols: np.ndarray
    subtypes: np.ndarray | None = None
    sampling_rate: float | None = None


def read_annotation_file(path: Path) -> Annotations:
    """Read all annotations of a file, in its order.

    Texts are passed over, but for the note that says at which rate the samples are counted. wfdb's
    `rdann` takes several times as long, and never returns from a file whose first notes begin
    with ## and define nothing. Raises FileError where the file is missing or malformed.
    """
    if not path.is_file():
        raise FileError(f"{path} is no file that annotations can be read from")
    try:
        return _parsed(path.read_bytes())
    except (ValueError, IndexError, OverflowError) as error:
        reason = "its end is missing" if isinstance(error, IndexError) else error
        raise FileError(
            f"{path} holds no annotations that can be read ({reason}); it may be cut short: fetch "
            f"it again"
        ) from None


def _parsed(content: bytes) -> Annotations:
    """Return the annotations of a file's bytes. Raises IndexError where the end is missing,
    ValueError where it is malformed.
    """
    if len(content) % 2:
        raise ValueError("it has an odd number of bytes")
    words = np.frombuffer(content, "<u2").tolist()
    samples, codes, subtypes = array("q"), bytearray(), array("b")
    rate = None
    sample = at = 0
    while word := words[at]:
        code, value = word >> 10, word & MOST_SAMPLES
        at += 1
        if code < SKIP:
            sample += value
            samples.append(sample)
            codes.append(code)
            subtypes.append(0)
        elif code == SKIP:
            # A signed number of 32 bits, its upper half first.
            apart = words[at] << 16 | words[at + 1]
            sample += apart - (apart >> 31 << 32)
            at += 2
        elif not codes:
            raise ValueError("it begins within an annotation")
        elif code == SUBTYPE:
            low = value & 0xFF
            subtypes[-1] = low - (low >> 7 << 8)
        elif code == AUX:
            length = value & LONGEST_AUX
            if codes[-1] == NOTE:
                note = content[2 * at : 2 * at + length]
                if found := re.match(rb"## time resolution: ([\d.]+)\s*$", note):
                    rate = float(found[1])
                    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                        raise ValueError(f"a time resolution of {rate:g} Hz cannot be right")
                if note.startswith(b"## "):
                    # About the file, and nothing in the recording.
                    codes[-1] = 0
            at += (length + 1) // 2
    kept = np.frombuffer(codes, np.uint8) != 0
    symbol_of = np.full(SKIP, " ", "<U1")
    symbol_of[list(SYMBOLS)] = list(SYMBOLS.values())
    return Annotations(
        samples=np.array(samples, np.int64)[kept],
        symbols=symbol_of[np.frombuffer(codes, np.uint8)][kept],
        subtypes=np.array(subtypes, np.int8)[kept],
        sampling_rate=rate,
    )


def rescaled(samples: np.ndarray, counted_at: float, sampling_rate: float) -> np.ndarray:
    """Return samples that were counted at one rate, both in Hz, as counted at another."""
    if counted_at == sampling_rate:
        return samples
    return np.rint(samples * (sampling_rate / counted_at)).astype(np.int64)


def require_inside(
    samples: np.ndarray, file: Path, name: str, n_samples: int, sampling_rate: float
) -> None:
    """Raise FileError where the annotations of a file are of another record than one of that many
    samples: one lies PAST_END or more beyond its end, or before its start.
    """
    latest = n_samples + PAST_END * sampling_rate
    if len(samples) and (samples.max() >= latest or samples.min() < 0):
        wrong = samples.max() if samples.max() >= latest else samples.min()
        raise FileError(
            f"record {name}: an annotation at sample {wrong} lies beyond the record's "
            f"{n_samples} samples; does {file.name} belong to it?"
        )


def annotation_bytes(
    rows: Iterable[tuple[int, str, int, str]], channel: int, sampling_rate: float | None = None
) -> Iterator[bytes]:
    """Give a file of annotations piece by piece, in the format that PhysioNet calls MIT.

    rows: sample, symbol (of `CODES`), subtype and text (ASCII, or empty) of each, samples
    ascending. channel: the signal that all are of. sampling_rate: in Hz, of the samples, where no
    header beside the file says it. wfdb's `wrann` took ten times as long, and writes no empty file.
    """
    if sampling_rate is not None:
        note = f"## time resolution: {sampling_rate:.12g}".encode()
        yield _word(NOTE << 10) + _aux(note)
    at_channel, last = 0, 0
    for sample, symbol, subtype, text in rows:
        apart = sample - last
        assert apart >= 0
        if apart > MOST_SAMPLES:
            # A number of 32 bits, its upper half first.
            yield _word(SKIP << 10) + _word(apart >> 16) + _word(apart & 0xFFFF)
            apart = 0
        yield _word(CODES[symbol] << 10 | apart)
        if subtype:
            yield _word(SUBTYPE << 10 | subtype)
        if channel != at_channel:
            yield _word(CHANNEL << 10 | channel)
            at_channel = channel
        if text:
            yield _aux(text.encode("ascii"))
        last = sample
    yield _word(0)


def _word(word: int) -> bytes:
    return word.to_bytes(2, "little")


def _aux(text: bytes) -> bytes:
    assert len(text) <= LONGEST_AUX
    return _word(AUX << 10 | len(text)) + text + b"\0" * (len(text) % 2)
