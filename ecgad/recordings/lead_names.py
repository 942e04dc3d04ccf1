"""Which lead of a recording is meant, whatever its files call it."""

import re
from collections.abc import Sequence

from ecgad.errors import FileError

# The leads of an ECG as cardiology names them, without what stands around the name.
LEADS = {"i", "ii", "iii", "avr", "avl", "avf", *(f"v{n}" for n in range(1, 10)), "vx", "vy", "vz"}
# Modified limb and chest leads, of Holter and monitor, look like those.
MODIFIED = {"mli": "i", "mlii": "ii", "mliii": "iii", "mcl1": "v1", "mcl6": "v6", "mv1": "v1"}
MODIFIED |= {"mv2": "v2", "cm5": "v5", "cc5": "v5", "cm2": "v2"}
WORDS = re.compile(r"^(?:ecg|ekg|lead|channel|ch)+|(?:ecg|ekg|ref|lead)+$")


def common_name(name: str) -> str:
    """Return what a lead is called when all call it alike, such as `ii` for MLII and ECG Lead II.

    Of a name that says no more than that it is an ECG, such as ECG1, it is `ecg`.
    """
    plain = re.sub(r"[\W_]", "", name.casefold())
    word = WORDS.sub("", plain)
    if word in ("", *"123456789") and word != plain and re.search("ecg|ekg|lead", plain):
        return "ecg"
    return MODIFIED.get(word, word)


def is_ecg(name: str) -> bool:
    """Tell whether a lead is an ECG by its name, unlike an EEG or a pressure."""
    known = common_name(name)
    return known in LEADS or known == "ecg" or re.search("ecg|ekg", name.casefold()) is not None


def find_lead(
    there: Sequence[str], preferred: Sequence[str], but: Sequence[int] = ()
) -> int | None:
    """Return the index of the first preferred lead, by its very name or by a synonym."""
    for how in (str.casefold, common_name):
        names = [how(name) for name in there]
        for name in preferred:
            found = [i for i, other in enumerate(names) if other == how(name) and i not in but]
            if found:
                return found[0]
    return None


def choose_ecg_leads(
    recording: str, there: Sequence[str], wanted: Sequence[Sequence[str]], exactly: bool
) -> list[int]:
    """Return the indices of the wanted leads, each by names in order of preference.

    exactly: raise FileError where one is not there; else, where a single lead is wanted, the first
    that is an ECG by its name stands in for it, or the first of all.
    """
    chosen: list[int] = []
    for names in wanted:
        index = find_lead(there, names, chosen)
        if index is None and len(wanted) == 1 and not exactly:
            index = next((i for i, name in enumerate(there) if is_ecg(name)), 0)
        if index is None:
            raise FileError(
                f"{recording} has no lead {' or '.join(names)}, only {', '.join(there)}; name "
                f"others by --leads"
            )
        chosen.append(index)
    return chosen
