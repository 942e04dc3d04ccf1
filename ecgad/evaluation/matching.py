"""Which found peak is which annotated beat."""

import numpy as np


def match_beats(reference: np.ndarray, found: np.ndarray, tolerance: float) -> np.ndarray:
    """Match beats one to one within a tolerance, in as many pairs as there can be.

    reference, found: samples (n,), ascending. tolerance: in samples, reached or not. Returns
    indices of both, int64 (n_pairs, 2), ascending. The first beat still free takes the first that
    it reaches, which leaves most to those after it; wfdb's `compare_annotations` takes the
    nearest, and so at times leaves two where there could be a pair.
    """
    pairs = []
    first, second = reference.tolist(), found.tolist()
    i = j = 0
    while i < len(first) and j < len(second):
        if abs(first[i] - second[j]) <= tolerance:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif first[i] < second[j]:
            i += 1
        else:
            j += 1
    return np.array(pairs, np.int64).reshape(-1, 2)
