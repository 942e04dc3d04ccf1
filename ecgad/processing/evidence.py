"""Evidence: what rhythm and template say of a beat, before any network has looked at it.

Each is one number a beat. How early: logarithms of one RR interval over another, less where the
rhythm is irregular; 0 where the beat is not early. They are kept as leads of the beat, which the
network does not see, and the components `rhythm` and `template` of a score are made of them.
"""

import numpy as np

# By the names of the leads: what plots and tables call them.
RHYTHM = {
    "early_for_patient": "early for the patient's usual RR",
    "early_for_latest": "early for the latest three RR",
    "early_for_rhythm": "early for the running median RR",
    "pause_after": "pause after the beat",
    "usual_rhythm": "how early beats usually are, all of it together",
}
TEMPLATE = {
    "template_error": "log(mean difference from the template)",
    "template_error_ratio": "log(the same / its running median)",
}
EVIDENCE = RHYTHM | TEMPLATE
# How early a beat is, all of it together: the first four of RHYTHM by their weights, bent so that
# what is early beyond doubt counts little more than what is early. Chosen on the records that
# benchmarks/new_patients.py shows them on.
RHYTHM_WEIGHTS, RHYTHM_BEND = (0.6, 0.5, 7.5, 5.0), 4.0


def together(rhythm: np.ndarray) -> np.ndarray:
    """Return how early beats are, (n_beats,), from the first four of RHYTHM, (n_beats, 4)."""
    return RHYTHM_BEND * np.log1p(rhythm @ np.array(RHYTHM_WEIGHTS) / RHYTHM_BEND)
