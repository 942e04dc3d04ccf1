"""Settings of the way from a recording to beats: leads, filter, window, template, timing."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ecgad.config.section import Frequency, LeadName, PositiveFloat, Section

# Each a name, or several in order of preference.
Leads = list[LeadName | Annotated[list[LeadName], Field(min_length=1)]]


# Of causal segmentation: Hz that a filter can tell from the baseline in the time that it has, and
# ms of a beat after its R peak.
LOWEST_EDGE, LONGEST_AFTER = 0.5, 1000.0


class FilterConfig(Section):
    """What is done to a recording's leads before beats are cut; zero phase, so that none moves."""

    band: tuple[Frequency, Frequency] | None = Field(
        (0.5, 40.0), description="edges of the Butterworth band-pass in Hz; null: off", strict=False
    )
    notch: Frequency | None = Field(None, description="mains frequency in Hz; null: off")

    @model_validator(mode="after")
    def _edges(self) -> Self:
        if self.band is not None and self.band[0] >= self.band[1]:
            raise ValueError(f"band: {self.band[0]:g} Hz is not below {self.band[1]:g} Hz")
        return self


class WindowConfig(Section):
    """How much of a recording around an R peak is the beat."""

    unit: Literal["samples", "ms"] = Field("ms", description="samples: after resampling")
    before: float = Field(250.0, ge=0, le=1e5)
    after: float = Field(450.0, gt=0, le=1e5)


class SegmentationConfig(Section):
    """How beats are cut out of a recording: all that has to be known to do it again."""

    leads: Leads | None = Field(
        None,
        min_length=1,
        description="a name each, or several in order of preference; null: the first of a record",
    )
    causal: bool = Field(
        False,
        description="filter, amplitude, template and RR features from what has come before a beat, "
        "and at most 2 s after it, as recordings are read by `ecgad detect`",
    )
    filter: FilterConfig = FilterConfig()
    sampling_rate: float | None = Field(
        None, ge=20, le=10_000, description="of the beats, in Hz; null: that of the records"
    )
    form: Literal["window", "heartbeat"] = Field(
        "window",
        description="heartbeat: from the R peak over 1.2 median RR intervals, scaled to [0, 1] and "
        "padded to 187 samples at 125 Hz (Kachuee et al. 2018), whatever the window",
    )
    window: WindowConfig = WindowConfig()
    normalisation: Literal["none", "beat", "record"] = Field(
        "record",
        description="beat: to [0, 1] by its own range; record: by the median range of its beats",
    )
    template: Literal["none", "added", "difference"] = Field(
        "none",
        description="as further leads, added: the running median beat of the record, which tells "
        "whose beat it is; difference: what sets the beat apart from it",
    )
    alignment: float = Field(
        0.0,
        ge=0,
        le=50,
        description="ms by which a beat may be shifted to where it fits its template best; causal "
        "alone",
    )
    timing: list[
        Literal[
            "rr_previous_ratio",
            "rr_next_ratio",
            "rr_previous",
            "log_rr_previous_ratio",
            "log_rr_next_ratio",
            "log_rr_previous",
            "log_rr_previous_deviation",
        ]
    ] = Field(
        [],
        description="RR intervals as further input: previous and next over their running median, "
        "previous in seconds; and logarithms of these. deviation: less where the rhythm is "
        "irregular",
    )
    timing_weight: PositiveFloat = Field(
        1.0, description="factor on them, which counts where data.scaling.per is all"
    )
    evidence: bool = Field(
        False,
        description="further leads that the network does not see, for the score components rhythm "
        "and template: how early a beat is for its patient, and how far from the template; causal "
        "alone",
    )

    @model_validator(mode="after")
    def _causal(self) -> Self:
        for name in ("alignment", "evidence"):
            if getattr(self, name) and not (self.causal and self.template != "none"):
                raise ValueError(f"{name}: it needs causal: true, and a template")
        if not self.causal:
            return self
        if self.form != "window":
            raise ValueError("causal: beats of form window alone can be had as they come")
        if self.filter.band is None or self.filter.band[0] < LOWEST_EDGE:
            raise ValueError(
                f"causal: filter.band has to begin at {LOWEST_EDGE:g} Hz or more, which can be had "
                f"within 2 s"
            )
        if self.filter.notch is not None:
            raise ValueError("causal: there is no notch; let filter.band end below the mains")
        window, rate = self.window, self.sampling_rate
        if window.unit == "samples" and rate is None:
            raise ValueError("causal: a window in samples needs a sampling_rate")
        after = window.after if window.unit == "ms" else window.after * 1000 / (rate or 1)
        if after > LONGEST_AFTER:
            raise ValueError(f"causal: window.after can be {LONGEST_AFTER:g} ms at most")
        return self

    @model_validator(mode="after")
    def _form(self) -> Self:
        if len(set(self.timing)) < len(self.timing):
            raise ValueError("timing: a feature is named twice")
        if self.form == "heartbeat" and self.template != "none":
            raise ValueError("form heartbeat has beats of many lengths and no template; leave it")
        if self.form == "heartbeat" and self.sampling_rate not in (None, 125):
            raise ValueError("form heartbeat has a sampling_rate of 125 Hz; leave it out")
        return self
