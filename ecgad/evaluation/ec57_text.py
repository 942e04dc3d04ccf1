"""A comparison of annotations as text, in the forms that bxb and sumstats of WFDB print."""

from collections.abc import Mapping

import numpy as np

from ecgad.evaluation.ec57 import (
    FALSE_ALARMS,
    LABELS,
    RR_ERROR,
    SHARES,
    VERDICTS,
    Comparison,
    F,
    N,
    O,
    Q,
    S,
    V,
    X,
)

# Of each figure, its words in a report, and its heading in a table.
TITLES = {
    "qrs_sensitivity": ("QRS sensitivity", "QRS Se"),
    "qrs_positive_predictivity": ("QRS positive predictivity", "QRS +P"),
    "veb_sensitivity": ("VEB sensitivity", "VEB Se"),
    "veb_positive_predictivity": ("VEB positive predictivity", "VEB +P"),
    "sveb_sensitivity": ("SVEB sensitivity", "SVEB Se"),
    "sveb_positive_predictivity": ("SVEB positive predictivity", "SVEB +P"),
    "veb_false_positive_rate": ("VEB false positive rate", "VEB FPR"),
    "sensitivity_S": ("Sensitivity to S", "S"),
    "sensitivity_V": ("Sensitivity to V", "V"),
    "sensitivity_F": ("Sensitivity to F", "F"),
    "sensitivity_Q": ("Sensitivity to Q", "Q"),
    "specificity": ("Specificity", "Spec."),
    FALSE_ALARMS: ("False alarms an hour", "False/h"),
    RR_ERROR: ("RMS RR interval error", "RR ms"),
}
# The forms of a line a record, by bxb's options: -L has SVEBs, -l counts them as N. Of each the
# figures, and the headings of its two tables: beats, and what was missed in shutdown.
FORMS = ("-L", "-l")
FIGURES = {"-L": (*SHARES[:6], RR_ERROR), "-l": (*SHARES[:4], SHARES[6])}
HEADINGS = {
    "-L": (
        "Record Nn' Sn' Vn' Fn' On'  Ns  Ss  Vs  Fs' Os' Nv  Sv   Vv  Fv' Ov' No' So' Vo' Fo'"
        "  Q Se   Q +P   V Se   V +P   S Se   S +P RR err",
        "Record Nx   Sx   Vx   Fx   Qx  % beats  % N    % S    % V    % F   Total Shutdown\n"
        "                                missed missed missed missed missed      Time",
    ),
    "-l": (
        "Record Nn' Vn' Fn' On'  Nv   Vv  Fv' Ov' No' Vo' Fo'  Q Se   Q +P   V Se   V +P  V FPR",
        "Record Nx   Vx   Fx   Qx  % beats  % N    % V    % F   Total Shutdown\n"
        "                           missed missed missed missed      Time",
    ),
}
# Rows, and columns, that the first table of a form adds up.
ROWS = {"-L": ((N,), (S,), (V,), (F, Q), (O, X)), "-l": ((N, S), (V,), (F, Q), (O, X))}
COLUMNS = {"-L": ((N, F, Q), (S,), (V,), (O, X)), "-l": ((N, S, F, Q), (V,), (O, X))}


