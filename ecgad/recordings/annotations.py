"""Annotation files of WFDB, written."""

from collections.abc import Iterable, Iterator

# Codes of the symbols that are written here, in PhysioNet's format.
CODES = {"N": 1, "Q": 13, "~": 14}
NOTE, SKIP, SUBTYPE, CHANNEL, AUX = 22, 59, 61, 62, 63
# Samples from one annotation to the next that fit beside its code.
MOST_SAMPLES = 1023
# Bytes of a text; what is longer shifts all that follows.
LONGEST_AUX = 255


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
