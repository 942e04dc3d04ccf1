"""Anomaly scores: one number a beat, higher = more anomalous.

A score has one component or several, each of something that a network, or each member of an
ensemble, makes of a beat: its reconstruction error, its code, the beat's timing.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ecgad.errors import ConfigError, FileError
from ecgad.models import Autoencoder
from ecgad.scoring.components import COMPONENTS, SMALLEST, Fitted, Score
from ecgad.scoring.inference import ERRORS, before, compute_features
from ecgad.scoring.reference_beats import ReferenceBeats, compute_reference

# Of a patient's own unlabelled beats, those with the highest scores may be anomalous.
ADAPTATION_TRIM = 0.2


class Scorer:
    """Scores scaled beats by a model, with the components that a config names.

    A single reconstruction error is the score as it is, the mean over the members. Otherwise each
    component of each member is divided by its median over the reference beats, and the score is the
    weighted geometric mean of these: a typical normal beat scores 1.
    """

    def __init__(
        self,
        model: Autoencoder,
        components: Mapping[str, float],
        reference: ReferenceBeats | None = None,
        neighbours: int = 5,
        timing: Sequence[str] = (),
        fitted: Sequence[Mapping[str, Fitted]] | None = None,
        evidence: Sequence[str] = (),
    ) -> None:
        """Prepare the components, each with its weight.

        reference: only a single reconstruction error needs none. timing, evidence: the names of
        the last leads, as in `BeatFormat`. fitted: what was fitted on the reference beats, member
        by member and component by component; None: it is fitted now. Raises FileError where a
        component is unknown, ConfigError where the reference or the beats lack what it needs.
        """
        _check_components(components, timing, evidence)
        self.model = model
        self.components = dict(components)
        self.neighbours = neighbours
        self.timing, self.evidence = tuple(timing), tuple(evidence)
        self.needed = {COMPONENTS[name].feature for name in components}
        self.plain = len(components) == 1 and components.keys() <= ERRORS.keys()
        self.reference: ReferenceBeats | None = None
        self.fitted: list[dict[str, Fitted]] = []
        self._scores: list[list[tuple[Score, float]]] = []
        if self.plain:
            return
        if reference is None:
            raise FileError(
                "the checkpoint holds no reference beats, which this score needs; train again"
            )
        if not self.needed <= reference.members[0].keys():
            raise FileError("the checkpoint lacks reference beats for this score; train again")
        if neighbours >= len(reference):
            raise ConfigError(
                f"evaluation.neighbours: of {len(reference)} reference beats, none has "
                f"{neighbours} neighbours; lower it"
            )
        self.reference = reference.only(self.needed)
        if fitted is None:
            fitted = [self._fit(features) for features in self.reference.members]
        self.fitted = [dict(of_member) for of_member in fitted]
        for features, of_member in zip(self.reference.members, self.fitted, strict=True):
            scores = (self._prepare(name, features, of_member[name]) for name in components)
            medians = (float(of_member[name]["median"]) for name in components)
            self._scores.append(list(zip(scores, medians, strict=True)))

    def _fit(self, reference: Mapping[str, np.ndarray]) -> dict[str, Fitted]:
        """Fit each component, and the median of its logarithm over the reference beats."""
        found: dict[str, Fitted] = {}
        for name in self.components:
            values = reference[COMPONENTS[name].feature]
            fitted = COMPONENTS[name].fit(values)
            logarithms = _logarithm(self._prepare(name, reference, fitted)(values))
            found[name] = {**fitted, "median": np.array(np.median(logarithms), np.float64)}
        return found

    def _prepare(self, name: str, reference: Mapping[str, np.ndarray], fitted: Fitted) -> Score:
        component = COMPONENTS[name]
        return component.prepare(reference[component.feature], fitted, self.neighbours)

    def scores(self, beats: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Return scores, float64 (n_beats,), of scaled beats (n_beats, n_leads, n_samples).

        lengths: int, (n_beats,): errors beyond them, in the padding, do not count; None: nothing is
        padded.
        """
        members = (
            compute_features(member, beats, lengths, self.timing, self.needed)
            for member in self.model.members
        )
        if self.plain:
            (name,) = self.components
            total = next(members)[name]
            for features in members:
                total += features[name]
            total /= len(self.model.members)
            return total
        weights, kinds = list(self.components.values()), [COMPONENTS[n] for n in self.components]
        logarithms = [
            np.average(
                [
                    _logarithm(score(features[kind.feature])) - median
                    for kind, (score, median) in zip(kinds, scores, strict=True)
                ],
                0,
                weights,
            )
            for features, scores in zip(members, self._scores, strict=True)
        ]
        return np.exp(np.mean(logarithms, axis=0))

    def adapted(self, beats: np.ndarray, lengths: np.ndarray | None = None) -> "Scorer":
        """Return this score for the patient whose scaled, unlabelled beats these are.

        They join the reference beats, but for the share ADAPTATION_TRIM of them with the highest
        scores. Raises ConfigError where the score is an error alone, which compares with none.
        """
        if self.reference is None:
            raise ConfigError(
                "a score that is a reconstruction error alone cannot adapt to a patient, since it "
                "compares with no beats; add code_distance to evaluation.score"
            )
        order = np.argsort(self.scores(beats, lengths), kind="stable")
        own = np.sort(order[: math.ceil((1 - ADAPTATION_TRIM) * len(order))])
        of_own = None if lengths is None else lengths[own]
        new = compute_reference(self.model, beats[own], of_own, self.timing, self.needed)
        members = [
            {name: np.concatenate([known[name], more[name]]) for name in known}
            for known, more in zip(self.reference.members, new.members, strict=True)
        ]
        joined = ReferenceBeats(members)
        return Scorer(
            self.model,
            self.components,
            joined,
            self.neighbours,
            self.timing,
            evidence=self.evidence,
        )


def _check_components(
    components: Mapping[str, float], timing: Sequence[str], evidence: Sequence[str]
) -> None:
    for name in components:
        if name not in COMPONENTS:
            raise FileError(
                f"score component {name} is not in this version of ecgad, which has "
                f"{', '.join(COMPONENTS)}; use the version that wrote it, or evaluate again"
            )
    for name, needed in (("timing", timing), ("prematurity", before(timing))):
        if name in components and not needed:
            raise ConfigError(
                f"evaluation.score: {name} needs beats with timing features; set the timing of "
                f"source wfdb or ptbdb, or take another component"
            )
    for name in ("rhythm", "template"):
        if name in components and not evidence:
            raise ConfigError(
                f"evaluation.score: {name} needs beats with evidence; set evidence: true in the "
                f"section of source wfdb or ptbdb, or take another component"
            )


def _logarithm(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, SMALLEST))