def table(
    comparisons: Mapping[str, Comparison],
    total: Comparison,
    mean: Mapping[str, float | None],
    verdicts: bool,
) -> str:
    """Return gross and average figures, and below them those of each record, a line each.

    comparisons: by record. total: all of them as one. mean: the average of their figures. verdicts:
    whether the detector only says normal or anomalous, and so names neither VEBs nor SVEBs.
    """
    shown = [*SHARES[:2], *VERDICTS] if verdicts else list(SHARES)
    of_total, parts = total.figures(verdicts), total.parts()
    lines = [f"{'':<26}{'gross':>9}{'':<23}{'average':>9}"]
    for name in (*shown, RR_ERROR):
        counted = ""
        if name in parts:
            part, of = parts[name]
            counted = f"({part} in {of:.1f} h)" if name == FALSE_ALARMS else f"({part}/{of:.0f})"
        lines.append(
            f"{TITLES[name][0]:<26}{_said(name, of_total[name]):>9} {counted:<22}"
            f"{_said(name, mean[name]):>9}"
        )
    missed, beats = total.matrix[:O, X].sum(), total.matrix[:O].sum()
    share = _said("", missed / beats if beats else None)
    lines.append(f"{'Beats missed in shutdown':<26}{share:>9} ({missed}/{beats})")
    width = max(6, *map(len, comparisons))
    shown.append(RR_ERROR)
    lines += ["", f"{'Record':<{width}}" + "".join(f"{TITLES[name][1]:>9}" for name in shown)]
    for record, comparison in comparisons.items():
        figures = comparison.figures(verdicts)
        cells = [_said(name, figures[name], unit=False) for name in shown]
        lines.append(f"{record:<{width}}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines) + "\n"


def report(what: str, reference: str, test: str, comparison: Comparison) -> str:
    """Return the report form of a comparison.

    what: is compared, such as "record 100". reference, test: the suffixes of their files.
    """
    m = comparison.matrix
    lines = [
        f"Beat-by-beat comparison results for {what}",
        f"Reference annotator: {reference}",
        f"     Test annotator: {test}",
        "",
        "               Algorithm",
        "    " + "".join(f"{label.lower():>5}" for label in LABELS),
        "   " + 36 * "_",
    ]
    for row, label in enumerate(LABELS):
        shown = m[row] if row < O else m[row, :O]
        lines.append(f" {label} |" + "".join(f"{count:5d}" for count in shown))
    lines.append("")
    parts = comparison.parts()
    lines += [f"{TITLES[name][0]:>26}: {_share(*parts[name])}" for name in SHARES[:6]]
    error = comparison.rms_rr_error()
    lines.append(f"{TITLES[RR_ERROR][0]:>26}: {_number(error)}{'' if error is None else ' ms'}")
    # Beats missed are without S: so it is in bxb.
    missed = (m[[N, V, F, Q], X].sum(), m[:O].sum())
    lines += ["", f"{'Beats missed in shutdown':>26}: {_share(*missed)}"]
    for row in (N, S, V, F):
        title = f"{LABELS[row]} missed in shutdown"
        lines.append(f"{title:>26}: {_share(m[row, X], m[row].sum())}")
    lines.append(f"{'Total shutdown time':>26}: {whole_seconds(comparison):5d} seconds")
    return "\n".join(lines) + "\n"


def average_report(n_records: int, mean: Mapping[str, float | None]) -> str:
    """Return the average figures of records, in the manner of a report."""
    lines = [f"Average over {n_records} records", ""]
    lines += [f"{TITLES[name][0]:>26}: {_said(name, mean[name])}" for name in FIGURES["-L"]]
    return "\n".join(lines) + "\n"


def lines(
    comparisons: Mapping[str, Comparison],
    form: str,
    total: Comparison,
    mean: Mapping[str, float | None],
) -> str:
    """Return both tables of a form, a line a record; of several records with the sum, and gross and
    average figures below, as sumstats has them.

    comparisons: by record. total: all of them as one. mean: the average of their figures.
    """
    beats = [_beats_line(name, form, of) for name, of in comparisons.items()]
    shutdown = [_shutdown_line(name, form, of) for name, of in comparisons.items()]
    if len(comparisons) > 1:
        width = len(_counts("", form, total))
        percents = {
            name: value if name == RR_ERROR or value is None else 100.0 * value
            for name, value in mean.items()
        }
        beats += [
            _counts("Sum ", form, total),
            f"{'Gross':<{width}}" + _figures(form, _percents(total)),
            f"{'Average':<{width}}" + _figures(form, percents),
        ]
        shutdown.append(_shutdown_line("Sum ", form, total))
    of_beats, of_shutdown = HEADINGS[form]
    return "\n".join([of_beats, *beats, "", of_shutdown, *shutdown]) + "\n"


def line_format(name: str, form: str, comparison: Comparison) -> dict[str, str]:
    """Return both tables of a form for one record, as bxb writes them into new files."""
    lines = (_beats_line(name, form, comparison), _shutdown_line(name, form, comparison))
    tables = [f"{head}\n{line}\n" for head, line in zip(HEADINGS[form], lines, strict=True)]
    return dict(zip(("beats", "shutdown"), tables, strict=True))


def rr_error(comparison: Comparison) -> str:
    """Return the RR interval error in ms as bxb prints it, - where there is none."""
    return _number(comparison.rms_rr_error()).strip()


def whole_seconds(comparison: Comparison) -> int:
    """Return the shutdown time in whole seconds."""
    return int(comparison.unreadable + 0.5)


def _beats_line(name: str, form: str, comparison: Comparison) -> str:
    """Return the line of a record in the first table of a form."""
    return _counts(name, form, comparison) + _figures(form, _percents(comparison))


def _shutdown_line(name: str, form: str, comparison: Comparison) -> str:
    """Return the line of a record in the second table of a form."""
    m = comparison.matrix
    of_all, missed = m[:O].sum(axis=1), m[:O, X]
    if form == "-l":
        # S among N.
        of_all, missed = (np.array([of[N] + of[S], 0, *of[V:]]) for of in (of_all, missed))
    shown = (N, V, F, Q) if form == "-l" else (N, S, V, F, Q)
    # In -L without S, as in the report.
    beats = missed.sum() if form == "-l" else missed[[N, V, F, Q]].sum()
    shares = [_percent(beats, of_all.sum())]
    shares += [_percent(missed[row], of_all[row]) for row in shown[:-1]]
    return (
        f"{name:>4}"
        + "".join(f" {missed[row]:4d}" for row in shown)
        + "  "
        + "".join(f" {share}" for share in shares)
        + f" {whole_seconds(comparison):4d} seconds "
        + " ".join(str(count) for count in of_all)
    )


def _counts(name: str, form: str, comparison: Comparison) -> str:
    line = f"{name:>4}"
    for columns in COLUMNS[form]:
        for rows in ROWS[form]:
            if columns == rows == (O, X):
                continue
            width = 5 if N in rows and N in columns else 4 if rows == columns == (V,) else 3
            line += f" {comparison.matrix[np.ix_(rows, columns)].sum():{width}d}"
    return line


def _percents(comparison: Comparison) -> dict[str, float | None]:
    """Return the figures of a comparison, shares in percent."""
    # In this order of operations, as in bxb: a digit may depend on it.
    parts = comparison.parts().items()
    percents = {name: 100.0 * part / of if of else None for name, (part, of) in parts}
    return percents | {RR_ERROR: comparison.rms_rr_error()}


def _figures(form: str, figures: Mapping[str, float | None]) -> str:
    line = ""
    for name in FIGURES[form]:
        value = figures[name]
        if name == RR_ERROR and value is None:
            # One column less, as in bxb.
            line += f"{'-':>6}"
        else:
            line += f" {_number(value, 3 if name == SHARES[6] else 2)}"
    return line


def _said(name: str, value: float | None, unit: bool = True) -> str:
    """Return a figure for the eye; a share in percent."""
    if value is None:
        return "-"
    if name == FALSE_ALARMS:
        return f"{value:.1f}"
    if name == RR_ERROR:
        return f"{value:.2f}{' ms' if unit else ''}"
    return f"{100.0 * value:.2f}{'%' if unit else ''}"


def _share(part: int, of: float) -> str:
    return f"{_percent(part, of)}{'%' if of else ' '} ({part}/{of:.0f})"


def _percent(part: int, of: float) -> str:
    return _number(100.0 * part / of if of else None)


def _number(value: float | None, decimals: int = 2) -> str:
    return f"{'-':>6}" if value is None else f"{value:6.{decimals}f}"
