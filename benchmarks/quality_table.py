"""The rows of the results table: configs, options on top of them, and published figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cross_validation import Trial


@dataclass(frozen=True)
class Row:
    """A row of the table: a config, options on top of it, and what it is compared with."""

    name: str
    config: str
    what: str
    options: Mapping[str, str] = field(default_factory=dict)
    seeds: int = 5


ECG_CSV = "ecg.csv, 60/20/20"
ARCHIVE = "ECG5000, the archive's 500/4,500"
RANDOM = "ECG5000, 60/20/20"
BEATGAN = "MIT-BIH, BeatGAN's protocol"
DS2 = "MIT-BIH, DS1 to DS2"
HEARTBEAT = "MIT-BIH in the heartbeat form, by patient"
PLAIN = {"evaluation.baselines": "[]"}

TABLE: dict[str, list[Row]] = {
    ECG_CSV: [
        Row("ecg_csv", "ecg_csv_ensemble", "recommended: five dense, error and code distance"),
        Row(
            "ecg_csv_normals",
            "ecg_csv_ensemble",
            "the same, threshold from normal beats alone",
            {**PLAIN, "evaluation.threshold.method": "quantile"},
        ),
        Row("ecg_csv_published", "ecg_csv_dense", "published dense recipe", PLAIN),
    ],
    ARCHIVE: [Row("archive", "ecg5000_archive", "recommended: as for ecg.csv")],
    RANDOM: [
        Row("lstm", "ecg5000_lstm", "LSTM", PLAIN),
        Row("cnn", "ecg5000_cnn", "CNN", PLAIN),
        Row("dense", "ecg5000_dense", "dense", PLAIN),
    ],
    BEATGAN: [
        Row("beatgan", "mitdb_beatgan", "recommended: two leads, template, RR, code distance"),
    ],
    DS2: [
        Row("ds2", "mitdb_inter_patient", "recommended: template, code distance, prematurity"),
        Row(
            "ds2_adapted",
            "mitdb_inter_patient",
            "the same, adapted to the first five minutes of a record, without labels",
            {**PLAIN, "evaluation.adaptation_minutes": "5"},
        ),
        Row(
            "ds2_plain",
            "mitdb_inter_patient",
            "the same without template leads",
            {"data.wfdb.template": "none"},
        ),
        Row("recordings", "recordings", "one lead, cut as `ecgad detect` cuts it"),
        Row("random", "mitdb_random", "the same, beats at random: patients on both sides", PLAIN),
    ],
    HEARTBEAT: [
        Row("heartbeat", "mitdb_cnn", "recommended CNN"),
        Row("published_cnn", "mitdb_cnn_transposed", "published CNN layers", PLAIN),
    ],
}
# The same runs with other settings, each against the recommended one.
TRIALS: dict[str, list[Row]] = {
    ECG_CSV: [
        Row("ecg_csv_mae", "ecg_csv_ensemble", "error alone", {**PLAIN, "evaluation.score": "mae"}),
        Row(
            "ecg_csv_distance",
            "ecg_csv_ensemble",
            "code distance alone",
            {**PLAIN, "evaluation.score": "code_distance"},
        ),
        Row(
            "ecg_csv_mahalanobis",
            "ecg_csv_ensemble",
            "robust Mahalanobis distance of the code",
            {**PLAIN, "evaluation.score": "code_mahalanobis"},
        ),
        Row("ecg_csv_one", "ecg_csv_ensemble", "one member", {**PLAIN, "training.members": "1"}),
        Row(
            "ecg_csv_noise",
            "ecg_csv_ensemble",
            "denoising, input noise 0.3",
            {**PLAIN, "training.input_noise": "0.3"},
        ),
    ],
    DS2: [
        Row("ds2_mae", "mitdb_inter_patient", "error alone", {**PLAIN, "evaluation.score": "mae"}),
        Row(
            "ds2_distance",
            "mitdb_inter_patient",
            "code distance alone",
            {**PLAIN, "evaluation.score": "code_distance"},
        ),
        Row(
            "ds2_both",
            "mitdb_inter_patient",
            "error and code distance, without prematurity",
            {**PLAIN, "evaluation.score": "{mae: 1, code_distance: 1}"},
        ),
        Row(
            "ds2_timing",
            "mitdb_inter_patient",
            "timing instead of prematurity",
            {**PLAIN, "evaluation.score": "{mae: 1, code_distance: 1, timing: 0.5}"},
        ),
    ],
}
# On training and validation beats, each against the first of its dataset.
PATIENTS = "MIT-BIH, over the records of DS1"
CROSS_VALIDATED: dict[str, list[Trial]] = {
    PATIENTS: [
        Trial("cv_ds1", "mitdb_inter_patient", "recommended, one network"),
        Trial(
            "cv_ds1_plain",
            "mitdb_inter_patient",
            "without template leads",
            {"data.wfdb.template": "none"},
        ),
        Trial(
            "cv_ds1_added",
            "mitdb_inter_patient",
            "the template itself as further leads",
            {"data.wfdb.template": "added"},
        ),
        Trial(
            "cv_ds1_one_lead",
            "mitdb_inter_patient",
            "the first lead alone",
            {"data.wfdb.leads": "[[MLII, V5]]"},
        ),
        Trial(
            "cv_ds1_no_rr",
            "mitdb_inter_patient",
            "without RR intervals",
            {"data.wfdb.timing": "[]", "evaluation.score": "{mae: 1, code_distance: 1}"},
        ),
        Trial(
            "cv_ds1_no_prematurity",
            "mitdb_inter_patient",
            "without prematurity",
            {"evaluation.score": "{mae: 1, code_distance: 1}"},
        ),
        Trial("cv_ds1_noise", "mitdb_inter_patient", "denoising", corrupt="noise"),
        Trial("cv_ds1_mask", "mitdb_inter_patient", "masked training", corrupt="mask"),
        Trial("cv_ds1_vae", "mitdb_inter_patient", "variational code", network="variational"),
        Trial(
            "cv_ds1_vq",
            "mitdb_inter_patient",
            "vector-quantised code",
            network="vector_quantised",
        ),
        Trial(
            "cv_ds1_attention",
            "mitdb_inter_patient",
            "attention over patches",
            network="patch_attention",
            seeds=1,
        ),
        Trial(
            "cv_ds1_dilated",
            "mitdb_inter_patient",
            "residual dilated convolutions",
            network="dilated_residual",
            seeds=1,
        ),
        Trial(
            "cv_ds1_adapted",
            "mitdb_inter_patient",
            "adapted to the first five minutes of a record",
            adapt="codes",
        ),
        Trial(
            "cv_ds1_relative",
            "mitdb_inter_patient",
            "scores over the median of the first five minutes of a record",
            adapt="scores",
        ),
    ],
    ARCHIVE: [
        Trial("cv_archive", "ecg5000_archive", "recommended, one network", seeds=3),
        Trial(
            "cv_archive_small",
            "ecg5000_archive",
            "a code of 4",
            {"model.dense.code_size": "4"},
            seeds=3,
        ),
        Trial(
            "cv_archive_large",
            "ecg5000_archive",
            "a code of 16",
            {"model.dense.code_size": "16"},
            seeds=3,
        ),
        Trial("cv_archive_noise", "ecg5000_archive", "denoising", corrupt="noise", seeds=3),
        Trial("cv_archive_mask", "ecg5000_archive", "masked training", corrupt="mask", seeds=3),
        Trial(
            "cv_archive_vae", "ecg5000_archive", "variational code", network="variational", seeds=3
        ),
    ],
}
HIDDEN = (0.01, 0.05, 0.10)
CONTAMINATED = [
    Row(
        f"hidden_{share:g}{'_trimmed' if trimmed else ''}",
        "ecg_csv_ensemble",
        f"{share:.0%} hidden" + (", trimmed" if trimmed else ""),
        {
            **PLAIN,
            "data.split.hidden_anomalies": str(share),
            **({"training.contamination": str(share)} if trimmed else {}),
        },
    )
    for share in HIDDEN
    for trimmed in (False, True)
]
PROMISED = (0.01, 0.05)
PROMISES = {
    ECG_CSV: "ecg_csv_ensemble",
    BEATGAN: "mitdb_beatgan",
}

# As the authors state them, on protocols as near to ours as they are described.
PUBLISHED = {
    ECG_CSV: "accuracy 96.3%: Keras dense autoencoder, nadam, MAE, 100 epochs, batch 512",
    RANDOM: "97.26% of normal and 96.88% of anomalous beats right: LSTM autoencoder, 140 steps",
    BEATGAN: "AUROC 0.9475, average precision 0.9143: BeatGAN (Zhou et al. 2019), one lead; its "
    "authors' plain autoencoder 0.894, 0.842",
    DS2: "AUROC 0.894, without labels in training",
    HEARTBEAT: "accuracy 76.93%, recall 89.81% (transposed), 71.99%, 87.91% (upsampling): on PTB "
    "tables with beats of a patient on both sides",
}


def all_rows() -> list[Row]:
    """Return the rows of all tables."""
    rows = [row for part in (TABLE, TRIALS) for of_data in part.values() for row in of_data]
    return [*rows, *CONTAMINATED, *(row for of_data in promise_rows().values() for row in of_data)]


def promise_rows() -> dict[str, list[Row]]:
    """Return rows of conformal thresholds on the recommended configs."""
    return {
        dataset: [
            Row(
                f"conformal_{config}_{rate:g}",
                config,
                f"conformal, {rate:.0%} promised",
                {**PLAIN, "evaluation.max_false_alarm_rate": str(rate)},
            )
            for rate in PROMISED
        ]
        for dataset, config in PROMISES.items()
    }
