"""Which annotations are beats, and which class each is of.

The symbols are those of PhysioNet's annotation files. Both maps have the five classes of
ANSI/AAMI EC57; they differ in where escape beats belong.
"""

CLASSES = {
    "N": "normal or bundle branch block",
    "S": "supraventricular ectopic",
    "V": "ventricular ectopic",
    "F": "fusion of ventricular and normal",
    "Q": "paced or unclassifiable",
}

# symbol: (meaning, class of `aami`, class of `ml_literature`)
BEATS = {
    "N": ("normal", "N", "N"),
    "L": ("left bundle branch block", "N", "N"),
    "R": ("right bundle branch block", "N", "N"),
    "B": ("bundle branch block, unspecified", "N", "N"),
    "e": ("atrial escape", "S", "N"),
    "j": ("nodal (junctional) escape", "S", "N"),
    "n": ("supraventricular escape", "S", "N"),
    "A": ("atrial premature", "S", "S"),
    "a": ("aberrated atrial premature", "S", "S"),
    "J": ("nodal (junctional) premature", "S", "S"),
    "S": ("supraventricular premature or ectopic", "S", "S"),
    "V": ("premature ventricular contraction", "V", "V"),
    "r": ("R-on-T premature ventricular contraction", "V", "V"),
    "E": ("ventricular escape", "V", "V"),
    "F": ("fusion of ventricular and normal", "F", "F"),
    "/": ("paced", "Q", "Q"),
    "f": ("fusion of paced and normal", "Q", "Q"),
    "Q": ("unclassifiable", "Q", "Q"),
    "?": ("not classified during learning", "Q", "Q"),
}

# From a beat's symbol to its class. `aami` is EC57's own wording, which counts escape beats as
# ectopic; most of the machine-learning literature follows de Chazal et al. 2004, who do not.
CLASS_MAPS = {
    "aami": {symbol: aami for symbol, (_, aami, _) in BEATS.items()},
    "ml_literature": {symbol: literature for symbol, (_, _, literature) in BEATS.items()},
}
