"""Evidence: what rhythm and template say of a beat, before any network has looked at it.

Each is one number a beat. How early: logarithms of one RR interval over another, less where the
rhythm is irregular; 0 where the beat is not early. They are kept as leads of the beat, which the
network does not see, and the components `rhythm` and `template` of a score are made of them.
"""

# By the names of the leads: what plots and tables call them.
RHYTHM = {
    "early_for_patient": "early for the patient's usual RR",
    "early_for_latest": "early for the latest three RR",
    "early_for_rhythm": "early for the running median RR",
    "pause_after": "pause after the beat",
}
TEMPLATE = {
    "template_error": "log(mean difference from the template)",
    "template_error_ratio": "log(the same / its running median)",
}
EVIDENCE = RHYTHM | TEMPLATE
