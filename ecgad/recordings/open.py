"""Recordings that were found, to readers of them; what each needs is imported when it is opened."""

from ecgad.errors import ConfigError, FileError
from ecgad.recordings.find import Found
from ecgad.recordings.reader import Reader
from ecgad.recordings.recording import HIGHEST_RATE, LOWEST_RATE, UNITS


def open_recording(found: Found, sampling_rate: float | None, unit: str | None) -> Reader:
    """Open a recording.

    sampling_rate: in Hz, and unit: mV, uV or V, of a table, which does not say them. Raises
    ConfigError where they are lacking or the file says them itself, FileError where it is
    malformed.
    """
    path = found.path
    if not path.is_file():
        raise FileError(f"{path} is no file that a recording can be read from")
    if found.format != "table":
        if sampling_rate is not None or unit is not None:
            raise ConfigError(
                f"{path} says its rate and units itself; leave out --rate and --unit, which are "
                f"for tables"
            )
        if found.format == "EDF":
            from ecgad.recordings.edf_reader import EdfReader

            return EdfReader(found)
        from ecgad.recordings.wfdb_reader import WfdbReader

        return WfdbReader(found)
    if sampling_rate is None or unit is None:
        lacking = " and ".join(
            option
            for option, value in (("--rate HZ", sampling_rate), ("--unit mV|uV|V", unit))
            if value is None
        )
        raise ConfigError(f"{path} is a table, which says no rate and no unit; give {lacking}")
    if not LOWEST_RATE <= sampling_rate <= HIGHEST_RATE:
        raise ConfigError(
            f"--rate {sampling_rate:g}: {LOWEST_RATE:g} to {HIGHEST_RATE:g} Hz is possible"
        )
    if unit.casefold() not in UNITS:
        raise ConfigError(f"--unit {unit}: mV, uV or V is possible")
    from ecgad.recordings.table_reader import open_table

    return open_table(found, sampling_rate, UNITS[unit.casefold()])
