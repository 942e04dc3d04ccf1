"""Ten minutes of synthetic ECG as a WFDB record, for `make demo` and to try `ecgad detect` on.

python -m ecgad.data.synthetic_record FOLDER/NAME
"""

import sys
from pathlib import Path

import numpy as np
import wfdb

from ecgad.data.sources.synthetic import NORMAL_SYMBOL, synthesise_recording

SECONDS, RATE = 600.0, 250.0
# As it happens, for half a minute no electrode is on.
LOST = slice(round(400 * RATE), round(430 * RATE))


def write_record(path: Path) -> None:
    """Write a record of one lead, with its annotated beats (N, and V for all other kinds)."""
    lead, samples, symbols = synthesise_recording(SECONDS, RATE)
    lead[LOST] = 0
    there = (samples < LOST.start) | (samples >= LOST.stop)
    path.parent.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        path.name,
        fs=RATE,
        units=["mV"],
        sig_name=["II"],
        p_signal=lead[:, None],
        fmt=["16"],
        write_dir=str(path.parent),
    )
    names = np.where(symbols[there] == NORMAL_SYMBOL, "N", "V").tolist()
    wfdb.wrann(path.name, "atr", samples[there], names, write_dir=str(path.parent))


if __name__ == "__main__":
    write_record(Path(sys.argv[1]))
