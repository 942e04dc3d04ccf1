"""Sources of beats, one a file, by the name that `data.source` gives them.

Nothing that is slow to import is imported before a source is read.
"""

from typing import Any

from ecgad.data.sources.csv import Csv
from ecgad.data.sources.ecg5000 import Ecg5000
from ecgad.data.sources.ecg_csv import EcgCsv
from ecgad.data.sources.heartbeat_csv import HeartbeatCsv
from ecgad.data.sources.ptbdb import Ptbdb
from ecgad.data.sources.source import Record, Source
from ecgad.data.sources.synthetic import Synthetic
from ecgad.data.sources.wfdb import Wfdb

__all__ = ["SOURCES", "Record", "Source"]

_ALL: tuple[type[Source[Any]], ...] = (
    Synthetic,
    Ecg5000,
    EcgCsv,
    Csv,
    Wfdb,
    Ptbdb,
    HeartbeatCsv,
)
SOURCES = {source.name: source for source in _ALL}
